// Seeds of what is no format of ours, and of what happens to stores.
#include <algorithm>
#include <string>

#include "tests/fuzz/corpus.h"
#include "tools/import/log_format.h"
#include "tools/import/testing/proto_bytes.h"
#include "tools/import/testing/wandb_bytes.h"

namespace stepdb {

namespace {

int format_number(std::string_view name) {
    const std::vector<LogFormat>& formats = log_formats();
    const auto found = std::ranges::find(formats, name, &LogFormat::name);
    return static_cast<int>(found - formats.begin());
}

void put_text(Corpus& corpus, std::string_view format, std::string_view name,
              const std::string& text) {
    corpus.put("texts", fmt::format("{}-{}", format, name),
               with_prefix({format_number(format), 0}, as_bytes(text)));
}

std::string pieces(const std::vector<std::string>& records) {
    std::string text;
    for (const std::string& record : records) {
        text += testing::little_endian(static_cast<uint16_t>(record.size())) + record;
    }
    return text;
}

void put_wandb(Corpus& corpus) {
    using testing::bytes_field;
    using testing::number_field;
    using testing::wandb_item;
    const std::string stamp = number_field(1, 100) + number_field(2, 5);
    const std::string history =
        bytes_field(2, bytes_field(1, wandb_item("x", "{\"y\": 1, \"z\": \"NaN\"}")) +
                           bytes_field(1, wandb_item("_timestamp", "1.5")) +
                           bytes_field(2, number_field(1, 4)));
    const std::string run =
        bytes_field(17, bytes_field(8, "name") + bytes_field(10, "tag") + bytes_field(17, stamp) +
                            bytes_field(4, bytes_field(1, wandb_item("lr", "{\"a\": 0.1}"))));
    const std::string system =
        bytes_field(7, bytes_field(2, stamp) + bytes_field(3, wandb_item("cpu", "3")));
    put_text(corpus, "wandb", "run", pieces({run, history, system, bytes_field(18, stamp)}));
}

void put_events(Corpus& corpus) {
    using testing::bytes_field;
    const auto value = [](std::string_view tag, float number) {
        return bytes_field(5,
                           bytes_field(1, bytes_field(1, tag) + testing::float_field(2, number)));
    };
    put_text(corpus, "tensorboard", "scalars",
             pieces({testing::double_field(1, 1.7e9) + bytes_field(3, "brain.Event:2"),
                     testing::double_field(1, 1.7e9) + testing::number_field(2, 1) +
                         value("train/loss", 2.5F),
                     testing::double_field(1, 1.8e9) + testing::number_field(2, 2) +
                         value("train/loss", -0.0F)}));
}

}  // namespace

void put_damages(Corpus& corpus) {
    constexpr int kKinds = 8;  // of damage; stores_target.cc
    constexpr int kFiles = 6;
    for (int what = 0; what < kKinds; ++what) {
        for (int which = 0; which < kFiles; ++which) {
            corpus.put("stores", fmt::format("damage-{}-{}", what, which),
                       with_prefix({what, which, 0x30 * which, 0x10, 0, 0, 0x41}, {}));
        }
        // And another file besides.
        corpus.put(
            "stores", fmt::format("damages-{}", what),
            with_prefix({what, 1, 5, 9, 0, 0, 1, (what + 3) % kKinds, 4, 7, 16, 0, 0, 2}, {}));
    }
}

void put_texts(Corpus& corpus) {
    put_text(corpus, "csv", "units",
             "#{\"t_start\": 100.5}\ntimestamp, index, p [W], t\n2026/04/21 20:54:20.434, 0, 5 W, 1"
             "\n2026/04/21 20:54:21.434, 1, [N/A], 2\n");
    put_text(corpus, "csv", "points",
             "run,metric,step,time,value\ng/a,\"x, y\",0,2026-03-01T12:00:00Z,4\n"
             "g/a,gpu,,100,nan:7ff8000000000001\ng/b,x,1,,5\n");
    put_text(corpus, "jsonl", "run",
             "{\"run\": {\"id\": \"r\", \"config\": {\"lr\": 1e-3}, \"tags\": [\"a\"]}}\n"
             "{\"step\": 1, \"timestamp\": 5, \"x\": 2.5, \"s\": \"y\"}\n"
             "{\"timestamp\": 6, \"cpu\": NaN, \"x\": 1}\n{\"run\": {\"state\": \"failed\"}}\n");
    put_text(corpus, "jsonl", "points",
             "{\"run\": \"g/a\", \"metric\": \"x\", \"step\": 0, \"time\": null, \"value\": 4}\n");
    put_text(corpus, "trainer-state", "state",
             "{\"a\": 1, \"log_history\": [{\"step\": 1, \"x\": 2.5, \"s\": \"\\u00e4\"},"
             "{\"step\": 2, \"x\": NaN, \"d\": {\"e\": 1}}], \"trial_params\": {\"lr\": 1e-3}}");
    put_text(corpus, "mlflow", "run",
             pieces({"run_id: 'a'\nstart_time: 1766470857502\nstatus: 3\n", "1000 1.5 0\n",
                     "1100 nan 1\n1200 2 2 name 0af1\n", "3e-4"}));
    put_text(corpus, "console", "lines",
             "step:0/6000 val_loss:11.0149 train_time:305ms step_avg:nanms\r"
             "epoch: 0|step: 9|ppo_ep: 1|act_loss: 0.25\naverage reward score: 1.5\n"
             " [2024-03-05 10:00:36] iteration 100/ 500 | lm loss: 1 |\n");
    put_text(corpus, "nvidia-smi", "table",
             "timestamp, index, utilization.gpu [%], memory.used [MiB]\n"
             "2026/04/21 20:54:20.434, 0, 97 %, 1024 MiB\n");
    put_text(corpus, "monitor", "episodes", "#{\"t_start\": 1.5}\nr,l,t\n1.5,10,0.25\n2,9,1\n");
    put_wandb(corpus);
    put_events(corpus);
    put_text(corpus, "tokens", "two",
             "stepdb tokens 1\nname=a hash=" + std::string(64, '0') +
                 " created=1 expires=9 connections=4 rows=5 queries=6 read=** write=gpt/*\nname=b "
                 "hash=" +
                 std::string(64, 'f') + " created=2 admin=** metrics=**\n");
}

}  // namespace stepdb
