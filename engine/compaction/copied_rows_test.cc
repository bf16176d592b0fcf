// Merges and flushes that copy chunks, and what they leave to decoding: what is written holds what
// was there, whichever way it went.
#include "engine/compaction/copied_rows.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "engine/base/float_bits.h"
#include "engine/compaction/flush_segment.h"
#include "engine/compaction/merge.h"
#include "engine/segment/segment_writer.h"
#include "engine/segment/summary_section.h"
#include "tests/support/sim_file_system.h"

namespace stepdb::copied_rows_test {

constexpr uint64_t kSchema = 7;
constexpr uint32_t kWidth = 6;

class SomeRows final : public LiveRows {
  public:
    bool run_exists(uint64_t) const override { return true; }
    uint64_t dead_through(uint64_t, std::string_view metric) const override {
        return metric == "m1" ? deleted_through : 0;
    }
    uint32_t dead_columns(const BlockInfo&, uint64_t) const override { return 0; }
    std::optional<Key> kept_through(uint64_t, uint32_t, Axis) const override { return last_key; }

    uint64_t deleted_through = 0;
    std::optional<Key> last_key;
};

// Column 0 noisy float32, 1 float64, 2 constant, 3 in some rows, 4 in some blocks, 5 never.
std::optional<double> value_of(uint64_t sequence, uint32_t column) {
    const double noise = static_cast<double>(sequence * 2654435761U % 100003) / 7;
    switch (column) {
        case 0:
            return static_cast<double>(static_cast<float>(noise));
        case 1:
            return noise;
        case 2:
            return 3e-4;
        case 3:
            return sequence % 3 == 0 ? std::optional<double>(noise) : std::nullopt;
        case 4:
            return sequence / 512 % 2 == 1 ? std::optional<double>(-noise) : std::nullopt;
        default:
            return std::nullopt;
    }
}

using Point = std::tuple<Key, int64_t, uint64_t, uint64_t>;  // key, time, sequence, bits
using Contents = std::map<uint32_t, std::vector<Point>>;     // by column, sorted

class CopiedRowsTest : public testing::Test {
  protected:
    CopiedRowsTest() : files_(disk_, executor_) {
        std::vector<std::string> metrics;
        for (uint32_t column = 0; column < kWidth; ++column) {
            metrics.push_back(fmt::format("m{}", column));
        }
        schema_ = std::make_shared<const Schema>(*Schema::create(Axis::kStepped, metrics));
        CHECK(run_task(executor_, files_.make_directory("d")), "no directory");
    }

    std::shared_ptr<const EncodedBlock> make_block(std::vector<Key> keys, uint64_t sequence,
                                                   uint32_t first_column = 0,
                                                   uint32_t end_column = kWidth) {
        BlockInfo info;
        info.run = 1;
        info.schema = kSchema;
        info.columns = kWidth;
        const size_t rows = keys.size();
        std::vector<int64_t> times;
        std::vector<uint64_t> sequences;
        for (size_t row = 0; row < rows; ++row) {
            sequences.push_back(sequence + row);
            times.push_back(static_cast<int64_t>(1'000'000 * (sequence + row)));
        }
        BlockBuilder builder(info, keys, times, sequences);
        for (uint32_t column = first_column; column < end_column; ++column) {
            std::vector<double> values(rows);
            std::vector<uint8_t> present(rows);
            for (size_t row = 0; row < rows; ++row) {
                const auto value = value_of(sequence + row, column);
                present[row] = value ? 1 : 0;
                values[row] = value.value_or(0);
            }
            if (std::ranges::find(present, uint8_t{1}) != present.end()) {
                builder.add_column(column, values, present);
            }
        }
        return builder.finish();
    }

