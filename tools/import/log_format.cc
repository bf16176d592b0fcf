#include "tools/import/log_format.h"

#include <fmt/format.h>

#include "tools/import/console_log.h"
#include "tools/import/csv_log.h"
#include "tools/import/event_log.h"
#include "tools/import/json_log.h"
#include "tools/import/json_objects.h"
#include "tools/import/mlflow_database.h"
#include "tools/import/mlflow_log.h"
#include "tools/import/mlflow_run.h"
#include "tools/import/trainer_state.h"
#include "tools/import/wandb_log.h"

namespace stepdb {

namespace {

// --- Help ---

constexpr std::string_view kTimeNotes =
    "        Numbers are seconds since 1970 below 1e11, else milliseconds below 1e14, else\n"
    "        microseconds below 1e17, else nanoseconds; or 2026-11-23T17:23:05.250+01:00, UTC\n"
    "        if no zone is given. Rows without a time get that of the file's last change.\n";

constexpr std::string_view kFileRunNotes =
    "Run     without --run: the file's path below the directory named, or its name if the file\n"
    "        was named itself; with `/` as `.` and bytes that ids cannot have as `_`.\n";

constexpr std::string_view kTableNotes =
    "Tables  of run, metric, value and step or time, as `stepdb export` writes them, hold several\n"
    "        runs, each by its name without the project.\n";

constexpr std::string_view kCommonNotes =
    "Prints per run: read = sent + skipped, sent = stored + replaced points. A point is replaced\n"
    "if its series had the same step (time) before, in this import or in the store; found by\n"
    "counting the points of its series before and after; where damage in the store forbids that,\n"
    "all is sent, both are empty and the exit status is 1. Importing again replaces every\n"
    "point by itself, so an import that was interrupted is simply started again. Where a log goes\n"
    "back to an earlier step and on from there, as after a crash, --restarts says what becomes of\n"
    "it; restarts counts these places. A file that\n"
    "breaks off is imported up to there; the place is named and the exit status is 1. --format\n"
    "json prints an object per line and run. docs/import.md has more.";

std::string csv_notes() {
    return fmt::format(
        "A file has a column per metric; or the columns series, step, wall_time, value (either of\n"
        "step and wall_time may be missing), a point a line; or, with --name-from layer, a line "
        "per\n"
        "layer and a column per measure, which makes metrics such as h.0.attn/rank. Its first "
        "line\n"
        "names the columns.\n"
        "\n"
        "Step    the column of --step-column, else the first there is, in upper or lower case, of\n"
        "        {}. It is no metric then. Without\n"
        "        one the metrics are timed.\n"
        "Time    the column of --time-column, else the first there is of\n"
        "        {}.\n{}"
        "Cells   empty: absent. nan, inf and -inf in any case: values. Text: skipped and counted.\n"
        "Units   the metric of a column `power [W]` is power, and its cells may be `69.05 W`.\n"
        "Comment a first line #{{...}} is an object whose fields become attributes config/NAME;\n"
        "        t_start in it and a column t of seconds make the time if no other column does.\n"
        "{}{}\n{}",
        fmt::join(step_column_names(), ", "), fmt::join(time_column_names(), ", "), kTimeNotes,
        kTableNotes, kFileRunNotes, kCommonNotes);
}

std::string trainer_state_notes() {
    return fmt::format(
        "The objects of log_history make a row each, as lines do in `jsonl`: the step is `step`;\n"
        "numbers are values, also bare NaN and Infinity; text is skipped and counted. There are "
        "no\n"
        "times: rows get that of the file's last change.\n"
        "\n"
        "Settings (max_steps, num_train_epochs, train_batch_size, logging_steps, eval_steps,\n"
        "save_steps, trial_params) become attributes config/NAME, other single values "
        "trainer/NAME,\n"
        "trial_name the run's name. A checkpoint holds all that was logged before it, so the "
        "newest\n"
        "one suffices.\n"
        "\n"
        "{}\n{}",
        kFileRunNotes, kCommonNotes);
}

std::string mlflow_notes() {
    return fmt::format(
        "Reads the file store of MLflow (mlruns): EXPERIMENT/RUN/metrics/NAME and what lies "
        "beside;\n"
        "or all runs of the SQLite database of an MLflow server (mlflow.db) that are not "
        "deleted.\n"
        "\n"
        "Lines   `timestamp_ms value step`. Others are skipped and counted, and so is a last line\n"
        "        that does not end.\n"
        "Rows    Points of one step in the files of a run become one row while they were stamped\n"
        "        within --row-window of the first.\n"
        "Facts   params/NAME become attributes config/NAME, typed; tags/NAME become tags/NAME, "
        "but\n"
        "        mlflow.runName the run's name and mlflow.user its owner. meta.yaml gives\n"
        "        mlflow/run_id, mlflow/start_time and their like, and whether the run has "
        "finished\n"
        "        or failed.\n"
        "Run     without --run: the run's path below the directory named, EXPERIMENT.RUN below\n"
        "        mlruns and of a database, or its name if it was named itself. Hidden "
        "directories,\n        such as .trash,"
        "\n"
        "        are left out.\n"
        "\n"
        "{}",
        kCommonNotes);
}

std::string console_notes() {
    return fmt::format(
        "A pattern file says what lines hold, in regular expressions of RE2:\n"
        "\n"
        "    # step:125/6000 train_loss:6.5432 step_avg:249.11ms\n"
        "    line ^step:(?P<step>\\d+)/\\d+ (?P<rest>.*)\n"
        "    pairs (?P<name>\\w+):(?P<value>.*?)(?:ms)?(?:\\s|$)\n"
        "\n"
        "line    a kind of line. Its groups step and time are the key; any other group is the "
        "value\n"
        "        of a metric of that name. The first kind that is found in a line takes it.\n"
        "pairs   found again and again in the group rest, or in the whole line: a name and its "
        "value.\n"
        "Key     a line without a step (a time) belongs to the last one before it.\n"
        "Values  numbers, nan and inf. Text is skipped and counted; lines that no kind takes are\n"
        "        left aside.\n"
        "{}\n{}",
        kFileRunNotes, kCommonNotes);
}

std::string wandb_notes() {
    return fmt::format(
        "Reads the transaction log that W&B keeps of every run, wandb/run-DATE-ID/run-ID.wandb.\n"
        "\n"
        "History is by step, with the times of _timestamp; system metrics are _system/NAME, by "
        "time.\n"
        "Values  numbers, NaN, Infinity, true and false; members of an object as outer.inner.\n"
        "        Strings, lists, media and histograms are skipped and counted.\n"
        "Facts   the config as config/NAME; the run's name and tags; wandb/run_id, wandb/project,\n"
        "        wandb/group, wandb/job_type, wandb/notes, wandb/start_time. A run with an exit\n"
        "        code is finished, or failed if it is not 0.\n"
        "{}\n{}",
        kFileRunNotes, kCommonNotes);
}

std::string nvidia_smi_notes() {
    return fmt::format(
        "Reads what this prints, with or without nounits:\n"
        "\n"
        "    nvidia-smi --query-gpu=timestamp,index,power.draw,utilization.gpu --format=csv -l 1\n"
        "\n"
        "Metrics gpu.INDEX/power.draw and so on, without the unit; in place of the index the uuid "
        "or\n"
        "        the pci.bus_id if there is none, and power.draw alone if there is none of them.\n"
        "Time    the column timestamp. nvidia-smi writes local time without its zone: it is taken\n"
        "        for UTC.\n"
        "Cells   `345 MHz` is 345. [N/A] and other text: skipped and counted.\n"
        "{}\n{}",
        kFileRunNotes, kCommonNotes);
}

std::string monitor_notes() {
    return fmt::format(
        "Reads the files of the Monitor wrapper of Gym environments (Stable-Baselines): a line\n"
        "\n"
        "    #{{\"t_start\": 1624568444.14, \"env_id\": \"FetchSlide-v1\"}}\n"
        "\n"
        "then the header r,l,t and a line an episode. The step is the number of the episode, from "
        "0;\n"
        "the time is t_start and the seconds t after it; the other fields of the first line "
        "become\n"
        "attributes, as config/env_id.\n"
        "\n"
        "{}\n{}",
        kFileRunNotes, kCommonNotes);
}

std::string tensorboard_notes() {
    return fmt::format(
        "A directory that holds event files (*tfevents*) is a run, which its files make up in the\n"
        "order of their names: of restarts the later point stands.\n"
        "\n"
        "Scalars simple values, and tensors of one element of any numeric type. Histograms, "
        "images,\n"
        "        audio, text and larger tensors are skipped and counted.\n"
        "Rows    TensorBoard stamps every scalar by itself. Scalars of one step that follow each\n"
        "        other become one row, with the time of the first of them, while they were "
        "stamped\n"
        "        within --row-window of it and no tag comes twice.\n"
        "Run     without --run: the directory's path below the one named, or its name if it was\n"
        "        named itself, or a file's name if that was; with `/` as `.` and bytes that ids\n"
        "        cannot have as `_`.\n"
        "Follow  --follow goes on until SIGINT or SIGTERM: it reads new files, and what comes to "
        "old\n"
        "        ones, waits for the rest of a record that is half written, and for a server that "
        "is\n"
        "        away. Started again, it goes on where the store is. It prints files, series, "
        "read,\n"
        "        sent and skipped of each run when it ends. docs/import.md, \"Following a job\".\n"
        "\n{}",
        kCommonNotes);
}

std::string jsonl_notes() {
    return fmt::format(
        "A line is an object and makes a row. Objects within it are flattened: the metric of 3 in\n"
        "{{\"perf\": {{\"cpu\": 3}}}} is perf/cpu.\n"
        "\n"
        "Step    the field of --step-column (perf/cpu or perf.cpu), else the first that one of "
        "the\n"
        "        first lines has of\n"
        "        {}. It is no metric then. Without\n"
        "        one the metrics are timed.\n"
        "Time    the field of --time-column, else the first there is of\n"
        "        {}.\n{}"
        "        In a file with steps, lines with a time and no step are timed metrics: "
        "telemetry.\n"
        "Run     lines such as {{\"run\": {{\"id\": \"r7\", \"config\": {{\"lr\": 1e-3}}, "
        "\"tags\": [\"sweep\"],\n"
        "        \"state\": \"finished\"}}}} say what the run is; and so do name, owner and\n"
        "        \"fork\": {{\"of\": \"r6\", \"at\": 500}}. The id counts on the first line alone, "
        "and\n"
        "        where --run names none.\n"
        "Values  numbers, as the nearest double; NaN, Infinity and -Infinity, bare or as strings;\n"
        "        true is 1 and false 0. null: absent. Other strings, and arrays: skipped and\n"
        "        counted, each as one. Of a name that comes twice in a line the later counts.\n"
        "{}{}\n{}",
        fmt::join(step_column_names(), ", "), fmt::join(time_column_names(), ", "), kTimeNotes,
        kTableNotes, kFileRunNotes, kCommonNotes);
}

// --- Formats ---

LogFormat csv_format() {
    LogFormat made;
    made.name = "csv";
    made.summary = "CSV files, a run each";
    made.files.shown = "*.csv";
    made.files.suffixes = {".csv"};
    made.place_word = "line";
    made.unit = "cell";
    made.open = CsvLog::open;
    made.open_second = CsvLog::open_timed;
    made.open_points = open_csv_points;
    made.takes_columns = true;
    made.takes_name_from = true;
    made.examples = {"stepdb import csv examples/logs/char-model.csv --project demo --run tiny",
                     "stepdb import csv examples/logs --project demo --format json"};
    made.notes = csv_notes();
    return made;
}

LogFormat tensorboard_format() {
    LogFormat made;
    made.name = "tensorboard";
    made.alias = "tb";
    made.summary = "TensorBoard event files, a directory a run; also tb";
    made.files.shown = "*tfevents*";
    made.files.fragments = {"tfevents"};
    made.files.directory_is_run = true;
    made.place_word = "record";
    made.unit = "value";
    made.open = EventLog::open;
    made.takes_row_window = true;
    made.takes_follow = true;
    made.examples = {
        "stepdb import tensorboard examples/logs/tensorboard --project demo --run board",
        "stepdb import tb examples/logs --project demo --row-window 100ms",
        "stepdb import tb examples/logs --project live --follow"};
    made.notes = tensorboard_notes();
    return made;
}

LogFormat jsonl_format() {
    LogFormat made;
    made.name = "jsonl";
    made.summary = "Files of a JSON object a line, a run each";
    made.files.shown = "*.jsonl, *.ndjson or result.json";
    made.files.suffixes = {".jsonl", ".ndjson", "result.json"};
    made.place_word = "line";
    made.unit = "value";
    made.open = JsonLog::open;
    made.open_second = JsonLog::open_timed;
    made.open_points = open_json_points;
    made.own_id = id_in_json_lines;
    made.takes_columns = true;
    made.examples = {
        "stepdb import jsonl examples/logs/char-model.jsonl --project demo --run lines",
        "stepdb import jsonl examples/logs/sweep --project sweep"};
    made.notes = jsonl_notes();
    return made;
}

LogFormat trainer_state_format() {
    LogFormat made;
    made.name = "trainer-state";
    made.alias = "hf";
    made.summary = "trainer_state.json of Hugging Face's Trainer, a run each; also hf";
    made.files.shown = "trainer_state.json";
    made.files.suffixes = {"trainer_state.json"};
    made.place_word = "entry";
    made.unit = "value";
    made.open = open_trainer_state;
    made.takes_columns = true;
    made.examples = {
        "stepdb import trainer-state checkpoint-500/trainer_state.json --project demo --run ft",
        "stepdb import hf output --project demo"};
    made.notes = trainer_state_notes();
    return made;
}

Result<std::unique_ptr<LogSource>> open_mlflow(const std::string& path, const LogOptions& options,
                                               uint64_t bytes_max) {
    return is_sqlite_file(path) ? MlflowDatabaseLog::open(path, options, bytes_max)
                                : MlflowLog::open(path, options, bytes_max);
}

LogFormat mlflow_format() {
    LogFormat made;
    made.name = "mlflow";
    made.summary = "Runs of an MLflow file store, or of its SQLite database";
    made.files.shown = "MLflow run";
    made.files.is_run_directory = is_mlflow_run;
    made.place_word = "line";
    made.unit = "line";
    made.open = open_mlflow;
    made.list_runs = list_mlflow_runs;
    made.takes_row_window = true;
    made.examples = {"stepdb import mlflow mlruns --project demo",
                     "stepdb import mlflow mlflow.db --project demo",
                     "stepdb import mlflow mlruns/0/3f2a --project demo --run tuned"};
    made.notes = mlflow_notes();
    return made;
}

LogFormat console_format() {
    LogFormat made;
    made.name = "console";
    made.summary = "What a program printed, by patterns of its lines, a run a file";
    made.files.shown = "*.log, *.out or *.txt";
    made.files.suffixes = {".log", ".out", ".txt"};
    made.place_word = "line";
    made.unit = "value";
    made.open = ConsoleLog::open;
    made.defaults.patterns = "all";
    made.takes_patterns = true;
    made.examples = {"stepdb import console train.log --project demo --run speedrun",
                     "stepdb import console train.log --patterns megatron --project demo",
                     "stepdb import console logs --patterns mine.txt --project demo"};
    made.notes = console_notes();
    return made;
}

LogFormat wandb_format() {
    LogFormat made;
    made.name = "wandb";
    made.summary = "Transaction logs of W&B, a run each";
    made.files.shown = "*.wandb";
    made.files.suffixes = {".wandb"};
    made.place_word = "record";
    made.unit = "value";
    made.open = WandbLog::open_history;
    made.open_second = WandbLog::open_system;
    made.examples = {
        "stepdb import wandb wandb/latest-run/run-3f2a.wandb --project demo --run tiny",
        "stepdb import wandb wandb --project demo"};
    made.notes = wandb_notes();
    return made;
}

LogFormat nvidia_smi_format() {
    LogFormat made = csv_format();
    made.open_second = nullptr;
    made.open_points = nullptr;
    made.name = "nvidia-smi";
    made.summary = "CSV that nvidia-smi prints, a run a file";
    made.files.shown = "*nvsmi* or *nvidia*";
    made.files.suffixes.clear();
    made.files.fragments = {"nvsmi", "nvidia"};
    made.defaults.name_from_usual = {"index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id"};
    made.defaults.name_prefix = "gpu.";
    made.takes_name_from = false;
    made.examples = {"stepdb import nvidia-smi nvsmi.csv --project demo --run gpus",
                     "stepdb import nvidia-smi logs --project demo --finish"};
    made.notes = nvidia_smi_notes();
    return made;
}

LogFormat monitor_format() {
    LogFormat made = csv_format();
    made.open_second = nullptr;
    made.open_points = nullptr;
    made.name = "monitor";
    made.summary = "Monitor files of reinforcement learning, a run each";
    made.files.shown = "*monitor.csv";
    made.files.suffixes = {"monitor.csv"};
    made.axis = "index";
    made.takes_name_from = false;
    made.examples = {"stepdb import monitor 0.monitor.csv --project demo --run slide",
                     "stepdb import monitor logs --project demo --axis time"};
    made.notes = monitor_notes();
    return made;
}

}  // namespace

const std::vector<LogFormat>& log_formats() {
    static const std::vector<LogFormat> formats = {
        csv_format(),           tensorboard_format(), jsonl_format(),
        trainer_state_format(), mlflow_format(),      wandb_format(),
        console_format(),       nvidia_smi_format(),  monitor_format()};
    return formats;
}

}  // namespace stepdb
