#include <gtest/gtest.h>

#include "engine/model/frame.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/log_writer.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"

namespace stepdb::log_test {

std::vector<std::byte> frame_of(uint64_t number, size_t body_bytes) {
    FrameBuilder builder(FrameType::kRows, number);
    builder.writer().put_zeros(body_bytes);
    return builder.finish();
}

// A writer over a simulated disk that makes its log files without a manifest.
class LogTest : public ::testing::Test, public LogWriter::Owner {
  protected:
    LogTest() : disk_({"d"}), files_(disk_, executor_) { open(1); }

    void open(uint64_t next_sequence) {
        LogWriterOptions options;
        options.store = store_;
        options.epoch = 1;
        options.next_sequence = next_sequence;
        options.file_bytes = 64 << 10;
        options.group_bytes_max = 16 << 10;
        options.group_bytes_eager = 8 << 10;
        options.groups_in_flight_max = 4;
        writer_ = std::make_unique<LogWriter>(executor_, options, *this);
        writer_->set_on_file_begun(
            [this](uint64_t id, uint64_t first) { begun_.emplace_back(id, first); });
        on_log_file_wanted();
    }

    void on_log_durable(uint64_t sequence) override { durable_ = sequence; }
    void on_log_failed(const Error& error) override { failure_ = error.message(); }
    void on_log_file_wanted() override {
        const uint64_t id = next_file_id_++;
        start(files_.open(path(id), OpenMode::kCreate),
              [this, id](Result<std::unique_ptr<File>> file) {
                  ASSERT_TRUE(file.has_value());
                  writer_->add_file(std::make_shared<LogFile>(id, std::move(*file)));
              });
    }

    static std::string path(uint64_t id) { return "d/log-" + std::to_string(id); }

    void append(uint64_t number, size_t body_bytes, uint32_t rows = 1) {
        RecordHeader header;
        header.run = 3;
        header.frame_number = number;
        header.sequence_count = rows;
        const std::vector<std::byte> frame = frame_of(number, body_bytes);
        const LoggedFrame logged = writer_->append(header, frame);
        EXPECT_TRUE(std::ranges::equal(logged.bytes, frame));
    }

    Result<LogFileContents> read(uint64_t id, uint64_t expected, std::vector<uint64_t>& numbers) {
        auto file = run_task(executor_, files_.open(path(id), OpenMode::kRead));
        RecordVisitor visit = [&](const RecordHeader& header, Bytes) -> Status {
            numbers.push_back(header.frame_number);
            return {};
        };
        AlignedBuffer buffer;
        return run_task(executor_, read_log_file(**file, path(id), LogPlace{store_, id}, expected,
                                                 std::move(visit), buffer));
    }

