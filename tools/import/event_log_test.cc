#include "tools/import/event_log.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "tools/import/testing/proto_bytes.h"

namespace stepdb::event_log_test {

using testing::bytes_field;
using testing::event;
using testing::record_of;
using testing::simple_value;

class EventLogTest : public ::testing::Test {
  protected:
    ~EventLogTest() override { std::remove(path_.c_str()); }

    // One event a record, as text: "step time tag=value ..."
    std::vector<std::string> rows_of(const std::string& file, LogOptions options = LogOptions()) {
        std::ofstream(path_, std::ios::binary) << file;
        Result<std::unique_ptr<LogSource>> log = EventLog::open(path_, options);
        EXPECT_TRUE(log);
        std::vector<std::string> rows;
        LogRow row;
        for (;;) {
            const Result<bool> more = (*log)->next(row);
            error_ = more ? "" : more.error().message();
            if (!more || !*more) {
                break;
            }
            std::string text =
                fmt::format("{} {}", row.step ? fmt::format("{}", *row.step) : "-", row.time_us);
            for (const auto& [metric, value] : row.values) {
                text += fmt::format(" {}={}", (*log)->metrics()[metric], value);
            }
            rows.push_back(text);
        }
        counts_ = (*log)->counts();
        EXPECT_EQ((*log)->bytes_read(), file.size());
        return rows;
    }

    std::string path_ = ::testing::TempDir() + "event_log_test." +
                        ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::string error_;
    LogCounts counts_;
};

std::string scalar(double time, int64_t step, const std::string& tag, float value) {
    return record_of(event(time, step, {simple_value(tag, value)}));
}

using Rows = std::vector<std::string>;

TEST_F(EventLogTest, PutsScalarsOfAStepIntoARowWithTheTimeOfTheFirst) {
    EXPECT_EQ(rows_of(record_of(bytes_field(3, "brain.Event:2")) + scalar(10, 1, "a", 1) +
                      scalar(10.25, 1, "b", 2) + scalar(10.5, 1, "c", 3) + scalar(11, 2, "b", 4) +
                      scalar(11.25, 2, "a", 5)),
              (Rows{"1 10000000 a=1 b=2 c=3", "2 11000000 a=5 b=4"}));
    EXPECT_EQ(counts_.read, 5U);
}

TEST_F(EventLogTest, BeginsARowBeyondTheWindow) {
    LogOptions options;
    options.row_window_us = 250'000;
    EXPECT_EQ(rows_of(scalar(10, 1, "a", 1) + scalar(10.25, 1, "b", 2) + scalar(10.375, 1, "c", 3),
                      options),
              (Rows{"1 10000000 a=1 b=2", "1 10375000 c=3"}));
    EXPECT_EQ(rows_of(scalar(10, 1, "a", 1) + scalar(9, 1, "b", 2), options),
              (Rows{"1 10000000 a=1", "1 9000000 b=2"}));
}

TEST_F(EventLogTest, BeginsARowWhenATagComesAgain) {
    EXPECT_EQ(rows_of(scalar(10, 1, "a", 1) + scalar(10, 1, "b", 2) + scalar(10, 1, "a", 3)),
              (Rows{"1 10000000 a=1 b=2", "1 10000000 a=3"}));
    EXPECT_EQ(rows_of(record_of(event(
                  10, -1, {simple_value("a", 1), simple_value("b", 2), simple_value("a", 3)}))),
              (Rows{"-1 10000000 a=1 b=2", "-1 10000000 a=3"}));
}

TEST_F(EventLogTest, CanGoByTimeOrByIndex) {
    const std::string file = scalar(10, 1, "a", 1) + scalar(10.5, 1, "b", 2) +
                             scalar(11, 1, "a", 3) + scalar(0, 2, "a", 4);
    LogOptions options;
    options.axis = ImportAxis::kTime;
    EXPECT_EQ(rows_of(file, options), (Rows{"- 10000000 a=1 b=2", "- 11000000 a=3"}));
    EXPECT_EQ(counts_.kinds.at("without a time"), 1U);
    options.axis = ImportAxis::kIndex;
    options.file_time_us = 77;
    EXPECT_EQ(rows_of(file, options), (Rows{"0 10000000 a=1 b=2", "1 11000000 a=3", "2 77 a=4"}));
}

TEST_F(EventLogTest, SkipsAndCountsByKind) {
    const std::string file =
        record_of(event(10, 1,
                        {bytes_field(1, "i") + bytes_field(4, ""), simple_value("a", 1),
                         bytes_field(1, "h") + bytes_field(5, ""), simple_value("", 1),
                         bytes_field(1, "h") + bytes_field(5, "")}));
    EXPECT_EQ(rows_of(file), (Rows{"1 10000000 a=1"}));
    EXPECT_EQ(counts_.read, 5U);
    EXPECT_EQ(counts_.skipped, 4U);
    EXPECT_EQ(counts_.kinds.at("histograms"), 2U);
    EXPECT_EQ(counts_.kinds.at("images"), 1U);
    EXPECT_EQ(counts_.kinds.at("without a proper name"), 1U);
    EXPECT_NE(counts_.first_skipped.find("byte 0, record 1, tag 'i'"), std::string::npos);
}

TEST_F(EventLogTest, GivesWhatCameBeforeTheBreak) {
    const std::string good = scalar(10, 1, "a", 1) + scalar(10, 1, "b", 2);
    EXPECT_EQ(rows_of(good + scalar(11, 2, "a", 3).substr(0, 30)), (Rows{"1 10000000 a=1 b=2"}));
    EXPECT_NE(error_.find(fmt::format("byte {}, record 3: the file ends", good.size())),
              std::string::npos)
        << error_;
    EXPECT_EQ(counts_.read, 2U);
}

TEST_F(EventLogTest, TakesNothingOfAnEventThatIsNone) {
    const std::string broken = event(11, 2, {simple_value("a", 3), "\x0A\x09"});
    EXPECT_EQ(rows_of(scalar(10, 1, "a", 1) + record_of(broken)), (Rows{"1 10000000 a=1"}));
    EXPECT_NE(error_.find("record 2: a field of 9 bytes where 0 are left"), std::string::npos)
        << error_;
    EXPECT_EQ(counts_.read, 1U);
}

TEST_F(EventLogTest, IsEmptyIfTheFileIs) {
    EXPECT_EQ(rows_of(""), Rows());
    EXPECT_EQ(error_, "");
}

}  // namespace stepdb::event_log_test
