// Compaction of whole stores on the simulated disk: what is read before and after is the same.
#include <algorithm>
#include <bit>
#include <random>
#include <utility>

#include "engine/model/life_frame.h"
#include "engine/pieces.h"
#include "engine/segment/segment_reader.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::compaction_test {

class CompactionTest : public EngineTest {
  protected:
    explicit CompactionTest(const EngineOptions& options = quiet_options()) : EngineTest(options) {}

    static EngineOptions quiet_options() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        options.memory_blocks_bytes_max = 1U << 20U;  // flushes are asked for
        options.log_live_bytes_max = 4U << 20U;
        return options;
    }

    void flush() {
        store_.run();
        const Status flushed = store_.flush();
        ASSERT_TRUE(flushed) << flushed.error().to_string();
    }
    void compact() {
        const Status compacted = store_.compact();
        ASSERT_TRUE(compacted) << compacted.error().to_string();
        store_.run();
    }
    void expect_sound() {
        expect_model();
        EXPECT_EQ(store_.verify(), "");
    }
    size_t segment_files() const {
        return static_cast<size_t>(std::ranges::count_if(disk_.files(), [](const auto& path) {
            return path.find("segment-") != std::string::npos;
        }));
    }
    std::shared_ptr<const Snapshot> snapshot() {
        std::vector<uint64_t> ids;
        for (const auto& run : store_.engine().catalog()->runs()) {
            ids.push_back(run->id);
        }
        return store_.engine().snapshot(ids);
    }
    // Blocks in segments that may hold the metric.
    size_t pieces_of(std::string_view metric) {
        const auto taken = snapshot();
        size_t pieces = 0;
        for (const auto& run : taken->runs()) {
            for (const GroupPieces& group : taken->pieces().find(run->id)->groups) {
                const auto column = group.schema->find(metric);
                for (const SegmentPiece& piece : group.segment_blocks) {
                    const BlockInfo& info = piece.segment->blocks()[piece.block].info;
                    pieces += column && info.may_hold(*column) ? 1U : 0U;
                }
            }
        }
        return pieces;
    }
};

TEST_F(CompactionTest, ManySegmentsBecomeOneAndReadTheSame) {
    SimRandom random(3);
    Workload workload(random, 2);
    for (int i = 0; i < 200; ++i) {
        send(workload.next());
        if (i % 20 == 0) {
            flush();
        }
    }
    flush();
    ASSERT_GT(store_.engine().stats().segments, 5U);
    compact();
    EXPECT_EQ(store_.engine().stats().segments, 1U);
    EXPECT_EQ(segment_files(), 1U);
    EXPECT_GE(store_.engine().stats().merges, 1U);
    expect_sound();
    reopen();
    expect_sound();
}

TEST_F(CompactionTest, ReplacedPointsGoAndTakeNoRoom) {
    for (int round = 0; round < 10; ++round) {
        for (int step = 0; step < 16; ++step) {
            send(one_row("p/r", loss_, step, {round * 0.37 + step}));
        }
        flush();
    }
    compact();
    const auto taken = snapshot();
    uint64_t rows = 0;
    for (const GroupPieces& group : taken->pieces().find(taken->runs()[0]->id)->groups) {
        for (const SegmentPiece& piece : group.segment_blocks) {
            rows += piece.segment->blocks()[piece.block].info.rows;
        }
    }
    EXPECT_EQ(rows, 16U);
    expect_sound();
}

