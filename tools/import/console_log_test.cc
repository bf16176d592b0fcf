#include "tools/import/console_log.h"

#include <gtest/gtest.h>

#include "tools/import/testing/log_text.h"

namespace stepdb::console_log_test {

using testing::LogText;
using testing::read_log;
using Rows = std::vector<std::string>;

class ConsoleLogTest : public testing::LogFiles {
  protected:
    LogText read(const std::string& text, const std::string& patterns,
                 ImportAxis axis = ImportAxis::kAuto) {
        LogOptions options;
        options.patterns = patterns;
        options.axis = axis;
        Result<std::unique_ptr<LogSource>> log =
            ConsoleLog::open(write("train.log", text), options);
        if (!log) {
            LogText none;
            none.error = log.error().message();
            return none;
        }
        return read_log(**log);
    }
    LogText read_with(const std::string& patterns, const std::string& text,
                      ImportAxis axis = ImportAxis::kAuto) {
        return read(text, write("patterns.txt", patterns), axis);
    }
};

TEST_F(ConsoleLogTest, KnowsModdedNanogpt) {
    const std::string text =
        "import torch\n"
        "step:0/6000 val_loss:11.0149 train_time:305ms step_avg:nanms\n"
        "step:1/6000 train_loss:11.0091 train_time:24179ms step_avg:363.36ms\n"
        "s:2 tel:3.25\ns:2 trl:3.5 lr:0.000001 norm:15.37";
    const Rows want = {"0 0 val_loss=11.0149 train_time=305 step_avg=nan",
                       "1 0 train_time=24179 step_avg=363.36 train_loss=11.0091",
                       "2 0 tel=3.25 trl=3.5 lr=1e-06 norm=15.37"};
    EXPECT_EQ(read(text, "modded-nanogpt").rows, want);
    const LogText log = read(text, "all");
    EXPECT_EQ(log.rows, want);
    EXPECT_EQ(log.counts.skipped, 0U);
    EXPECT_EQ(log.bytes_read, text.size());
}

TEST_F(ConsoleLogTest, KnowsDeepSpeed) {
    const LogText log = read(
        "[2023-04-18 08:48:35,000] [INFO] [loss_scaler.py:188:update_scale] OVERFLOW!\n"
        "epoch: 0|step: 9|ppo_ep: 1|act_loss: 0.25|cri_loss: -0.5\n"
        "average reward score: 1.5\n"
        "|E2E latency=7.99s |Gather latency=0.00s (0.00%) |Others=0.22 (2.73%)|Samples=8.01 \n"
        "[2023-04-18 08:48:36,035] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=4, "
        "lr=[5.79e-07, 5.79e-07], mom=[(0.9, 0.95), (0.9, 0.95)]\n"
        "[2023-04-18 08:48:36,058] [INFO] [timer.py:199:stop] epoch=0/micro_step=10/global_step=10,"
        " Speed=86.5, MemAllocated=10.77GB, MaxMemAllocated=20.55GB\n",
        "deepspeed");
    EXPECT_EQ(log.rows,
              (Rows{"9 1681807715000000 ppo_ep=1 act_loss=0.25 cri_loss=-0.5 average reward "
                    "score=1.5 E2E latency=7.99 Gather latency=0 Others=0.22 Samples=8.01",
                    "10 1681807716035000 skipped=4 lr=5.79e-07",
                    "10 1681807716058000 Speed=86.5 MemAllocated=10.77 MaxMemAllocated=20.55"}));
    EXPECT_EQ(log.counts.skipped, 0U);
}

TEST_F(ConsoleLogTest, KnowsMegatron) {
    const LogText log = read(
        " [2024-03-05 10:00:36] iteration      100/  500000 | consumed samples:        25600 | "
        "elapsed time per iteration (ms): 1234.5 | learning rate: 1.500E-04 | lm loss: nan |\n"
        " iteration      101/  500000 | lm loss: 9.0E+00 |\n"
        "-----\n validation loss at iteration 101 | lm loss value: 3.2E+00 | lm loss PPL: 2.5E+01 "
        "| "
        "\n",
        "megatron");
    EXPECT_EQ(log.rows, (Rows{"100 1709632836000000 consumed samples=25600 elapsed time per "
                              "iteration (ms)=1234.5 learning rate=0.00015 lm loss=nan",
                              "101 1709632836000000 lm loss=9 lm loss value=3.2 lm loss PPL=25"}));
}

TEST_F(ConsoleLogTest, TakesPatternsOfOnesOwn) {
    const std::string patterns =
        "# mine\n\nline it (?P<step>\\d+): loss (?P<loss>\\S+)(?: acc (?P<acc>\\S+))?\n"
        "line ^mem (?P<mem>.*)\n";
    const LogText log = read_with(
        patterns,
        "mem 1\nit 0: loss 2.5\r\nmem 2\nit 1: loss 2 acc 0.5\rit 2: loss ? acc 0.75\nx\n");
    EXPECT_EQ(log.rows, (Rows{"0 0 mem=2 loss=2.5", "1 0 loss=2 acc=0.5", "2 0 acc=0.75"}));
    EXPECT_EQ(log.counts.read, 7U);
    EXPECT_EQ(log.counts.kinds.at("text"), 1U);
    EXPECT_EQ(log.counts.kinds.at("without a step"), 1U);
    EXPECT_EQ(read_with(patterns, "mem 1\nmem 2\n", ImportAxis::kIndex).rows,
              (Rows{"0 0 mem=1", "1 0 mem=2"}));
    EXPECT_NE(read_with(patterns, "", ImportAxis::kTime).error.find("(?P<time>...)"),
              std::string::npos);
    EXPECT_EQ(read_with("line ^(?P<time>\\S+) (?P<x>.*)\n", "1970-01-01T00:00:01 5\n").rows,
              (Rows{"- 1000000 x=5"}));
}

TEST_F(ConsoleLogTest, EndsWherePairsMatchNothing) {
    const LogText log = read_with("line (?P<step>\\d+)\npairs (?P<name>x?)(?P<value>)\n", "1 xx\n");
    EXPECT_TRUE(log.rows.empty());
    EXPECT_EQ(log.counts.read, log.counts.skipped);
}

TEST_F(ConsoleLogTest, NamesWhatIsWrongWithPatterns) {
    EXPECT_NE(read_with("line a\nline (b\n", "").error.find("patterns.txt: line 2: the regex '(b'"),
              std::string::npos);
    EXPECT_NE(read_with("pairs (?P<name>a)(?P<value>b)\n", "").error.find("behind a `line`"),
              std::string::npos);
    EXPECT_NE(read_with("line a\npairs (?P<name>a)\n", "").error.find("line 2: pairs need"),
              std::string::npos);
    EXPECT_NE(read_with("lines a\n", "").error.find("`line REGEX` or"), std::string::npos);
    EXPECT_NE(read_with("# nothing\n", "").error.find("there is no `line REGEX`"),
              std::string::npos);
    EXPECT_NE(read("", "megatrn").error.find("modded-nanogpt, deepspeed, megatron, all"),
              std::string::npos);
}

}  // namespace stepdb::console_log_test