    // `rows` rows from the key on, which is also their sequence.
    std::shared_ptr<const EncodedBlock> rows_from(Key key, size_t rows, uint32_t first_column = 0,
                                                  uint32_t end_column = kWidth) {
        std::vector<Key> keys;
        for (size_t row = 0; row < rows; ++row) {
            keys.push_back(key_of_step(static_cast<double>(key) + static_cast<double>(row)));
        }
        return make_block(keys, static_cast<uint64_t>(key), first_column, end_column);
    }

    void add_source(std::vector<std::shared_ptr<const EncodedBlock>> blocks) {
        SegmentNames names;
        names.runs.push_back({1, "p", "r"});
        names.schemas.push_back({kSchema, schema_});
        const uint64_t id = next_file_++;
        auto written = run_task(
            executor_, write_segment(files_, path_of(id), Id128(), id, std::move(blocks), names));
        CHECK(written, "{}", written.error().to_string());
        sources_.push_back(*written);
    }

    static std::string path_of(uint64_t id) { return fmt::format("d/segment-{}", id); }

    std::shared_ptr<const Catalog> make_catalog() const {
        auto catalog = std::make_shared<Catalog>();
        auto run = std::make_shared<stepdb::Run>();
        run->id = 1;
        run->project = "p";
        run->name = "r";
        run->attempts.emplace_back();
        catalog->put_run(std::move(run));
        catalog->put_schema("p", kSchema, schema_);
        return catalog;
    }

    // Flushes the blocks, and checks that everything is there as it was.
    std::shared_ptr<const SegmentMeta> flush(
        std::vector<std::shared_ptr<const EncodedBlock>> blocks) {
        add_source(blocks);
        FlushInput input;
        input.files = &files_;
        input.executor = &executor_;
        input.catalog = make_catalog();
        input.blocks = std::move(blocks);
        input.file_id = next_file_++;
        input.path = path_of(input.file_id);
        input.limits = limits_;
        auto written = run_task(executor_, write_flush_segment(std::move(input)));
        CHECK(written, "{}", written.error().to_string());
        EXPECT_EQ(contents({*written}), contents(sources_));
        const auto verified = run_task(
            executor_, verify_segment(files_, (*written)->path(), Id128(), (*written)->file_id()));
        EXPECT_TRUE(verified) << verified.error().to_string();
        expect_summaries(**written);
        return *written;
    }

    MergeOutcome merge() {
        MergeInput input;
        input.files = &files_;
        input.executor = &executor_;
        input.sources = sources_;
        input.catalog = make_catalog();
        input.live = live_;
        input.file_id = next_file_++;
        input.path = path_of(input.file_id);
        input.limits = limits_;
        input.cancelled = std::make_shared<std::atomic<bool>>(false);
        return run_task(executor_, merge_segments(std::move(input)));
    }

    Contents contents(const std::vector<std::shared_ptr<const SegmentMeta>>& segments) {
        Contents all;
        for (const auto& segment : segments) {
            const auto file = run_task(executor_, files_.open(segment->path(), OpenMode::kRead));
            for (size_t block = 0; block < segment->blocks().size(); ++block) {
                const auto axis = run_task(executor_, read_axis(**file, *segment, block));
                CHECK(axis, "{}", axis.error().to_string());
                for (uint32_t column = 0; column < kWidth; ++column) {
                    const auto values =
                        run_task(executor_, read_column(**file, *segment, block, column));
                    CHECK(values, "{}", values.error().to_string());
                    add_points(*axis, *values, all[column]);
                }
            }
        }
        for (auto& [column, points] : all) {
            std::ranges::sort(points);
        }
        return all;
    }

    static void add_points(const AxisColumns& axis, const ColumnValues& column,
                           std::vector<Point>& points) {
        size_t value = 0;
        for (size_t row = 0; row < axis.keys.size() && value < column.values.size(); ++row) {
            if (column.presence.empty() || (column.presence[row / 64] >> (row % 64) & 1U) != 0) {
                points.emplace_back(axis.keys[row], axis.times[row], axis.sequences[row],
                                    bits_of(column.values[value++]));
            }
        }
    }