// Every expect_sound() compares the summaries of all series, and of parts of them, with a scan.
TEST_F(CompactionTest, SummariesOfMergedPiecesStayTrueThroughAllThatFollows) {
    SimRandom random(17);
    for (int step = 0; step < 600; ++step) {
        send(one_row("p/r", loss_, step, {0.37 * static_cast<double>(random.below(1000))}));
        if (step % 16 == 15) {
            flush();
        }
    }
    compact();
    auto used = [&, before = uint64_t{0}]() mutable {
        store_.run();
        expect_sound();
        return store_.summaries_used() - std::exchange(before, store_.summaries_used());
    };
    const uint64_t all = used();
    ASSERT_GT(all, 10U);
    EXPECT_EQ(used(), all);
    // A later point leaves them be, a late one takes two of the whole series' out: of the chunk it
    // falls into, in the whole and in the middle.
    send(one_row("p/r", loss_, 1000, {1.0}));
    EXPECT_EQ(used(), all);
    send(one_row("p/r", loss_, 300.5, {-1e9}));
    EXPECT_EQ(used(), all - 2);
    send(one_row("p/r", loss_, 300, {-1e12}));
    EXPECT_EQ(used(), all - 2);
    flush();
    EXPECT_EQ(used(), all - 2);
    compact();
    EXPECT_GE(used(), all - 2);
    reopen();
    EXPECT_GE(used(), all - 2);
}

// Ten points have no summary in their block: it is made when it is asked for, and kept.
TEST_F(CompactionTest, WhatIsKnownOfAShortSeriesIsKeptForTheNextQuery) {
    for (int step = 0; step < 10; ++step) {
        send(one_row("p/r", loss_, step, {step * 0.25}));
    }
    flush();
    const auto cache = std::make_shared<BlockCache>(1U << 20U);
    const auto ask = [&](bool is_kept, uint64_t count) {
        const auto taken = snapshot();
        SnapshotReader reader(store_.files(), taken, nullptr, cache);
        const RunView view(*taken->runs()[0], 0);
        const std::optional<SeriesSummary> kept = reader.kept_summary(view, "loss");
        EXPECT_EQ(kept.has_value(), is_kept);
        EXPECT_EQ(kept ? kept->summary.count : count, count);
        EXPECT_FALSE(reader.kept_summary(view, "other"));
        const Result<Summary> summary =
            run_task(store_.executor(), reader.summarize(view, "loss", KeyRange()));
        ASSERT_TRUE(summary) << summary.error().to_string();
        EXPECT_EQ(summary->count, count);
        EXPECT_EQ(reader.cost().chunks_decoded, is_kept ? 0U : 1U);
        EXPECT_EQ(reader.cost().summaries_used, is_kept ? 2U : 0U);
    };
    ask(false, 10);
    ask(true, 10);
    // A part of it is read.
    const auto taken = snapshot();
    SnapshotReader reader(store_.files(), taken, nullptr, cache);
    const Result<Summary> part = run_task(
        store_.executor(),
        reader.summarize(RunView(*taken->runs()[0], 0), "loss", {key_of_step(3), key_of_step(5)}));
    ASSERT_TRUE(part) << part.error().to_string();
    EXPECT_EQ(part->count, 3U);
    EXPECT_EQ(reader.cost().chunks_decoded, 1U);
    // Rows of the tail are among what is asked for.
    send(one_row("p/r", loss_, 4, {1e9}));
    store_.run();
    const auto with_tail = snapshot();
    SnapshotReader later(store_.files(), with_tail, nullptr, cache);
    const RunView view(*with_tail->runs()[0], 0);
    EXPECT_FALSE(later.kept_summary(view, "loss"));
    const Result<Summary> all =
        run_task(store_.executor(), later.summarize(view, "loss", KeyRange()));
    ASSERT_TRUE(all) << all.error().to_string();
    EXPECT_EQ(all->count, 10U);
    EXPECT_EQ(all->max.value, 1e9);
}

TEST_F(CompactionTest, AbsentValuesOfANewerRowLeaveTheOlderOnesInPlace) {
    const auto both = stepped({"a", "b"});
    send(one_row("p/r", both, 1, {1.5, 2.5}));
    flush();
    send(one_row("p/r", both, 1, {std::nullopt, 3.5}));
    send(one_row("p/r", both, 2, {4.5, std::nullopt}));
    flush();
    compact();
    expect_sound();
}