    SimDisk disk_;
    SimExecutor executor_;
    SimFileSystem files_;
    Id128 store_ = sha256_128(as_bytes("store"));
    std::unique_ptr<LogWriter> writer_;
    uint64_t next_file_id_ = 1;
    uint64_t durable_ = 0;
    std::string failure_;
    std::vector<std::pair<uint64_t, uint64_t>> begun_;
};

TEST_F(LogTest, FramesOfOneTurnShareAGroup) {
    for (uint64_t i = 1; i <= 10; ++i) {
        append(i, 100, 2);
    }
    EXPECT_EQ(durable_, 0U);
    executor_.run_until_idle();
    EXPECT_EQ(durable_, 20U);
    EXPECT_EQ(writer_->groups_written(), 1U);
    std::vector<uint64_t> numbers;
    const auto contents = read(1, 1, numbers);
    ASSERT_TRUE(contents.has_value()) << contents.error().to_string();
    EXPECT_EQ(contents->next_sequence, 21U);
    EXPECT_EQ(contents->torn_bytes, 0U);
    EXPECT_EQ(numbers, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(LogTest, AFrameLargerThanAGroupGetsAGroupOfItsOwn) {
    append(1, 10);
    append(2, 200'000);
    append(3, 10);
    executor_.run_until_idle();
    EXPECT_EQ(durable_, 3U);
    EXPECT_EQ(writer_->groups_written(), 2U) << "the third fills up the second's last page";
    ASSERT_EQ(begun_.size(), 2U) << "the large one does not fit behind the first";
    EXPECT_EQ(begun_[1], (std::pair<uint64_t, uint64_t>{2, 2}));
}

TEST_F(LogTest, FilesFollowEachOtherWithoutAGap) {
    for (uint64_t i = 1; i <= 200; ++i) {
        append(i, 3000);
        if (i % 3 == 0) {
            executor_.run_one();
        }
    }
    executor_.run_until_idle();
    EXPECT_EQ(durable_, 200U);
    EXPECT_GT(begun_.size(), 5U);
    uint64_t expected = 1;
    std::vector<uint64_t> numbers;
    for (const auto& [id, first] : begun_) {
        EXPECT_EQ(first, expected);
        const auto contents = read(id, expected, numbers);
        ASSERT_TRUE(contents.has_value()) << contents.error().to_string();
        expected = contents->next_sequence;
    }
    EXPECT_EQ(expected, 201U);
    EXPECT_EQ(numbers.size(), 200U);
}

TEST_F(LogTest, ADamagedEndIsTornADamagedMiddleIsCorruption) {
    for (uint64_t i = 1; i <= 3; ++i) {
        append(i, 100);
        executor_.run_until_idle();
    }
    ASSERT_EQ(writer_->groups_written(), 3U);
    std::vector<uint64_t> numbers;
    disk_.flip_byte(path(1), kLogFirstGroupOffset + 2 * kPageBytes + 200);
    auto contents = read(1, 1, numbers);
    ASSERT_TRUE(contents.has_value());
    EXPECT_EQ(contents->next_sequence, 3U);
    EXPECT_EQ(contents->torn_bytes, kPageBytes);

    EXPECT_TRUE(contents->damage.empty());

    // The header of the third group is whole: it says that the second was durable.
    disk_.flip_byte(path(1), kLogFirstGroupOffset + 200);
    contents = read(1, 1, numbers);
    ASSERT_TRUE(contents.has_value());
    ASSERT_EQ(contents->damage.size(), 1U);
    EXPECT_EQ(contents->damage[0].begin, kLogFirstGroupOffset);
    EXPECT_EQ(contents->damage[0].end, kLogFirstGroupOffset + kPageBytes);
    EXPECT_EQ(contents->damage[0].first_sequence, 1U);
    EXPECT_EQ(contents->damage[0].next_sequence, 2U);
    EXPECT_FALSE(contents->damage[0].is_of_file_before());
    EXPECT_EQ(contents->next_sequence, 3U) << "the second group is read all the same";
    EXPECT_EQ(contents->groups, 1U);
}

TEST_F(LogTest, AFileThatBeginsTooLateTellsOfALossInTheOneBefore) {
    for (uint64_t i = 1; i <= 3; ++i) {
        append(i, 100);
        executor_.run_until_idle();
    }
    std::vector<uint64_t> numbers;
    // As if sequences up to 4 were due from an earlier file, of which none came.
    disk_.flip_byte(path(1), kLogFirstGroupOffset + 8);
    const auto contents = read(1, 1, numbers);
    ASSERT_TRUE(contents.has_value());
    ASSERT_EQ(contents->damage.size(), 1U);
    EXPECT_EQ(contents->damage[0].next_sequence, 2U);
    EXPECT_EQ(contents->groups, 2U);
    const auto any = read(1, 0, numbers);
    ASSERT_TRUE(any.has_value());
    EXPECT_EQ(any->next_sequence, 4U);
}

TEST_F(LogTest, EveryFlippedByteOfARecordIsNoticed) {
    append(1, 50);
    executor_.run_until_idle();
    const size_t used = kGroupHeaderBytes + kRecordHeaderBytes + kFrameHeaderBytes + 50;
    for (size_t at = 0; at < used; ++at) {
        disk_.flip_byte(path(1), kLogFirstGroupOffset + at);
        std::vector<uint64_t> numbers;
        const auto contents = read(1, 1, numbers);
        EXPECT_TRUE(!contents.has_value() || contents->groups == 0) << "byte " << at;
        disk_.flip_byte(path(1), kLogFirstGroupOffset + at);
    }
}

TEST_F(LogTest, WhatAFileHeldInAnEarlierLifeIsNotRead) {
    append(1, 100);
    executor_.run_until_idle();
    const std::vector<std::byte> old = *disk_.contents(path(1));
    disk_.put_file("d/log-9", old);
    std::vector<uint64_t> numbers;
    const auto contents = read(9, 1, numbers);
    ASSERT_TRUE(contents.has_value());
    EXPECT_EQ(contents->groups, 0U);
}

TEST_F(LogTest, AFailedWriteIsReportedOnceAndNothingAfterItIsDurable) {
    append(1, 100);
    executor_.run_until_idle();
    files_.fail_operation(files_.count_operations() + 1,
                          make_error(ErrorCode::kIoError, "the disk is on fire"));
    append(2, 100);
    executor_.run_until_idle();
    EXPECT_NE(failure_.find("on fire"), std::string::npos);
    append(3, 100);
    executor_.run_until_idle();
    EXPECT_EQ(durable_, 1U);
}

}  // namespace stepdb::log_test