    // Merges, and checks that everything is there as it was.
    MergeOutcome expect_same() {
        MergeOutcome outcome = merge();
        CHECK(!outcome.error, "{}", outcome.error->to_string());
        EXPECT_EQ(contents({outcome.segment}), contents(sources_));
        const auto verified = run_task(
            executor_,
            verify_segment(files_, outcome.segment->path(), Id128(), outcome.segment->file_id()));
        EXPECT_TRUE(verified) << verified.error().to_string();
        expect_summaries(*outcome.segment);
        return outcome;
    }

    void expect_summaries(const SegmentMeta& segment) {
        const auto file = run_task(executor_, files_.open(segment.path(), OpenMode::kRead));
        for (size_t block = 0; block < segment.blocks().size(); ++block) {
            const auto axis = run_task(executor_, read_axis(**file, segment, block));
            const auto stored = run_task(executor_, read_summaries(**file, segment, block));
            ASSERT_TRUE(stored) << stored.error().to_string();
            for (uint32_t column = 0; column < kWidth; ++column) {
                const auto values =
                    run_task(executor_, read_column(**file, segment, block, column));
                const Summary* summary = find_summary(*stored, column);
                EXPECT_EQ(summary != nullptr, values->values.size() >= limits_.summary_values)
                    << column;
                if (summary != nullptr) {
                    EXPECT_TRUE(agrees(*summary, summarize_column(*axis, *values))) << column;
                }
            }
        }
    }