TEST_F(CompactionTest, ASeriesOfManyWindowsIsInFewBlocksWhateverTheOrderOfItsRows) {
    SimRandom random(5);
    for (int i = 0; i < 3000; ++i) {
        const double step = i % 3 == 0 ? static_cast<double>(random.below(3000)) : i;
        send(one_row("p/r", loss_, step, {Workload::any_value(random)}));
        if (i % 500 == 499) {
            flush();
        }
    }
    flush();
    const size_t before = pieces_of("loss");
    compact();
    // Windows of 64 rows of at most 3000 keys.
    EXPECT_LE(pieces_of("loss"), 3000U / 64 * 2);
    EXPECT_LT(pieces_of("loss"), before / 2);
    expect_sound();
    // And rows that come later are merged with what is there.
    send(one_row("p/r", loss_, 7, {0.125}));
    send(one_row("p/r", loss_, 7000, {0.25}));
    flush();
    compact();
    expect_sound();
}

TEST_F(CompactionTest, AWideRunIsSharedOutByColumnsAndASeriesLooksIntoItsOwnBlocksAlone) {
    std::vector<std::string> metrics;
    metrics.reserve(300);
    for (int i = 0; i < 300; ++i) {
        metrics.push_back(fmt::format("layers/{}/norm", i));
    }
    const auto wide = stepped(metrics);
    SimRandom random(6);
    for (int step = 0; step < 40; ++step) {
        std::vector<std::optional<double>> values;
        values.reserve(300);
        for (int i = 0; i < 300; ++i) {
            values.push_back(random.below(4) == 0 ? std::optional<double>()
                                                  : Workload::any_value(random));
        }
        // Blocks overlap.
        send(one_row("p/r", wide, step * 7 % 40, values));
        if (step % 10 == 9) {
            flush();
        }
    }
    compact();
    EXPECT_GT(store_.engine().stats().segment_blocks, 10U);
    EXPECT_EQ(pieces_of("layers/150/norm"), 1U);
    expect_sound();
    send(one_row("p/r", wide, 20, std::vector<std::optional<double>>(300, 0.5)));
    send(one_row("p/r", wide, 90, std::vector<std::optional<double>>(300, 0.5)));
    flush();
    compact();
    expect_sound();
}

TEST_F(CompactionTest, ASnapshotKeepsTheFilesItReadsUntilItIsLetGo) {
    for (int step = 0; step < 200; ++step) {
        send(one_row("p/r", loss_, step, {0.5 * step}));
        if (step % 40 == 39) {
            flush();
        }
    }
    auto taken = snapshot();
    const size_t before = segment_files();
    const ReferenceModel model = model_;
    send(one_row("p/r", loss_, 10, {99.0}));
    flush();
    compact();
    EXPECT_GE(segment_files(), before + 1);
    const auto kept = store_.contents(taken);
    ASSERT_TRUE(kept.has_value()) << kept.error().to_string();
    EXPECT_EQ(describe_difference(model.contents(), *kept), "");
    taken.reset();
    store_.run();
    EXPECT_EQ(segment_files(), 1U);
    expect_sound();
}

TEST_F(CompactionTest, AFullDiskEndsItAndLeavesEverythingAsItWas) {
    SimRandom random(8);
    for (int step = 0; step < 400; ++step) {
        send(one_row("p/r", loss_, step, {Workload::any_value(random)}));
        if (step % 80 == 79) {
            flush();
        }
    }
    const uint64_t segments = store_.engine().stats().segments;
    const size_t files = segment_files();
    disk_.set_capacity(disk_.used_bytes());
    const Status full = store_.compact();
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), ErrorCode::kResourceExhausted) << full.error().to_string();
    EXPECT_EQ(store_.engine().stats().segments, segments);
    EXPECT_EQ(segment_files(), files);
    EXPECT_FALSE(store_.engine().read_only_reason());
    expect_sound();
    disk_.set_capacity(1U << 30U);
    compact();
    EXPECT_EQ(store_.engine().stats().segments, 1U);
    expect_sound();
}

