#include "tools/import/mlflow_log.h"

#include <gtest/gtest.h>

#include <map>

#include "tools/import/testing/log_text.h"

namespace stepdb::mlflow_log_test {

using testing::LogText;
using testing::read_log;
using Rows = std::vector<std::string>;

class MlflowLogTest : public testing::LogFiles {
  protected:
    void metric(const std::string& name, const std::string& text) const {
        write("run/metrics/" + name, text);
    }
    LogText read(const LogOptions& options = LogOptions()) {
        Result<std::unique_ptr<LogSource>> log = MlflowLog::open(path("run"), options);
        EXPECT_TRUE(log);
        return log ? read_log(**log) : LogText();
    }
};

TEST_F(MlflowLogTest, PutsPointsOfOneStepTogether) {
    metric("train/loss", "1000 1.5 0\n1100 1.25 1\n1200 nan 2\n");
    metric("Rank IC", "1150 0.5 1\n1250 -inf 2\n");
    metric("l2.valid", "1010 7\n9000 8 1\n");
    const LogText log = read();
    EXPECT_EQ(log.metrics, (std::vector<std::string>{"Rank IC", "l2.valid", "train/loss"}));
    EXPECT_EQ(log.rows,
              (Rows{"0 1000000 l2.valid=7 train/loss=1.5", "1 1100000 Rank IC=0.5 train/loss=1.25",
                    "2 1200000 Rank IC=-inf train/loss=nan", "1 9000000 l2.valid=8"}));
    EXPECT_EQ(log.counts.read, 7U);
    EXPECT_EQ(log.counts.skipped, 0U);
    EXPECT_EQ(log.bytes_read, 34U + 23U + 16U);
}

TEST_F(MlflowLogTest, TheWindowParts) {
    metric("a", "1000 1 0\n");
    metric("b", "1020 2 0\n");
    LogOptions options;
    options.row_window_us = 20'000;
    EXPECT_EQ(read(options).rows, (Rows{"0 1000000 a=1 b=2"}));
    options.row_window_us = 19'999;
    EXPECT_EQ(read(options).rows, (Rows{"0 1000000 a=1", "0 1020000 b=2"}));
}

TEST_F(MlflowLogTest, ReadsEveryFileInItsOrder) {
    metric("a", "1000 1 5\n900 2 5\n800 3 0\n");
    metric("b", "950 4 5\n");
    EXPECT_EQ(read().rows, (Rows{"5 950000 a=1 b=4", "5 900000 a=2", "0 800000 a=3"}));
    LogOptions options;
    options.axis = ImportAxis::kIndex;
    EXPECT_EQ(read(options).rows, (Rows{"0 950000 a=1 b=4", "1 900000 a=2", "2 800000 a=3"}));
    options.axis = ImportAxis::kTime;
    EXPECT_EQ(read(options).rows,
              (Rows{"- 950000 b=4", "- 1000000 a=1", "- 900000 a=2", "- 800000 a=3"}));
}

TEST_F(MlflowLogTest, SkipsWhatIsNoLine) {
    metric("a",
           "1000 1 0\n\n1000 x 1\n1000 1 2 3\nnow 1 1\n1000 2 3 data 0af1\r\n1e3 1 1\n1000 1 44");
    metric("long", "1000 1 0\n1000 1 " + std::string(300'000, ' ') + "\n1000 1 1\n");
    write("run/metrics/bad\x01name", "1000 1 0\n1000 1 1\n");
    const LogText log = read();
    EXPECT_EQ(log.rows, (Rows{"0 1000000 a=1 long=1", "3 1000000 a=2", "1 1000000 long=1"}));
    EXPECT_EQ(log.counts.read, 12U);
    EXPECT_EQ(log.counts.skipped, 8U);
    EXPECT_EQ(log.counts.kinds.at("malformed lines"), 4U);
    EXPECT_EQ(log.counts.kinds.at("lines without an end"), 2U);
    EXPECT_EQ(log.counts.kinds.at("without a proper name"), 2U);
}

TEST_F(MlflowLogTest, ReadsMoreThanAPieceAndMoreMetricsThanFilesMayBeOpen) {
    constexpr int kMetrics = 3000;
    std::string text;
    for (int step = 0; step < 10; ++step) {
        text += fmt::format("{} {}.5 {}\n", 1'766'470'857'502 + step, step, step);
    }
    for (int number = 0; number < kMetrics; ++number) {
        metric(fmt::format("m{}", number), text);
    }
    std::string many;
    for (int step = 0; step < 50'000; ++step) {
        many += fmt::format("{} {} {}\n", 1'766'470'857'502 + step, step, step);
    }
    metric("many", many);
    const LogText log = read();
    EXPECT_EQ(log.rows.size(), 50'000U);
    EXPECT_EQ(log.counts.read, 10U * kMetrics + 50'000U);
    EXPECT_EQ(log.bytes_read, kMetrics * text.size() + many.size());
}

TEST_F(MlflowLogTest, FindsTheSameAgainThoughFilesGrow) {
    metric("a", "1000 1 0\n");
    LogOptions options;
    options.files = std::make_shared<std::map<std::string, uint64_t>>();
    EXPECT_EQ(read(options).rows, (Rows{"0 1000000 a=1"}));
    metric("a", "1000 1 0\n1001 2 1\n");
    metric("b", "1000 1 0\n");
    EXPECT_EQ(read(options).rows, (Rows{"0 1000000 a=1"}));
    EXPECT_EQ(read().rows.size(), 2U);
    metric("a", "1000");
    EXPECT_NE(read(options).error.find("it has become shorter"), std::string::npos);
}

TEST_F(MlflowLogTest, IsNoRunWithoutMetricsOrMeta) {
    write("run/params/lr", "1");
    EXPECT_FALSE(MlflowLog::open(path("run"), LogOptions()));
    write("run/meta.yaml", "run_uuid: x\n");
    EXPECT_TRUE(read().rows.empty());
}

}  // namespace stepdb::mlflow_log_test
