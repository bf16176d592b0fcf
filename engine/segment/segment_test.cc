#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/codec/varint.h"
#include "engine/segment/segment_copy.h"
#include "engine/segment/segment_reader.h"
#include "engine/segment/segment_writer.h"
#include "tests/support/sim_file_system.h"

namespace stepdb::segment_test {

using testing::HasSubstr;

constexpr uint64_t kFileId = 41;
constexpr const char* kPath = "d/segment-000041";

Id128 store_id() {
    Id128 store;
    store.bytes[0] = std::byte{0x5D};
    return store;
}

double value_at(uint64_t run, size_t row, uint32_t column) {
    return static_cast<double>(run * 1000 + row) + static_cast<double>(column) / 8;
}

std::shared_ptr<const EncodedBlock> make_block(uint64_t run, uint32_t attempt, uint64_t schema,
                                               size_t rows, uint32_t columns, uint64_t sequence,
                                               size_t summary_values_min = kSummaryValuesMin) {
    BlockInfo info;
    info.run = run;
    info.attempt = attempt;
    info.schema = schema;
    info.columns = columns;
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
    for (size_t row = 0; row < rows; ++row) {
        keys.push_back(key_of_step(static_cast<double>(row)));
        times.push_back(static_cast<int64_t>(1700000000000000 + row));
        sequences.push_back(sequence + row);
    }
    BlockBuilder builder(info, keys, times, sequences, summary_values_min);
    std::vector<double> values(rows);
    for (uint32_t column = 0; column < columns; ++column) {
        if (column % 3 == 2) {
            continue;
        }
        for (size_t row = 0; row < rows; ++row) {
            values[row] = value_at(run, row, column);
        }
        builder.add_column(column, values, {});
    }
    return builder.finish();
}

SegmentNames make_names() {
    SegmentNames names;
    names.runs.push_back({1, "gpt", "run-1"});
    names.runs.push_back({2, "gpt", "run-2"});
    names.schemas.push_back({7, std::make_shared<const Schema>(*Schema::create(
                                    Axis::kStepped, {"train/loss", "lr", "absent", "norm"}))});
    return names;
}

class SegmentTest : public testing::Test {
  protected:
    std::shared_ptr<const SegmentMeta> write(
        FileSystem& files, std::vector<std::shared_ptr<const EncodedBlock>> blocks) {
        auto meta = run_task(executor_, write_segment(files, kPath, store_id(), kFileId,
                                                      std::move(blocks), make_names()));
        CHECK(meta, "{}", meta.error().to_string());
        return *meta;
    }

    std::vector<std::shared_ptr<const EncodedBlock>> small_blocks() {
        return {make_block(2, 0, 7, 5, 4, 300), make_block(1, 1, 7, 3, 4, 200),
                make_block(1, 0, 7, 4, 4, 100), make_block(1, 0, 7, 4, 4, 50)};
    }

    SimExecutor executor_;
    SimDisk disk_{{"d"}};
};

TEST_F(SegmentTest, BlocksComeBackSortedWithTheirNames) {
    SimFileSystem files(disk_, executor_);
    const auto written = write(files, small_blocks());
    const auto opened = run_task(executor_, open_segment(files, kPath, store_id(), kFileId));
    ASSERT_TRUE(opened) << opened.error().to_string();
    const SegmentMeta& segment = **opened;
    ASSERT_EQ(segment.blocks().size(), 4U);
    EXPECT_EQ(segment.blocks()[0].info.sequence_min, 100U);
    EXPECT_EQ(segment.blocks()[1].info.sequence_min, 50U);
    EXPECT_EQ(segment.blocks()[2].info.attempt, 1U);
    EXPECT_EQ(segment.blocks()[3].info.run, 2U);
    EXPECT_EQ(segment.blocks_of_run(1), (std::pair<size_t, size_t>{0, 3}));
    EXPECT_EQ(segment.blocks_of_run(2), (std::pair<size_t, size_t>{3, 4}));
    EXPECT_EQ(segment.blocks_of_run(9).first, segment.blocks_of_run(9).second);
    EXPECT_EQ(segment.file_bytes(), written->file_bytes());
    EXPECT_EQ(disk_.contents(kPath)->size(), segment.file_bytes());
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(segment.blocks()[i].offset, written->blocks()[i].offset);
        EXPECT_EQ(segment.blocks()[i].axis_checksum, written->blocks()[i].axis_checksum);
    }

