#include "tools/import/trainer_state.h"

#include <gtest/gtest.h>

#include "tools/import/testing/log_text.h"

namespace stepdb::trainer_state_test {

using testing::LogText;
using testing::read_log;
using Rows = std::vector<std::string>;

class TrainerStateTest : public testing::LogFiles {
  protected:
    LogText read(const std::string& text) {
        Result<std::unique_ptr<LogSource>> log =
            open_trainer_state(write("trainer_state.json", text), LogOptions());
        if (!log) {
            LogText none;
            none.error = log.error().message();
            return none;
        }
        return read_log(**log);
    }
};

TEST_F(TrainerStateTest, ReadsTheHistoryAndWhatIsAroundIt) {
    const std::string text = R"({
  "best_metric": null, "epoch": 1.5, "max_steps": 20, "is_world_process_zero": true,
  "log_history": [
    {"loss": NaN, "step": 10, "left": "5}h[\"]", "list": [{"step": 3}], "deep": {"x": 2}},
    {"step": 20, "loss": -Infinity},
    {"eval_loss": 0.25, "step": 20}
  ],
  "total_flos": 10842937786368.0, "best_model_checkpoint": "out/checkpoint-20",
  "stateful_callbacks": {"a": {"b": 1}}, "trial_name": "trial 3",
  "trial_params": {"learning_rate": 3e-5, "seed": 1}
}
)";
    const LogText log = read(text);
    EXPECT_EQ(log.error, "");
    EXPECT_EQ(log.rows, (Rows{"10 0 loss=nan deep/x=2", "20 0 loss=-inf", "20 0 eval_loss=0.25"}));
    EXPECT_EQ(log.counts.skipped, 2U);
    EXPECT_EQ(log.bytes_read, text.size());
    const Attributes& facts = log.facts.attributes();
    EXPECT_EQ(facts.size(), 8U);
    EXPECT_EQ(std::get<int64_t>(facts.at("config/max_steps")), 20);
    EXPECT_EQ(std::get<double>(facts.at("config/learning_rate")), 3e-5);
    EXPECT_EQ(std::get<int64_t>(facts.at("config/seed")), 1);
    EXPECT_EQ(std::get<double>(facts.at("trainer/epoch")), 1.5);
    EXPECT_EQ(std::get<bool>(facts.at("trainer/is_world_process_zero")), true);
    EXPECT_EQ(std::get<double>(facts.at("trainer/total_flos")), 10842937786368.0);
    EXPECT_EQ(std::get<std::string>(facts.at("trainer/best_model_checkpoint")),
              "out/checkpoint-20");
    EXPECT_EQ(std::get<std::string>(facts.at("sys/name")), "trial 3");
}

TEST_F(TrainerStateTest, AnEmptyHistoryHasNoRows) {
    const LogText log = read(R"({"log_history": [ ], "max_steps": 5})");
    EXPECT_EQ(log.error, "");
    EXPECT_TRUE(log.rows.empty());
    EXPECT_EQ(log.facts.attributes().size(), 1U);
}

TEST_F(TrainerStateTest, BreaksOffWhereTheFileDoes) {
    const std::string text =
        "{\"a\": 1,\n\"log_history\": [\n{\"step\": 1, \"x\": 1},\n{\"step\": 2, \"x\": 2}\n],\n"
        "\"b\": \"c\"\n}\n";
    const std::string whole = "1 0 x=1";
    for (size_t size = 0; size + 2 < text.size(); ++size) {
        const LogText log = read(text.substr(0, size));
        EXPECT_NE(log.error.find("it seems to be cut off"), std::string::npos)
            << size << ": " << log.error;
        const bool has_entry = size >= text.find("},") + 1;
        EXPECT_EQ(!log.rows.empty() && log.rows[0] == whole, has_entry) << size;
    }
}

TEST_F(TrainerStateTest, NamesThePlaceOfWhatIsWrong) {
    const auto check = [&](const std::string& text, const std::string& part) {
        const std::string error = read(text).error;
        EXPECT_NE(error.find(part), std::string::npos) << text << ": " << error;
    };
    check("[]", "line 1: `{` is wanted");
    check("{\n}", "there is no log_history in it");
    check("{\n\"log_history\": 5}", "line 2: log_history is a list");
    check("{\"log_history\": [5]}", "entry 1 of log_history, line 1: column 1: an object");
    check("{\"log_history\": [\n{\"step\": 1},\n{\"step\" 1}]}",
          "entry 2 of log_history, line 3: column 9: `:` is wanted");
    check("{\"log_history\": [{\"step\": 1} {\"step\": 2}]}", "line 1: `,` is wanted");
    check("{\"a\": x, \"log_history\": []}", "the member that ends in line 1: column 6");
    check("{\"log_history\": []} []", "something follows the object");
    check("{a: 1}", "a name in quotes is wanted");
}

}  // namespace stepdb::trainer_state_test