TEST_F(CompactionTest, ADamagedBlockIsCarriedAlongAndEverythingElseIsMerged) {
    for (int round = 0; round < 5; ++round) {
        send(one_row("p/a", loss_, round, {1.5}));
        send(one_row("p/b", loss_, round, {2.5 * round}));
        flush();
    }
    // The axis of the first segment's first block, which is of run a.
    const std::string damaged = find_file("segment-");
    ASSERT_TRUE(disk_.flip_byte(damaged, 4096 + 3));
    const auto read = [&](std::string_view run, KeyRange range) -> Result<size_t> {
        const auto taken = snapshot();
        SnapshotReader reader(store_.files(), taken);
        const auto runs = taken->runs();
        const auto at = std::ranges::find(runs, run, &stepdb::Run::name);
        const auto cursor = reader.open_series({**at, 0}, "loss", range);
        Points batch;
        size_t points = 0;
        while (true) {
            TRY_ASSIGN(const bool more, run_task(store_.executor(), cursor->next(batch)));
            if (!more) {
                return points;
            }
            points += batch.size();
        }
    };
    for (int round = 0; round < 2; ++round) {
        compact();
        EXPECT_EQ(store_.engine().stats().segments, 1U);
        EXPECT_FALSE(store_.engine().stats().merge_error);
        EXPECT_EQ(segment_files(), 1U);
        EXPECT_EQ(read("b", {}).value(), 5U);
        EXPECT_EQ(read("a", {key_of_step(1), kKeyMax}).value(), 4U + static_cast<size_t>(round));
        const auto lost = read("a", {});
        ASSERT_FALSE(lost.has_value());
        EXPECT_NE(lost.error().message().find("damaged already at offset 4096 of segment-"),
                  std::string::npos)
            << lost.error().message();
        EXPECT_NE(store_.verify().find("damaged already at"), std::string::npos);
        // And again, with more beside it.
        send(one_row("p/a", loss_, 100 + round, {1.0}));
        send(one_row("p/b", loss_, round, {0.25}));
        flush();
        reopen();
    }
    // It goes with its run.
    writer_.send_life("p/a", encode_delete_run_frame);
    model_.delete_run("p/a");
    store_.run();
    flush();
    compact();
    expect_sound();
}

// Blocks of wide rows have several strips.
class WideCompactionTest : public CompactionTest {
  protected:
    WideCompactionTest() : CompactionTest(wide_options()) {}

    static EngineOptions wide_options() {
        EngineOptions options = quiet_options();
        options.tail_bytes_max = 1U << 20U;
        options.log_file_bytes = 1U << 20U;
        options.log_live_bytes_max = 4U << 20U;
        options.memory_blocks_bytes_max = 1U << 20U;
        return options;
    }
};

TEST_F(WideCompactionTest, WhatIsWholeOfADamagedBlockIsReadAsBefore) {
    std::vector<std::string> metrics;
    metrics.reserve(400);
    for (int metric = 0; metric < 400; ++metric) {
        metrics.push_back(fmt::format("m{:03}", metric));
    }
    const auto wide = stepped(metrics);
    SimRandom random(11);
    for (int round = 0; round < 3; ++round) {
        for (int step = 0; step < 16; ++step) {
            std::vector<std::optional<double>> values;
            values.reserve(metrics.size());
            for (size_t i = 0; i < metrics.size(); ++i) {
                values.emplace_back(static_cast<double>(random.below(1U << 30U)) / 7);
            }
            send(one_row("p/w", wide, 16 * round + step, std::move(values)));
        }
        flush();
    }
    // The last strip of the first block: that of the last metrics.
    const auto before = snapshot();
    const GroupPieces& group = before->pieces().find(before->runs()[0]->id)->groups.front();
    const SegmentPiece piece = group.segment_blocks.front();
    const SegmentBlock& block = piece.segment->blocks()[piece.block];
    ASSERT_TRUE(disk_.flip_byte(piece.segment->path(), block.summaries_offset() - 5));
    compact();
    EXPECT_EQ(store_.engine().stats().segments, 1U);
    EXPECT_EQ(store_.engine().stats().damaged_blocks, 1U);
    const auto after = snapshot();
    SnapshotReader reader(store_.files(), after);
    const auto summary = [&](std::string_view metric) {
        return run_task(store_.executor(),
                        reader.summarize({*after->runs()[0], 0}, metric, KeyRange()));
    };
    EXPECT_EQ(summary("m000").value().count, 48U);
    EXPECT_EQ(summary("m200").value().count, 48U);
    const auto lost = summary("m399");
    ASSERT_FALSE(lost.has_value());
    EXPECT_NE(lost.error().message().find("strip"), std::string::npos) << lost.error().message();
    EXPECT_NE(store_.verify().find("strip"), std::string::npos);
}

