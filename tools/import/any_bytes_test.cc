// Logs with bytes changed, cut out and put in, for every format by itself: each ends, with a row or
// an error, and of what was read everything is a point or skipped.
#include <gtest/gtest.h>

#include <random>

#include "tools/import/console_log.h"
#include "tools/import/csv_log.h"
#include "tools/import/json_log.h"
#include "tools/import/mlflow_log.h"
#include "tools/import/points_table.h"
#include "tools/import/testing/log_text.h"
#include "tools/import/testing/wandb_bytes.h"
#include "tools/import/trainer_state.h"
#include "tools/import/wandb_log.h"

namespace stepdb::any_bytes_test {

using testing::bytes_field;
using testing::number_field;
using testing::wandb_bytes;
using testing::wandb_item;

constexpr int kRounds = 300;

class AnyBytes : public testing::LogFiles {
  protected:
    // Some bytes of it changed, by what formats hang on.
    std::string changed(std::string text) {
        static constexpr std::string_view kBytes = "\"{}[]:,\\\n\r\t #0-.eN\x01\xff\x80=|/";
        const auto below = [this](size_t end) {
            return std::uniform_int_distribution<size_t>(0, end - 1)(random_);
        };
        for (size_t changes = 1 + below(4); changes > 0 && !text.empty(); --changes) {
            const size_t at = below(text.size());
            const char byte = kBytes[below(kBytes.size())];
            switch (below(3)) {
                case 0:
                    text[at] = byte;
                    break;
                case 1:
                    text.insert(at, 1, byte);
                    break;
                default:
                    text.erase(at, 1 + below(5));
                    break;
            }
        }
        return text;
    }

    void check(Result<std::unique_ptr<LogSource>> log) {
        if (!log) {
            EXPECT_NE(log.error().message(), "");
            return;
        }
        uint64_t points = 0;
        LogRow row;
        for (uint64_t rows = 0; rows < 1000; ++rows) {
            const Result<bool> more = (*log)->next(row);
            if (!more || !*more) {
                EXPECT_EQ((*log)->counts().read, points + (*log)->counts().skipped);
                return;
            }
            EXPECT_FALSE(row.values.empty());
            EXPECT_LT(row.values.back().first, (*log)->metrics().size());
            points += row.values.size();
        }
        FAIL() << "it does not end";
    }