    SimDisk disk_;
    SimExecutor executor_;
    SimFileSystem files_;
    std::shared_ptr<const Schema> schema_;
    std::vector<std::shared_ptr<const SegmentMeta>> sources_;
    std::shared_ptr<SomeRows> live_ = std::make_shared<SomeRows>();
    MergeLimits limits_;
    uint64_t next_file_ = 1;
};

TEST_F(CopiedRowsTest, BlocksOfEveryFormBecomeOneWithoutBeingDecoded) {
    add_source({rows_from(512, 512), rows_from(1024, 512)});
    add_source({rows_from(1536, 300), rows_from(1836, 700)});
    const MergeOutcome outcome = expect_same();
    EXPECT_EQ(outcome.rows_copied, 2024U);
    EXPECT_EQ(outcome.rows_encoded, 0U);
    ASSERT_EQ(outcome.segment->blocks().size(), 1U);
    EXPECT_EQ(outcome.segment->blocks()[0].info.end_column, 5U);
}

TEST_F(CopiedRowsTest, WhatWasCopiedIsCopiedAgain) {
    add_source({rows_from(512, 512), rows_from(1024, 512)});
    add_source({rows_from(1536, 300), rows_from(1836, 700)});
    const std::shared_ptr<const SegmentMeta> merged = expect_same().segment;
    sources_ = {merged};
    add_source({rows_from(4096, 600)});
    const MergeOutcome outcome = expect_same();
    EXPECT_EQ(outcome.rows_copied, 2624U);
    EXPECT_EQ(outcome.rows_encoded, 0U);
    EXPECT_EQ(outcome.segment->blocks().size(), 1U);
}

TEST_F(CopiedRowsTest, ManyColumnsAreSharedOutAsTheyCanBeRead) {
    limits_.kept_bytes = 10'000;  // more than the directories, less than the strips
    limits_.summary_values = 100;
    for (Key key = 4000; key < 20'000; key += 4000) {
        add_source({rows_from(key, 4000)});
    }
    const MergeOutcome outcome = expect_same();
    EXPECT_EQ(outcome.rows_encoded, 0U);
    EXPECT_GT(outcome.segment->blocks().size(), 1U);
    // And their parts are put together again, block by block.
    sources_ = {outcome.segment};
    add_source({rows_from(30'000, 4000, 0, 2), rows_from(30'000, 4000, 2, 6)});
    limits_ = MergeLimits();
    const MergeOutcome again = expect_same();
    EXPECT_EQ(again.rows_encoded, 0U);
    EXPECT_EQ(again.segment->blocks().size(), 1U);
}

TEST_F(CopiedRowsTest, RowsThatOverlapAreDecoded) {
    add_source({rows_from(512, 512)});
    std::vector<Key> late;
    late.reserve(512);
    for (int row = 0; row < 512; ++row) {
        late.push_back(key_of_step(1023.5 + row));
    }
    late.front() = key_of_step(600.5);
    add_source({make_block(late, 2000)});
    const MergeOutcome outcome = expect_same();
    EXPECT_EQ(outcome.rows_copied, 0U);
    EXPECT_EQ(outcome.rows_encoded, 1024U);
}

TEST_F(CopiedRowsTest, AKeyThatComesTwiceInABlockIsFoundAndTheOlderValueGoes) {
    add_source({rows_from(512, 512)});
    std::vector<Key> twice;
    twice.reserve(512);
    for (int row = 0; row < 512; ++row) {
        twice.push_back(key_of_step(2000 + (row == 100 ? 99 : row)));
    }
    add_source({make_block(twice, 2048)});
    const MergeOutcome outcome = merge();
    ASSERT_FALSE(outcome.error);
    EXPECT_EQ(outcome.rows_copied, 0U);
    EXPECT_EQ(outcome.rows_encoded, 1023U);
    EXPECT_EQ(contents({outcome.segment})[0].size(), 1023U);
}

TEST_F(CopiedRowsTest, DeletedAndCutOffPointsGo) {
    add_source({rows_from(10'000, 10'000), rows_from(20'000, 10'000)});
    live_->deleted_through = 12'000;
    live_->last_key = key_of_step(29'000);
    const MergeOutcome outcome = merge();
    ASSERT_FALSE(outcome.error);
    EXPECT_EQ(outcome.rows_copied, 0U);
    Contents now = contents({outcome.segment});
    EXPECT_EQ(now[0].size(), 19'001U);
    EXPECT_EQ(now[1].size(), 29'000U - 12'000U);
}

TEST_F(CopiedRowsTest, RowsThatOnlyLookLikeThoseBesideThemAreDecoded) {
    std::vector<Key> keys;
    std::vector<Key> others;
    for (int row = 0; row < 512; ++row) {
        keys.push_back(key_of_step(row));
        others.push_back(key_of_step(row == 7 ? 7.5 : row));
    }
    add_source({make_block(keys, 100, 0, 2), make_block(others, 100, 2, 5)});
    EXPECT_EQ(expect_same().rows_copied, 0U);
}

TEST_F(CopiedRowsTest, ADamagedStripIsFoundAndNotCopied) {
    add_source({rows_from(512, 512)});
    add_source({rows_from(1024, 512)});
    const SegmentBlock& place = sources_[1]->blocks()[0];
    const uint64_t in_axis = place.offset + 5;
    const uint64_t in_directory = place.directory_offset() + 5;
    const uint64_t in_strips = place.strips_offset() + place.info.strips_bytes / 2;
    for (const uint64_t offset : {in_axis, in_directory, in_strips}) {
        ASSERT_TRUE(disk_.flip_byte(sources_[1]->path(), offset));
        const MergeOutcome outcome = merge();
        ASSERT_TRUE(outcome.error);
        EXPECT_EQ(outcome.error->code(), ErrorCode::kCorruption) << outcome.error->to_string();
        EXPECT_EQ(outcome.unreadable, sources_[1]->file_id());
        EXPECT_EQ(outcome.damaged_block, 0U);
        ASSERT_TRUE(disk_.flip_byte(sources_[1]->path(), offset));
    }
    EXPECT_EQ(expect_same().rows_copied, 1024U);
}

TEST_F(CopiedRowsTest, AFlushPutsBlocksTogether) {
    const auto segment = flush(
        {rows_from(512, 512), rows_from(1024, 512), rows_from(1536, 300), rows_from(1836, 700)});
    ASSERT_EQ(segment->blocks().size(), 1U);
    EXPECT_EQ(segment->blocks()[0].info.rows, 2024U);
    // And what it wrote is copied by merges.
    sources_ = {segment};
    add_source({rows_from(4096, 600)});
    EXPECT_EQ(expect_same().rows_copied, 2624U);
}

TEST_F(CopiedRowsTest, AFlushTakesSummariesThatBlocksHave) {
    limits_.summary_values = 700;
    flush({rows_from(10'000, 2048), rows_from(20'000, 512), rows_from(30'000, 1100)});
    limits_.summaries_bytes = 6 * sizeof(ColumnSummary);  // of one of them
    sources_.clear();
    flush({rows_from(10'000, 2048), rows_from(20'000, 1024), rows_from(30'000, 1100)});
}

TEST_F(CopiedRowsTest, AFlushOfManyColumnsIsSharedOut) {
    limits_.kept_bytes = 10'000;  // more than the directories, less than the strips
    const auto segment = flush({rows_from(4000, 4000), rows_from(8000, 4000)});
    EXPECT_GT(segment->blocks().size(), 1U);
    EXPECT_EQ(segment->blocks()[0].info.rows, 8000U);
}

TEST_F(CopiedRowsTest, AFlushLeavesWhatOverlapsAndWhatIsSmallAsItIs) {
    std::vector<Key> twice;
    twice.reserve(512);
    for (int row = 0; row < 512; ++row) {
        twice.push_back(key_of_step(2000 + (row == 100 ? 99 : row)));
    }
    EXPECT_EQ(flush({rows_from(512, 512), make_block(twice, 2048)})->blocks().size(), 2U);
    sources_.clear();
    EXPECT_EQ(flush({rows_from(512, 512), rows_from(600, 512)})->blocks().size(), 2U);
    sources_.clear();
    EXPECT_EQ(flush({rows_from(512, 40), rows_from(600, 50)})->blocks().size(), 2U);
}

TEST_F(CopiedRowsTest, GroupsThatNeedNoMergeAreFlushedApart) {
    limits_.rows = 4096;
    const auto of_run = [&](uint64_t run, std::shared_ptr<const EncodedBlock> block) {
        auto copy = std::make_shared<EncodedBlock>();
        copy->info = block->info;
        copy->info.run = run;
        copy->bytes = LargeBuffer(block->bytes.size());
        std::ranges::copy(std::span(block->bytes.data(), block->bytes.size()), copy->bytes.data());
        return std::shared_ptr<const EncodedBlock>(copy);
    };
    const auto quiet = of_run(1, rows_from(10, 3));
    const auto busy = of_run(2, rows_from(100'000, 1000));
    const std::vector whole = {of_run(3, rows_from(200'000, 3000)),
                               of_run(3, rows_from(300'000, 1000))};
    const auto shares = share_out({quiet, busy, whole[0], whole[1]}, limits_);
    ASSERT_EQ(shares.size(), 2U);
    EXPECT_EQ(shares[0], (std::vector{quiet, busy}));
    EXPECT_EQ(shares[1], whole);
    EXPECT_EQ(share_out(whole, limits_).size(), 1U);
    EXPECT_TRUE(share_out({}, limits_).empty());
}

TEST_F(CopiedRowsTest, AConstantStaysOne) {
    add_source({rows_from(512, 512), rows_from(1024, 512)});
    const MergeOutcome outcome = expect_same();
    const auto file = run_task(executor_, files_.open(outcome.segment->path(), OpenMode::kRead));
    const auto section = run_task(executor_, read_directory(**file, *outcome.segment, 0));
    const auto place = find_chunk(*section, outcome.segment->blocks()[0].info, 2);
    ASSERT_TRUE(place) << place.error().to_string();
    EXPECT_LE(place->bytes, 9U);
}

}  // namespace stepdb::copied_rows_test