    auto file = std::move(run_task(executor_, files.open(kPath, OpenMode::kRead))).value();
    const auto names = run_task(executor_, read_names(*file, segment));
    ASSERT_TRUE(names) << names.error().to_string();
    ASSERT_EQ(names->runs.size(), 2U);
    EXPECT_EQ(names->runs[1].project, "gpt");
    EXPECT_EQ(names->runs[1].name, "run-2");
    ASSERT_EQ(names->schemas.size(), 1U);
    EXPECT_EQ(names->schemas[0].id, 7U);
    EXPECT_EQ(names->schemas[0].schema->metric(0), "train/loss");

    for (size_t block = 0; block < 4; ++block) {
        const BlockInfo& info = segment.blocks()[block].info;
        const auto axis = run_task(executor_, read_axis(*file, segment, block));
        ASSERT_TRUE(axis) << axis.error().to_string();
        EXPECT_EQ(axis->keys.size(), info.rows);
        for (uint32_t column = 0; column < 4; ++column) {
            const auto values = run_task(executor_, read_column(*file, segment, block, column));
            ASSERT_TRUE(values) << values.error().to_string();
            ASSERT_EQ(values->values.size(), column == 2 ? 0 : info.rows);
            for (size_t row = 0; row < values->values.size(); ++row) {
                EXPECT_EQ(values->values[row], value_at(info.run, row, column));
            }
        }
    }
}

TEST_F(SegmentTest, LargeSegmentIsWrittenInPiecesAndVerifies) {
    SimFileSystem files(disk_, executor_);
    std::vector<std::shared_ptr<const EncodedBlock>> blocks;
    for (uint64_t i = 0; i < 30; ++i) {
        blocks.push_back(make_block(1, 0, 7, 500, 60, i * 500));
    }
    blocks.push_back(make_block(2, 0, 7, 1, 400000, 0));
    const auto meta = write(files, std::move(blocks));
    EXPECT_GT(meta->file_bytes(), uint64_t{1} << 20U);
    const Status verified = run_task(executor_, verify_segment(files, kPath, store_id(), kFileId));
    EXPECT_TRUE(verified) << verified.error().to_string();
}

TEST_F(SegmentTest, SurvivesAPowerCutOnceFileAndDirectoryAreSynced) {
    {
        SimFileSystem files(disk_, executor_);
        write(files, small_blocks());
        EXPECT_EQ(files.count_syncs(SyncSite::kSegmentData), 1U);
        ASSERT_TRUE(run_task(executor_, files.sync_directory("d", SyncSite::kFlushDirectory)));
        SimRandom random(1);
        files.crash(CrashKind::kPowerCut, random);
    }
    SimFileSystem files(disk_, executor_);
    EXPECT_TRUE(run_task(executor_, verify_segment(files, kPath, store_id(), kFileId)));
}