    const uint64_t seed_ = std::random_device()();
    ::testing::ScopedTrace trace_{__FILE__, __LINE__, fmt::format("seed {}", seed_)};
    std::mt19937_64 random_{seed_};
};

TEST_F(AnyBytes, TrainerState) {
    const std::string text =
        "{\"a\": 1, \"b\": {\"c\": [1, \"x\"]}, \"log_history\": [{\"step\": 1, \"x\": 2.5, \"s\": "
        "\"\\u00e4\"},\n{\"step\": 2, \"x\": NaN, \"d\": {\"e\": 1}}], \"trial_params\": {\"lr\": "
        "1e-3}}";
    for (int round = 0; round < kRounds; ++round) {
        check(open_trainer_state(write("log", changed(text)), LogOptions()));
    }
}

TEST_F(AnyBytes, JsonLinesWithARunAndTelemetry) {
    const std::string text =
        "{\"run\": {\"id\": \"r\", \"config\": {\"lr\": 1e-3}, \"tags\": [\"a\"], \"fork\": "
        "{\"of\": \"p\", \"at\": 5}}}\n{\"step\": 1, \"timestamp\": 5, \"x\": 2.5, \"s\": \"y\"}\n"
        "{\"timestamp\": 6, \"cpu\": NaN, \"x\": 1, \"s\": [1]}\n{\"run\": {\"state\": "
        "\"failed\"}}\n";
    for (int round = 0; round < kRounds; ++round) {
        const std::string file = write("log", changed(text));
        LogOptions options;
        options.beside = std::make_shared<LogOptions::Beside>();
        check(JsonLog::open(file, options));
        check(JsonLog::open_timed(file, options));
    }
}

TEST_F(AnyBytes, TablesWithUnitsAndComments) {
    const std::string text =
        "#{\"t_start\": 100.5, \"env\": \"x\"}\ntimestamp, index, p [W], t\n2026/04/21 "
        "20:54:20.434, "
        "0, 5 W, 1\n2026/04/21 20:54:21.434, 1, [N/A], 2\n";
    LogOptions options;
    options.name_from_usual = {"index"};
    options.name_prefix = "gpu.";
    for (int round = 0; round < kRounds; ++round) {
        options.axis = round % 2 == 0 ? ImportAxis::kAuto : ImportAxis::kIndex;
        check(CsvLog::open(write("log", changed(text)), options));
    }
}

TEST_F(AnyBytes, TablesOfPoints) {
    const std::string csv =
        "run,metric,step,time,value\ng/a,\"x, y\",0,2026-03-01T12:00:00Z,4\n"
        "g/a,gpu,,100,nan:7ff8000000000001\ng/b,x,1,,5\ng/a,x,2,,6\n";
    const std::string json =
        "{\"run\": \"g/a\", \"metric\": \"x\", \"step\": 0, \"time\": null, \"value\": 4}\n"
        "{\"run\": \"g/a\", \"metric\": \"y\", \"step\": null, \"time\": 1, \"value\": \"NaN\"}\n";
    for (int round = 0; round < kRounds; ++round) {
        const bool is_csv = round % 2 == 0;
        const std::string file = write("log", changed(is_csv ? csv : json));
        const auto parts =
            find_parts(file, is_csv ? open_csv_points : open_json_points, [](uint64_t) {});
        ASSERT_TRUE(parts.has_value());
        for (const LogPart& part : *parts) {
            LogOptions options;
            options.part = part;
            options.beside = std::make_shared<LogOptions::Beside>();
            check(is_csv ? CsvLog::open(file, options) : JsonLog::open(file, options));
            check(is_csv ? CsvLog::open_timed(file, options) : JsonLog::open_timed(file, options));
        }
    }
}

TEST_F(AnyBytes, ConsoleLogs) {
    const std::string text =
        "step:0/6000 val_loss:11.0149 train_time:305ms step_avg:nanms\r"
        "epoch: 0|step: 9|ppo_ep: 1|act_loss: 0.25\naverage reward score: 1.5\n"
        "|E2E latency=7.99s |Others=0.22 (2.73%)\n[2023-04-18 08:48:36,035] [INFO] [x] step=10, "
        "skipped=4, lr=[5e-7, 5e-7]\n [2024-03-05 10:00:36] iteration 100/ 500 | lm loss: 1 |\n";
    LogOptions options;
    options.patterns = "all";
    for (int round = 0; round < kRounds; ++round) {
        check(ConsoleLog::open(write("log", changed(text)), options));
    }
}

TEST_F(AnyBytes, MlflowRuns) {
    const std::string lines = "1000 1.5 0\n1100 nan 1\n1200 2 2 name 0af1\n";
    for (int round = 0; round < kRounds; ++round) {
        write("run/metrics/a", changed(lines));
        write("run/metrics/b", changed(lines));
        write("run/params/lr", changed("3e-4"));
        write("run/meta.yaml", changed("run_id: 'a'\nstart_time: 1766470857502\nstatus: 3\n"));
        check(MlflowLog::open(path("run"), LogOptions()));
    }
}

TEST_F(AnyBytes, WandbRecordsAndTheirFrames) {
    const std::string stamp = number_field(1, 100) + number_field(2, 5);
    const std::vector<std::string> records = {
        bytes_field(17, bytes_field(8, "name") + bytes_field(10, "tag") + bytes_field(17, stamp) +
                            bytes_field(4, bytes_field(1, wandb_item("lr", "{\"a\": 0.1}")))),
        bytes_field(2, bytes_field(1, wandb_item("x", "{\"y\": 1, \"z\": \"NaN\"}")) +
                           bytes_field(1, wandb_item("_timestamp", "1.5")) +
                           bytes_field(2, number_field(1, 4))),
        bytes_field(7, bytes_field(2, stamp) + bytes_field(3, wandb_item("cpu", "3"))),
        bytes_field(18, number_field(1, 1))};
    for (int round = 0; round < kRounds; ++round) {
        std::vector<std::string> some = records;
        std::string& one = some[static_cast<size_t>(round) % some.size()];
        one = changed(one);
        const std::string text = wandb_bytes(some);
        const std::string file = write("log", round % 4 == 0 ? changed(text) : text);
        check(WandbLog::open_history(file, LogOptions()));
        check(WandbLog::open_system(file, LogOptions()));
    }
}

}  // namespace stepdb::any_bytes_test
