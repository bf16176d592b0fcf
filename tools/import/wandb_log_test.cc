#include "tools/import/wandb_log.h"

#include <gtest/gtest.h>

#include "tools/import/testing/log_text.h"
#include "tools/import/testing/wandb_bytes.h"

namespace stepdb::wandb_log_test {

using testing::bytes_field;
using testing::LogText;
using testing::number_field;
using testing::read_log;
using testing::wandb_bytes;
using testing::wandb_item;
using Rows = std::vector<std::string>;

std::string history(std::optional<uint64_t> step, const std::vector<std::string>& items) {
    std::string message;
    for (const std::string& item : items) {
        message += bytes_field(1, item);
    }
    if (step) {
        message += bytes_field(2, *step == 0 ? "" : number_field(1, *step));
    }
    return bytes_field(2, message);
}

std::string timestamp(uint64_t seconds, uint64_t nanoseconds) {
    return number_field(1, seconds) + number_field(2, nanoseconds);
}

class WandbLogTest : public testing::LogFiles {
  protected:
    LogText read(const std::vector<std::string>& records, bool is_system = false,
                 ImportAxis axis = ImportAxis::kAuto) {
        LogOptions options;
        options.axis = axis;
        const std::string file = write("run-a.wandb", wandb_bytes(records));
        auto log = is_system ? WandbLog::open_system(file, options)
                             : WandbLog::open_history(file, options);
        EXPECT_TRUE(log);
        return log ? read_log(**log) : LogText();
    }
};

TEST_F(WandbLogTest, ReadsHistoryBySteps) {
    const std::vector<std::string> records = {
        history(0, {wandb_item("loss", "2.5"), wandb_item("_timestamp", "1.5"),
                    wandb_item("_step", "0"), wandb_item("_wandb", "{\"a\": 1}")}),
        history(7, {bytes_field(2, "outer") + bytes_field(2, "inner") + bytes_field(16, "NaN"),
                    wandb_item("deep", "{\"a\": {\"b\": 1}, \"c\": \"-Infinity\", \"d\": null}"),
                    wandb_item("good", "true"), wandb_item("words", "\"x\""),
                    wandb_item("list", "[1, 2]"), wandb_item("bad", "{"),
                    wandb_item("image", "{\"_type\": \"image-file\", \"size\": 5}")}),
        history(std::nullopt, {wandb_item("_step", "9"), wandb_item("loss", "1")}),
        history(std::nullopt, {wandb_item("loss", "1")})};
    const LogText log = read(records);
    EXPECT_EQ(log.error, "");
    EXPECT_EQ(log.rows, (Rows{"0 1500000 loss=2.5",
                              "7 0 outer.inner=nan deep.a.b=1 deep.c=-inf good=1", "9 0 loss=1"}));
    EXPECT_EQ(log.counts.read, 11U);
    EXPECT_EQ(log.counts.skipped, 5U);
    EXPECT_EQ(log.counts.kinds.at("media and histograms"), 1U);
    EXPECT_EQ(read(records, false, ImportAxis::kTime).rows, (Rows{"- 1500000 loss=2.5"}));
    EXPECT_EQ(read(records, false, ImportAxis::kIndex).rows.back(), "3 0 loss=1");
    EXPECT_TRUE(read(records, true).rows.empty());
}

TEST_F(WandbLogTest, ReadsSystemMetricsByTime) {
    const std::string stats = bytes_field(2, timestamp(100, 250'000'000)) +
                              bytes_field(3, wandb_item("gpu.0.temp", "55.5")) +
                              bytes_field(3, wandb_item("cpu", "3"));
    const std::vector<std::string> records = {
        bytes_field(7, stats), bytes_field(7, bytes_field(3, wandb_item("cpu", "4")))};
    const LogText log = read(records, true);
    EXPECT_EQ(log.rows, (Rows{"- 100250000 _system/gpu.0.temp=55.5 _system/cpu=3"}));
    EXPECT_EQ(log.counts.kinds.at("without a time"), 1U);
    EXPECT_TRUE(read(records).rows.empty());
}

TEST_F(WandbLogTest, TellsOfTheRun) {
    const std::string config =
        bytes_field(1, wandb_item("lr", "0.1")) +
        bytes_field(1, wandb_item("model", "{\"layers\": 12, \"name\": \"gpt\"}")) +
        bytes_field(1, wandb_item("_wandb", "{\"x\": 1}")) +
        bytes_field(1, wandb_item("betas", "[0.9, 0.95]"));
    const std::string run = bytes_field(1, "3f2a") + bytes_field(3, "speech") +
                            bytes_field(4, config) + bytes_field(8, "bold owl") +
                            bytes_field(10, "sweep") + bytes_field(10, "keep") +
                            bytes_field(17, timestamp(100, 0));
    const std::string update = bytes_field(1, wandb_item("lr", "0.2"));
    const LogText log =
        read({bytes_field(17, run), bytes_field(5, update), bytes_field(18, number_field(1, 1))});
    const Attributes& facts = log.facts.attributes();
    EXPECT_EQ(std::get<double>(facts.at("config/lr")), 0.2);
    EXPECT_EQ(std::get<int64_t>(facts.at("config/model/layers")), 12);
    EXPECT_EQ(std::get<std::string>(facts.at("config/model/name")), "gpt");
    EXPECT_EQ(std::get<std::string>(facts.at("sys/name")), "bold owl");
    EXPECT_EQ(std::get<std::string>(facts.at("wandb/run_id")), "3f2a");
    EXPECT_EQ(std::get<std::string>(facts.at("wandb/project")), "speech");
    EXPECT_EQ(std::get<Datetime>(facts.at("wandb/start_time")).us, 100'000'000);
    EXPECT_EQ(facts.size(), 7U);
    EXPECT_EQ(log.facts.tags(), (StringSet{"keep", "sweep"}));
    EXPECT_EQ(log.facts.state(), RunState::kFailed);
    EXPECT_EQ(log.facts.left_out(), 1U);
    EXPECT_EQ(read({bytes_field(18, "")}).facts.state(), RunState::kFinished);
}

TEST_F(WandbLogTest, BreaksOffAtWhatIsNoRecord) {
    const LogText log =
        read({history(1, {wandb_item("x", "1")}), "\xff\xff", history(2, {wandb_item("x", "2")})});
    EXPECT_EQ(log.rows, (Rows{"1 0 x=1"}));
    EXPECT_NE(log.error.find("record 2: "), std::string::npos) << log.error;
}

}  // namespace stepdb::wandb_log_test