TEST_F(CompactionTest, MergesStartByThemselvesAfterFlushesAndInASettledStore) {
    writer_.disconnect();
    ASSERT_TRUE(store_.close().has_value());
    SimStore busy(disk_, 9);
    ASSERT_TRUE(busy.open().has_value());
    writer_.connect(busy);
    for (int step = 0; step < 320; ++step) {
        send(one_row("p/r", loss_, step, {0.37 * step}));
        if (step % 40 == 39) {
            busy.run();
            ASSERT_TRUE(busy.flush().has_value());
            busy.engine().tick();
            busy.run();
        }
    }
    EXPECT_LE(busy.engine().stats().segments, 4U);
    EXPECT_GE(busy.engine().stats().merges, 1U);
    for (int step = 400; step < 800; ++step) {
        send(one_row("p/other", loss_, step, {0.37 * step}));
    }
    busy.run();
    ASSERT_TRUE(busy.flush().has_value());
    for (int second = 0; second < 8; ++second) {
        busy.engine().tick();
        busy.run();
        busy.clock().advance(1'000'000);
    }
    EXPECT_LE(busy.engine().stats().series_blocks_max, 12U);
    const auto got = busy.contents();
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_EQ(describe_difference(model_.contents(), *got), "");
    writer_.disconnect();
    ASSERT_TRUE(busy.close().has_value());
    ASSERT_TRUE(store_.open().has_value());
}

TEST_F(CompactionTest, QuietRunsGetASegmentOfTheirOwnBesideABusyOne) {
    std::vector<std::string> metrics;
    metrics.reserve(64);
    for (int metric = 0; metric < 64; ++metric) {
        metrics.push_back(fmt::format("m{}", metric));
    }
    const auto wide = stepped(metrics);
    std::mt19937_64 random(3);
    for (int step = 0; step < 256; ++step) {
        std::vector<std::optional<double>> values;
        for (size_t i = 0; i < metrics.size(); ++i) {
            values.emplace_back(std::bit_cast<double>(random() >> 2U));
        }
        send(one_row("p/busy", wide, step, values));
        if (step % 8 == 0) {
            send(one_row(fmt::format("p/quiet-{}", step), loss_, step, {0.5 * step}));
        }
    }
    flush();
    EXPECT_EQ(store_.engine().stats().segments, 2U);
    expect_sound();
    reopen();
    expect_sound();
    // Alone they are one segment.
    for (int run = 0; run < 256; run += 8) {
        send(one_row(fmt::format("p/quiet-{}", run), loss_, 1000, {0.25}));
    }
    flush();
    EXPECT_EQ(store_.engine().stats().segments, 3U);
    compact();
    EXPECT_EQ(store_.engine().stats().segments, 1U);
    expect_sound();
}

