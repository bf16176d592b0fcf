#include "tools/import/json_log.h"

#include <gtest/gtest.h>

#include "tools/import/testing/log_text.h"

namespace stepdb::json_log_test {

class JsonLogTest : public testing::LogFiles {
  protected:
    struct Both {
        testing::LogText first;
        testing::LogText second;
    };
    // As an import reads it.
    Both read(const std::string& text, ImportAxis axis = ImportAxis::kAuto) const {
        const std::string file = write("log.jsonl", text);
        LogOptions options;
        options.axis = axis;
        options.file_time_us = 9;
        options.beside = std::make_shared<LogOptions::Beside>();
        Both both;
        const auto first = JsonLog::open(file, options);
        EXPECT_TRUE(first);
        both.first = testing::read_log(**first);
        const auto second = JsonLog::open_timed(file, options);
        EXPECT_TRUE(second);
        both.second = testing::read_log(**second);
        return both;
    }
    static uint64_t points(const testing::LogText& log) {
        return log.counts.read - log.counts.skipped;
    }
};

TEST_F(JsonLogTest, LinesWithATimeAloneAreTelemetryBesideSteps) {
    const Both both = read(
        R"({"run": {"config": {"lr": 1}}}
{"timestamp": 1, "cpu": 0.5, "host": "a", "cpu": 0.75}
{"step": 1, "timestamp": 2, "loss": 3}
{"timestamp": 3, "cpu": 0.25}
{"step": null, "timestamp": 4, "cpu": 1}
{"step": 2, "timestamp": 5, "loss": 2}
{"run": {"state": "finished"}})");
    EXPECT_EQ(both.first.rows, (std::vector<std::string>{"1 2000000 loss=3", "2 5000000 loss=2"}));
    EXPECT_EQ(
        both.second.rows,
        (std::vector<std::string>{"- 1000000 cpu=0.75", "- 3000000 cpu=0.25", "- 4000000 cpu=1"}));
    EXPECT_EQ(points(both.first), 2U);
    EXPECT_EQ(points(both.second), 3U);
    EXPECT_EQ(both.first.counts.skipped, 2U);  // a string, and a name that came twice
    EXPECT_EQ(both.second.counts.skipped, 0U);
    EXPECT_EQ(both.first.facts.attributes().size(), 1U);
    EXPECT_EQ(both.first.facts.state(), RunState::kFinished);
    EXPECT_TRUE(both.second.facts.empty());
}

TEST_F(JsonLogTest, AMetricThatHasStepsIsNoTelemetry) {
    const Both both = read(
        R"({"timestamp": 1, "loss": 5, "cpu": 1}
{"step": 1, "timestamp": 2, "loss": 3}
{"timestamp": 3, "loss": 9})");
    EXPECT_EQ(both.first.rows, (std::vector<std::string>{"1 2000000 loss=3"}));
    EXPECT_EQ(both.second.rows, (std::vector<std::string>{"- 1000000 cpu=1"}));
    EXPECT_EQ(both.second.counts.kinds.at("without a step"), 2U);
    EXPECT_EQ(both.second.counts.read, 3U);
    EXPECT_NE(both.second.counts.first_skipped.find("line 1: loss is logged by step elsewhere"),
              std::string::npos);
}

TEST_F(JsonLogTest, AnAxisThatIsAskedForIsTheOnlyOne) {
    const std::string text =
        "{\"timestamp\": 1, \"cpu\": 1}\n{\"step\": 1, \"timestamp\": 2, \"x\": 3}\n";
    const Both steps = read(text, ImportAxis::kStep);
    EXPECT_EQ(steps.first.rows, (std::vector<std::string>{"1 2000000 x=3"}));
    EXPECT_EQ(steps.first.counts.kinds.at("without a step"), 1U);
    EXPECT_TRUE(steps.second.rows.empty());
    const Both times = read(text, ImportAxis::kTime);
    EXPECT_EQ(times.first.rows,
              (std::vector<std::string>{"- 1000000 cpu=1", "- 2000000 step=1 x=3"}));
    EXPECT_TRUE(times.second.rows.empty());
}

TEST_F(JsonLogTest, AStepThatCannotBeReadIsNoTelemetry) {
    const Both both = read(
        R"({"step": 1, "timestamp": 2, "x": 3}
{"step": "?", "timestamp": 3, "x": 4}
{"x": 5})");
    EXPECT_EQ(both.first.rows.size(), 1U);
    EXPECT_EQ(both.first.counts.kinds.at("without a step"), 2U);
    EXPECT_TRUE(both.second.rows.empty());
}

}  // namespace stepdb::json_log_test
