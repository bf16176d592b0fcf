#include "net/backup_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/backup_check.h"
#include "tests/support/engine_fixture.h"

namespace stepdb::backup_request_test {

struct Told final : ResultSink {
    void on_columns(std::vector<ResultColumn> its_columns) override {
        columns = std::move(its_columns);
    }
    void on_block(ResultBlock block) override {
        const Result<BackupReport> report = read_backup_row(block);
        ASSERT_TRUE(report);
        reports.push_back(*report);
    }
    void on_blocks_returned(uint32_t) override {}
    void on_resumed() override {}
    void on_end(QueryEnd its_end) override { end = std::move(its_end); }
    void on_error(Error its_error) override { error = std::move(its_error); }

    std::vector<ResultColumn> columns;
    std::vector<BackupReport> reports;
    std::optional<QueryEnd> end;
    std::optional<Error> error;
};

class BackupRequestTest : public EngineTest {
  protected:
    std::unique_ptr<RunningQuery> begin(const std::string& directory) {
        return start_backup(store_.engine(), store_.executor(), store_.executor(), directory,
                            told_);
    }

    Told told_;
};

TEST_F(BackupRequestTest, TellsHowItComesOnAsOftenAsIsWanted) {
    for (int i = 0; i < 300; ++i) {
        send(one_row("p/r", loss_, i, {0.1 * i}));
    }
    store_.run();
    const auto backup = begin("backup");
    EXPECT_TRUE(told_.columns.empty()) << "nothing is told within the call";
    store_.run();
    EXPECT_EQ(told_.columns.size(), 8U);
    EXPECT_TRUE(told_.reports.empty());
    EXPECT_FALSE(told_.end.has_value()) << "how it has ended is told in a row";
    backup->want(1);
    store_.run();
    ASSERT_TRUE(told_.end.has_value());
    ASSERT_EQ(told_.reports.size(), 1U);
    EXPECT_EQ(told_.end->rows, 1U);
    EXPECT_EQ(told_.reports[0].runs, 1U);
    EXPECT_EQ(told_.reports[0].sequence, store_.engine().sequence());
    EXPECT_EQ(told_.reports[0].bytes_copied, told_.reports[0].bytes_new);
    EXPECT_EQ(verify_directory(disk_, "backup"), "");
}

TEST_F(BackupRequestTest, TellsOfEachPieceToWhoReadsAllOfThem) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    const auto backup = begin("backup");
    backup->want(100);
    store_.run();
    ASSERT_TRUE(told_.end.has_value());
    ASSERT_GE(told_.reports.size(), 3U);
    EXPECT_EQ(told_.reports.front().bytes_copied, 0U);
    EXPECT_GT(told_.reports.front().bytes_new, 0U);
    EXPECT_EQ(told_.end->rows, told_.reports.size());
}

TEST_F(BackupRequestTest, TellsWhyItFailed) {
    disk_.put_file("home/diary", as_bytes("dear"));
    const auto backup = begin("home");
    store_.run();
    ASSERT_TRUE(told_.error.has_value());
    EXPECT_EQ(told_.error->code(), ErrorCode::kFailedPrecondition);
}

TEST_F(BackupRequestTest, GivenUpItTellsNothingMoreAndLeavesTheLastBackup) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    auto backup = begin("backup");
    backup->want(100);
    store_.run();
    ASSERT_TRUE(told_.end.has_value());
    const ReferenceModel before = model_;
    send(one_row("p/r", loss_, 2, {2.0}));
    store_.run();
    told_ = Told();
    backup = begin("backup");
    backup->want(1);
    while (told_.reports.empty()) {
        ASSERT_TRUE(store_.executor().run_one());
    }
    backup.reset();
    store_.run();
    EXPECT_EQ(told_.reports.size(), 1U);
    EXPECT_FALSE(told_.end.has_value());
    EXPECT_FALSE(told_.error.has_value());
    const auto got = contents_of_backup(disk_, "backup");
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_EQ(describe_difference(before.contents(), *got), "");
}

}  // namespace stepdb::backup_request_test