TEST_F(CompactionTest, AMetricOfSeveralSchemasBecomesOneSequenceOfBlocks) {
    const auto train = stepped({"loss", "epoch"});
    const auto eval = stepped({"epoch", "accuracy"});
    for (int step = 0; step < 64; ++step) {
        send(one_row("p/r", train, step, {0.37 * step, 0.1 * step}));
        if (step % 4 == 0) {
            send(one_row("p/r", eval, step + 0.5, {0.1 * step, 0.9}));
        }
        if (step % 16 == 15) {
            flush();
        }
    }
    const size_t schemas = store_.engine().stats().schemas;
    compact();
    EXPECT_EQ(pieces_of("epoch"), 2U);  // windows of 64 rows, and there are 80
    EXPECT_EQ(pieces_of("loss"), 1U);
    EXPECT_EQ(pieces_of("accuracy"), 1U);
    EXPECT_EQ(store_.engine().stats().schemas, schemas + 1);
    expect_sound();
    reopen();
    expect_sound();
    // Rows that come later join the same sequence, and more schemas are not made.
    send(one_row("p/r", eval, 3, {7.0, 8.0}));
    send(one_row("p/r", train, 70, {7.5, 8.5}));
    flush();
    compact();
    EXPECT_EQ(pieces_of("epoch"), 2U);
    EXPECT_EQ(store_.engine().stats().schemas, schemas + 1);
    expect_sound();
}

TEST_F(CompactionTest, RowsAreCountedOnceWhereverTheirColumnsWent) {
    const auto train = stepped({"epoch", "loss"});
    const auto eval = stepped({"epoch", "accuracy"});
    for (int step = 0; step < 40; ++step) {
        send(one_row("p/r", train, step, {0.5, 1.5}));
        send(one_row("p/r", eval, step + 0.5, {0.1, 0.9}));
        if (step % 10 == 9) {
            flush();
        }
    }
    send(one_row("p/gone", train, 1, {1.0, 2.0}));
    flush();
    compact();
    ASSERT_EQ(pieces_of("epoch"), 3U) << "two of r, one of gone: apart from the other columns";
    send(one_row("p/r", train, 100, {1.0, 2.0}));
    store_.run();
    const auto sound = store_.verify_report();
    ASSERT_TRUE(sound.has_value());
    EXPECT_EQ(sound->rows, 82U);
    EXPECT_EQ(sound->points, 164U);
    EXPECT_EQ(sound->deleted_rows, 0U);
    // A run that was deleted has no rows, neither those in segments nor those in the log.
    send(one_row("p/gone", train, 2, {1.0, 2.0}));
    writer_.send_life("p/gone", encode_delete_run_frame);
    store_.run();
    const auto deleted = store_.verify_report();
    ASSERT_TRUE(deleted.has_value());
    EXPECT_TRUE(deleted->good());
    EXPECT_EQ(deleted->rows, 81U);
    EXPECT_EQ(deleted->points, 162U);
    EXPECT_EQ(deleted->deleted_rows, 2U);
}

TEST_F(CompactionTest, LateRowsAreCountedAsBeforeWhereverTheirBlocksWent) {
    const auto a = stepped({"x"});
    const auto b = stepped({"x", "y"});
    send(one_row("p/r", a, 10, {1.5}));
    send(one_row("p/r", b, 20, {2.5, 3.5}));
    flush();
    compact();
    reopen();
    const uint64_t before = writer_.late_rows();
    send(one_row("p/r", a, 15, {1.0}));
    send(one_row("p/r", b, 15, {1.0, 1.0}));
    store_.run();
    EXPECT_EQ(writer_.late_rows() - before, 1U);
    expect_sound();
}

TEST_F(CompactionTest, AMetricWithoutAValueStaysKnown) {
    const auto a = stepped({"loss", "never"});
    const auto b = stepped({"loss"});
    send(one_row("p/r", a, 1, {1.5, std::nullopt}));
    send(one_row("p/r", b, 2, {2.5}));
    flush();
    const auto before = snapshot();
    const auto metrics = before->metrics({*before->runs()[0], 0});
    compact();
    compact();
    const auto after = snapshot();
    const auto still = after->metrics({*after->runs()[0], 0});
    ASSERT_EQ(still.size(), 2U);
    EXPECT_EQ(still.size(), metrics.size());
    expect_sound();
}

}  // namespace stepdb::compaction_test