TEST_F(SegmentTest, FullDiskIsAnErrorThatNamesTheFile) {
    disk_.set_capacity(8192);
    SimFileSystem files(disk_, executor_);
    const auto meta = run_task(
        executor_, write_segment(files, kPath, store_id(), kFileId, small_blocks(), make_names()));
    ASSERT_FALSE(meta);
    EXPECT_EQ(meta.error().code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(meta.error().message(), HasSubstr("segment-000041"));
}

TEST_F(SegmentTest, EveryFlippedByteIsFoundAndNamesTheFile) {
    {
        SimFileSystem files(disk_, executor_);
        write(files, small_blocks());
    }
    const std::vector<std::byte> good = *disk_.contents(kPath);
    for (size_t at = 0; at < good.size(); ++at) {
        const std::byte mask = at % 3 == 0 ? std::byte{0xFF} : std::byte{1} << (at % 8);
        ASSERT_TRUE(disk_.flip_byte(kPath, at, mask));
        SimFileSystem files(disk_, executor_);
        const Status verified =
            run_task(executor_, verify_segment(files, kPath, store_id(), kFileId));
        ASSERT_FALSE(verified) << "byte " << at;
        ASSERT_TRUE(verified.error().code() == ErrorCode::kCorruption ||
                    verified.error().code() == ErrorCode::kUnsupportedVersion)
            << verified.error().to_string();
        ASSERT_THAT(verified.error().message(), HasSubstr(kPath));
        ASSERT_TRUE(disk_.flip_byte(kPath, at, mask));
    }
    SimFileSystem files(disk_, executor_);
    EXPECT_TRUE(run_task(executor_, verify_segment(files, kPath, store_id(), kFileId)));
}

// The block index in an older format: without its last columns of integers.
std::vector<std::byte> older_index(Bytes index, uint8_t format, size_t columns, size_t blocks) {
    std::vector<std::byte> older(index.begin(), index.begin() + 4);
    older[0] = static_cast<std::byte>(format);
    ByteReader reader(index.subspan(4));
    constexpr size_t kColumns = 19;
    for (size_t column = 0; column < kColumns; ++column) {
        uint64_t bytes = 0;
        EXPECT_TRUE(read_varint(reader, bytes));
        const Bytes part = reader.get_bytes(bytes);
        if (column < columns) {
            append_varint(older, bytes);
            older.insert(older.end(), part.begin(), part.end());
        }
    }
    const Bytes checksums = reader.get_bytes(2 * sizeof(uint64_t) * blocks);
    older.insert(older.end(), checksums.begin(), checksums.end());
    EXPECT_TRUE(reader.finished());
    return older;
}

// In memory they have summaries from few values on; a file keeps those of long blocks alone.
TEST_F(SegmentTest, SummariesOfShortBlocksStayInMemory) {
    constexpr auto kShort = static_cast<uint32_t>(kSummaryValuesMin - 1);
    SimFileSystem files(disk_, executor_);
    const auto segment = write(files, {make_block(1, 0, 7, kShort, 4, 100, 3),
                                       make_block(2, 0, 7, kShort + 1, 4, 9000, 3)});
    auto file = std::move(run_task(executor_, files.open(kPath, OpenMode::kRead))).value();
    EXPECT_EQ(segment->blocks()[0].info.summaries_bytes, 0U);
    EXPECT_TRUE(run_task(executor_, read_summaries(*file, *segment, 0))->empty());
    EXPECT_EQ(run_task(executor_, read_summaries(*file, *segment, 1))->size(), 3U);
    EXPECT_TRUE(run_task(executor_, verify_segment(files, kPath, store_id(), kFileId)));
}

TEST(BlockIndex, OlderFormatsAreReadAndNewerOnesRefused) {
    std::vector<SegmentBlock> blocks(3);
    uint64_t end = kFileHeaderBytes;
    for (SegmentBlock& block : blocks) {
        const uint64_t number = static_cast<uint64_t>(&block - blocks.data()) + 1;
        block.info = make_block(number, 0, 7, 5, 4, 100 * number)->info;
        block.axis_checksum = number;
        block.directory_checksum = 10 * number;
        end += block.info.total_bytes();
    }
    std::vector<std::byte> index = encode_block_index(blocks);
    const auto second = decode_block_index(older_index(index, 2, 17, 3), 3, end);
    ASSERT_TRUE(second.has_value()) << second.error().to_string();
    EXPECT_EQ((*second)[2].info.end_column, 4U);
    EXPECT_EQ((*second)[2].directory_checksum, 30U);
    EXPECT_EQ((*second)[2].info.summaries_bytes, 0U);
    EXPECT_EQ((*second)[2].damaged, nullptr);
    // Which columns have values is not known: all may.
    const auto first = decode_block_index(older_index(index, 1, 15, 3), 3, end);
    ASSERT_TRUE(first.has_value()) << first.error().to_string();
    EXPECT_EQ((*first)[1].info.first_column, 0U);
    EXPECT_EQ((*first)[1].info.end_column, 4U);
    index[0] = std::byte{4};
    EXPECT_EQ(decode_block_index(index, 3, end).error().code(), ErrorCode::kUnsupportedVersion);
    index[0] = std::byte{0};
    EXPECT_EQ(decode_block_index(index, 3, end).error().code(), ErrorCode::kUnsupportedVersion);
}

TEST_F(SegmentTest, DamagedBlockIsNamedAndItsNeighboursAreReadable) {
    SimFileSystem files(disk_, executor_);
    const auto meta = write(files, small_blocks());
    ASSERT_TRUE(disk_.flip_byte(kPath, meta->blocks()[1].strips_offset()));
    auto file = std::move(run_task(executor_, files.open(kPath, OpenMode::kRead))).value();
    const auto damaged = run_task(executor_, read_column(*file, *meta, 1, 0));
    ASSERT_FALSE(damaged);
    EXPECT_EQ(damaged.error().code(), ErrorCode::kCorruption);
    EXPECT_THAT(damaged.error().message(), HasSubstr("block 1 (run 1, attempt 0, schema 7)"));
    EXPECT_THAT(damaged.error().message(), HasSubstr("expected"));
    EXPECT_TRUE(run_task(executor_, read_axis(*file, *meta, 1)));
    EXPECT_TRUE(run_task(executor_, read_column(*file, *meta, 0, 0)));
    EXPECT_TRUE(run_task(executor_, read_column(*file, *meta, 2, 0)));
}

TEST_F(SegmentTest, FileOfAnotherStoreIdOrLengthIsRefused) {
    {
        SimFileSystem files(disk_, executor_);
        write(files, small_blocks());
        const auto other_store = run_task(executor_, open_segment(files, kPath, Id128{}, kFileId));
        ASSERT_FALSE(other_store);
        EXPECT_THAT(other_store.error().message(), HasSubstr("belongs to store"));
        const auto other_id = run_task(executor_, open_segment(files, kPath, store_id(), 42));
        ASSERT_FALSE(other_id);
        EXPECT_THAT(other_id.error().message(), HasSubstr("file id 41, expected 42"));
        EXPECT_FALSE(run_task(executor_, open_segment(files, "d/none", store_id(), kFileId)));
    }
    std::vector<std::byte> bytes = *disk_.contents(kPath);
    for (const size_t length : {size_t{0}, size_t{100}, kPageBytes, 2 * kPageBytes,
                                bytes.size() - 1, bytes.size() + 1, bytes.size() + kPageBytes}) {
        std::vector<std::byte> cut = bytes;
        cut.resize(length);
        disk_.put_file(kPath, cut);
        SimFileSystem files(disk_, executor_);
        const auto opened = run_task(executor_, open_segment(files, kPath, store_id(), kFileId));
        ASSERT_FALSE(opened) << length;
        EXPECT_EQ(opened.error().code(), ErrorCode::kCorruption) << length;
    }
}

// Lets every piece be written, or none.
struct Pace final : WritePace {
    Task<Status> next(size_t bytes) override {
        written += bytes;
        co_return status;
    }

    Status status;
    size_t written = 0;
};

Task<Status> copy_to(FileSystem& files, std::string path, WritePace& pace) {
    const Result<std::shared_ptr<const SegmentMeta>> segment =
        co_await open_segment(files, kPath, store_id(), kFileId);
    if (!segment) {
        co_return segment.error();
    }
    const Result<std::unique_ptr<File>> from = co_await files.open(kPath, OpenMode::kRead);
    const Result<std::unique_ptr<File>> to = co_await files.open(path, OpenMode::kCreate);
    if (!from || !to) {
        co_return Error(ErrorCode::kNotFound, "cannot be opened");
    }
    PacedWriter writer(**to, pace, kPageBytes);
    const Status copied = co_await copy_segment(**from, **segment, writer);
    if (!copied) {
        co_return copied;
    }
    co_return co_await writer.finish();
}

TEST_F(SegmentTest, ACopyIsTheSameBytes) {
    SimFileSystem files(disk_, executor_);
    std::vector<std::shared_ptr<const EncodedBlock>> blocks = small_blocks();
    blocks.push_back(make_block(3, 0, 7, 3000, 4, 1000, 100));
    write(files, std::move(blocks));
    Pace pace;
    const Status copied = run_task(executor_, copy_to(files, "d/copy", pace));
    ASSERT_TRUE(copied) << copied.error().to_string();
    EXPECT_EQ(disk_.contents("d/copy"), disk_.contents(kPath));
    EXPECT_EQ(pace.written, disk_.contents(kPath)->size());
    pace.status = Error(ErrorCode::kCancelled, "as asked");
    const Status ended = run_task(executor_, copy_to(files, "d/none", pace));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), ErrorCode::kCancelled);
}

// Whatever byte is damaged, it is found before it is written, or it is padding, which is made good.
TEST_F(SegmentTest, NoDamagedByteIsCopied) {
    SimFileSystem files(disk_, executor_);
    write(files, small_blocks());
    const std::vector<std::byte> whole = *disk_.contents(kPath);
    size_t found = 0;
    for (size_t offset = 0; offset < whole.size(); offset += 3) {
        ASSERT_TRUE(disk_.flip_byte(kPath, offset));
        Pace pace;
        const std::string to = fmt::format("d/copy-{}", offset);
        const Status copied = run_task(executor_, copy_to(files, to, pace));
        if (copied) {
            ASSERT_EQ(*disk_.contents(to), whole) << offset;
        } else {
            ++found;
            ASSERT_EQ(copied.error().code(), ErrorCode::kCorruption) << copied.error().to_string();
            ASSERT_THAT(copied.error().message(), HasSubstr(kPath));
        }
        ASSERT_TRUE(disk_.flip_byte(kPath, offset));
    }
    EXPECT_GT(found, 2 * kPageBytes / 3);
}

}  // namespace stepdb::segment_test
