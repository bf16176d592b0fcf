// `stepdb import`: other tools' logs into runs.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "engine/model/schema.h"
#include "tools/address.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/import/csv_log.h"
#include "tools/import/event_log.h"
#include "tools/import/json_log.h"
#include "tools/import/log_source.h"
#include "tools/import/run_id.h"
#include "tools/import/run_import.h"
#include "tools/output/format_cell.h"
#include "tools/output/progress.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

using OpenLog = Result<std::unique_ptr<LogSource>> (*)(const std::string& path,
                                                       const LogOptions& options,
                                                       uint64_t bytes_max);

// A format as the command line knows it.
struct LogFormat {
    LogFormat() = default;

    std::string name;
    LogFilePattern files;
    std::string_view place_word;  // what rows are counted in
    std::string_view unit;        // what is read and skipped: "cell"
    OpenLog open = nullptr;
};

struct ImportOptions {
    std::vector<std::string> paths;
    std::string project;
    std::string run;
    std::string axis = "auto";
    std::string row_window;
    std::string server;
    std::string format = "table";
    bool finish = false;
    LogOptions log;
};

const std::map<std::string, ImportAxis>& axis_names() {
    static const std::map<std::string, ImportAxis> names = {{"auto", ImportAxis::kAuto},
                                                            {"step", ImportAxis::kStep},
                                                            {"time", ImportAxis::kTime},
                                                            {"index", ImportAxis::kIndex}};
    return names;
}

int64_t modification_time_us(const std::string& path) {
    std::error_code ignored;
    const auto at = fs::last_write_time(path, ignored);
    const auto system = std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::file_clock::to_sys(at));
    return system.time_since_epoch().count();
}

int64_t steady_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::unique_ptr<Progress> make_progress(std::string label, std::string unit, uint64_t total) {
    ProgressOptions options;
    options.label = std::move(label);
    options.unit = std::move(unit);
    options.total = total;
    options.terminal = is_terminal(STDERR_FILENO);
    options.width = terminal_size(STDERR_FILENO).width;
    const TextSink sink = [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stderr);
        std::fflush(stderr);
    };
    return std::make_unique<Progress>(std::move(options), sink, steady_us);
}

void print_reports(const std::vector<ImportReport>& reports, OutputFormat format) {
    const std::vector<ResultColumn> columns = {
        {"project", ColumnType::kText},    {"run", ColumnType::kText},
        {"series", ColumnType::kUint64},   {"read", ColumnType::kUint64},
        {"sent", ColumnType::kUint64},     {"stored", ColumnType::kUint64},
        {"replaced", ColumnType::kUint64}, {"skipped", ColumnType::kUint64}};
    ResultBlock block(columns);
    for (const ImportReport& report : reports) {
        block.column(0).append_text(report.project);
        block.column(1).append_text(report.run);
        block.column(2).append_uint64(report.series);
        block.column(3).append_uint64(report.read);
        block.column(4).append_uint64(report.sent);
        for (const auto& [column, points] :
             {std::pair(size_t{5}, report.stored), std::pair(size_t{6}, report.replaced)}) {
            report.uncounted ? block.column(column).append_null()
                             : block.column(column).append_uint64(points);
        }
        block.column(7).append_uint64(report.skipped);
    }
    const auto writer = make_result_writer(format, write_to_stdout);
    writer->begin(columns);
    writer->block(block);
    writer->end();
}

std::string shown_kinds(const ImportReport& report) {
    std::string text;
    for (const auto& [kind, count] : report.skipped_kinds) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
    }
    return text;
}

void print_notes(const ImportReport& report, const LogFormat& format) {
    if (report.sent == 0) {
        fmt::print(stderr, "note: {}/{}: no point to import; no run was opened for it\n",
                   report.project, report.run);
    }
    if (report.skipped > 0) {
        fmt::print(stderr, "note: {}/{}: {} skipped ({}); the first: {}\n", report.project,
                   report.run, count_of(report.skipped, format.unit), shown_kinds(report),
                   report.first_skipped);
    }
    if (report.replaced > 0) {
        // In a new run they replaced each other.
        fmt::print(stderr, "note: {}/{}: {} replaced an earlier one of their series and {}{}\n",
                   report.project, report.run, count_of(report.replaced, "point"),
                   report.is_stepped ? "step" : "key",
                   report.is_stepped && report.created
                       ? "; --axis time or --axis index would keep them apart"
                       : "");
    }
    if (format.name == "csv" && report.created && report.replaced > 0 &&
        report.skipped_kinds.contains("text")) {
        fmt::print(stderr,
                   "note: {}/{}: if a column of text tells what a line is about, such as a layer, "
                   "`--name-from COLUMN` keeps such lines apart\n",
                   report.project, report.run);
    }
}

// A number with us, ms or s behind it; 0 and more.
Result<int64_t> read_row_window(std::string_view text) {
    const std::map<std::string_view, double> units = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, number);
    const auto unit = units.find(text.substr(static_cast<size_t>(stop - text.data())));
    if (code != std::errc() || unit == units.end() || !(number >= 0) ||
        number * unit->second > 86400e6) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--row-window '{}': a time such as 500ms or 2s is wanted, a day at most",
                          text);
    }
    return static_cast<int64_t>(number * unit->second);
}

// The import of the files of one command. What is wrong with one file stops neither the others nor
// the rest of its run.
class Import {
  public:
    Import(const LogFormat& format, const ImportOptions& options)
        : format_(format), options_(options) {}

    Status run() {
        TRY_ASSIGN(OutputFormat output, read_output_format(options_.format));
        FoundFiles found = find_files(options_.paths, format_.files);
        broken_ = std::move(found.errors);
        // What is not there was meant for a run only if that was named.
        is_all_found_ = broken_.empty() || options_.run.empty();
        if (found.files.empty()) {
            return broken_files();
        }
        TRY_ASSIGN(const auto runs, group_by_run(found.files, options_.run));
        TRY_ASSIGN(const auto client, connect_to(options_.server, import_writer()));
        Status status;
        for (const RunFiles& files : runs) {
            status = import_files(*client, files);
            if (!status) {
                break;
            }
        }
        // An object a run, so that scripts can take them one by one.
        output = output == OutputFormat::kJson ? OutputFormat::kJsonl : output;
        if (!reports_.empty()) {
            print_reports(reports_, output);
            std::fflush(stdout);
        }
        for (const ImportReport& report : reports_) {
            print_notes(report, format_);
        }
        for (const std::string& path : empty_) {
            fmt::print(stderr, "note: {}: there is no value in it\n", path);
        }
        for (const std::string& run : unfinished_) {
            fmt::print(stderr, "note: {}: not marked as finished, because not all of it is there\n",
                       run);
        }
        return status ? broken_files() : status;
    }

  private:
    Status import_files(Client& client, const RunFiles& run) {
        std::vector<PlannedFile> files;
        uint64_t points = 0;
        for (const std::string& path : run.paths) {
            std::optional<PlannedFile> file = plan(path);
            if (file) {
                points += file->points;
                files.push_back(std::move(*file));
            }
        }
        if (files.empty()) {
            return {};
        }
        ImportTarget target;
        target.project = options_.project;
        target.run = run.run;
        const bool is_whole = is_all_found_ && files.size() == run.paths.size() &&
                              std::ranges::none_of(files, [](const PlannedFile& file) {
                                  return file.broken.has_value();
                              });
        target.finish = options_.finish && is_whole;
        const auto progress = make_progress("importing " + run.run, "points", points);
        TRY_ASSIGN(ImportReport report, import_run(client, target, files,
                                                   [&](uint64_t sent) { progress->update(sent); }));
        progress->finish();
        if (options_.finish && !is_whole && report.sent > 0) {
            unfinished_.push_back(report.project + "/" + report.run);
        }
        if (report.uncounted) {
            broken_.push_back(*report.uncounted);
        }
        reports_.push_back(std::move(report));
        return {};
    }

    // Nothing if nothing of the file can be read.
    std::optional<PlannedFile> plan(const std::string& path) {
        std::error_code ignored;
        const auto progress =
            make_progress("reading " + path, "bytes", fs::file_size(path, ignored));
        LogOptions log = options_.log;
        log.axis = axis_names().at(options_.axis);
        log.file_time_us = modification_time_us(path);
        const LogOpener open = [log, open_log = format_.open](const std::string& name,
                                                              uint64_t bytes_max) {
            return open_log(name, log, bytes_max);
        };
        Result<PlannedFile> file =
            plan_file(path, open, [&](uint64_t bytes) { progress->update(bytes); });
        if (!file) {
            broken_.emplace_back(file.error().code(),
                                 file.error().message() + "; nothing of it was imported");
            return std::nullopt;
        }
        file->place_word = format_.place_word;
        if (!file->broken && file->counts.read == 0) {
            empty_.push_back(path);
        }
        if (file->broken) {
            broken_.emplace_back(
                file->broken->code(),
                file->points == 1
                    ? fmt::format("{}; the point before it was imported", file->broken->message())
                    : fmt::format("{}; the {} points before it were imported",
                                  file->broken->message(), file->points));
        }
        return std::move(*file);
    }

    Status broken_files() const {
        if (broken_.empty()) {
            return {};
        }
        std::string message = broken_.front().message();
        for (size_t i = 1; i < broken_.size(); ++i) {
            message += "\n  " + broken_[i].message();
        }
        return Error(broken_.front().code(), message);
    }

    const LogFormat& format_;
    const ImportOptions& options_;
    std::vector<ImportReport> reports_;
    std::vector<Error> broken_;
    bool is_all_found_ = true;             // of what was named
    std::vector<std::string> empty_;       // files
    std::vector<std::string> unfinished_;  // runs that --finish has left as they are
};

// --- Help ---

constexpr std::string_view kTimeNotes =
    "        Numbers are seconds since 1970 below 1e11, else milliseconds below 1e14, else\n"
    "        microseconds below 1e17, else nanoseconds; or 2026-11-23T17:23:05.250+01:00, UTC\n"
    "        if no zone is given. Rows without a time get that of the file's last change.\n";

constexpr std::string_view kFileRunNotes =
    "Run     without --run: the file's path below the directory named, or its name if the file\n"
    "        was named itself; with `/` as `.` and bytes that ids cannot have as `_`.\n";

constexpr std::string_view kCommonNotes =
    "Prints per run: read = sent + skipped, sent = stored + replaced points. A point is replaced\n"
    "if its series had the same step (time) before, in this import or in the store; found by\n"
    "counting the points of its series before and after; where damage in the store forbids that,\n"
    "all is sent, both are empty and the exit status is 1. Importing again replaces every\n"
    "point by itself, so an import that was interrupted is simply started again. A file that\n"
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
        "{}\n{}",
        fmt::join(step_column_names(), ", "), fmt::join(time_column_names(), ", "), kTimeNotes,
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
        "Values  numbers, as the nearest double; NaN, Infinity and -Infinity, bare or as strings;\n"
        "        true is 1 and false 0. null: absent. Other strings, and arrays: skipped and\n"
        "        counted, each as one. Of a name that comes twice in a line the later counts.\n"
        "{}\n{}",
        fmt::join(step_column_names(), ", "), fmt::join(time_column_names(), ", "), kTimeNotes,
        kFileRunNotes, kCommonNotes);
}

// --- Command line ---

const LogFormat& csv_format() {
    static const LogFormat format = [] {
        LogFormat made;
        made.name = "csv";
        made.files.shown = "*.csv";
        made.files.suffixes = {".csv"};
        made.place_word = "line";
        made.unit = "cell";
        made.open = CsvLog::open;
        return made;
    }();
    return format;
}

const LogFormat& tensorboard_format() {
    static const LogFormat format = [] {
        LogFormat made;
        made.name = "tensorboard";
        made.files.shown = "*tfevents*";
        made.files.fragments = {"tfevents"};
        made.files.directory_is_run = true;
        made.place_word = "record";
        made.unit = "value";
        made.open = EventLog::open;
        return made;
    }();
    return format;
}

const LogFormat& jsonl_format() {
    static const LogFormat format = [] {
        LogFormat made;
        made.name = "jsonl";
        made.files.shown = "*.jsonl, *.ndjson or result.json";
        made.files.suffixes = {".jsonl", ".ndjson", "result.json"};
        made.place_word = "line";
        made.unit = "value";
        made.open = JsonLog::open;
        return made;
    }();
    return format;
}

void add_common_options(CLI::App& app, ImportOptions& options, const LogFormat& format) {
    app.add_option("PATHS", options.paths,
                   fmt::format("Files, or directories to find {} files in", format.files.shown))
        ->type_name("PATH")
        ->required();
    app.add_option("--project", options.project, "The project")->type_name("P")->required();
    app.add_option("--run", options.run, "The run that all files go into")->type_name("R");
    app.add_option("--axis", options.axis,
                   "Key of the points: step, time, index (the number of the record) or auto (step "
                   "if there is one, else time)")
        ->type_name("AXIS")
        ->check(CLI::IsMember(axis_names()))
        ->capture_default_str();
}

void add_column_options(CLI::App& app, ImportOptions& options) {
    app.add_option("--step-column", options.log.step_column, "What holds the step")->type_name("C");
    app.add_option("--time-column", options.log.time_column, "What holds the time")->type_name("C");
}

void add_last_options(CLI::App& app, ImportOptions& options) {
    app.add_flag("--finish", options.finish,
                 "Mark each run as finished when all of its files are in it, read to their end");
    add_server_option(app, options.server);
    app.add_option("--format", options.format,
                   "How to print what came in: table, csv, json or jsonl")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
}

struct Subcommand {
    CLI::App* app;
    const LogFormat* format;
    std::shared_ptr<ImportOptions> options;
};

Subcommand add_csv(CLI::App& import) {
    Subcommand made{import.add_subcommand("csv", "CSV files, a run each"), &csv_format(),
                    std::make_shared<ImportOptions>()};
    add_common_options(*made.app, *made.options, *made.format);
    add_column_options(*made.app, *made.options);
    made.app
        ->add_option("--name-from", made.options->log.name_from,
                     "A column whose cell goes before the measures' names; may be given again")
        ->type_name("C")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    add_last_options(*made.app, *made.options);
    add_examples(*made.app,
                 {"stepdb import csv examples/logs/char-model.csv --project demo --run tiny",
                  "stepdb import csv examples/logs --project demo --format json"},
                 csv_notes());
    return made;
}

Subcommand add_tensorboard(CLI::App& import) {
    Subcommand made{
        import.add_subcommand("tensorboard", "TensorBoard event files, a directory a run; also tb"),
        &tensorboard_format(), std::make_shared<ImportOptions>()};
    made.app->alias("tb");
    made.options->row_window = "1s";
    add_common_options(*made.app, *made.options, *made.format);
    made.app
        ->add_option("--row-window", made.options->row_window,
                     "How long after the first scalar of a row another of its step may be stamped")
        ->type_name("TIME")
        ->capture_default_str();
    add_last_options(*made.app, *made.options);
    add_examples(*made.app,
                 {"stepdb import tensorboard examples/logs/tensorboard --project demo --run board",
                  "stepdb import tb examples/logs --project demo --row-window 100ms"},
                 tensorboard_notes());
    return made;
}

Subcommand add_jsonl(CLI::App& import) {
    Subcommand made{import.add_subcommand("jsonl", "Files of a JSON object a line, a run each"),
                    &jsonl_format(), std::make_shared<ImportOptions>()};
    add_common_options(*made.app, *made.options, *made.format);
    add_column_options(*made.app, *made.options);
    add_last_options(*made.app, *made.options);
    add_examples(*made.app,
                 {"stepdb import jsonl examples/logs/char-model.jsonl --project demo --run lines",
                  "stepdb import jsonl examples/logs --project demo --axis index"},
                 jsonl_notes());
    return made;
}

Status check_options(ImportOptions& options) {
    TRY(check_id("project", options.project));
    if (!options.run.empty()) {
        TRY(check_id("run", options.run));
    }
    if (!options.row_window.empty()) {
        TRY_ASSIGN(options.log.row_window_us, read_row_window(options.row_window));
    }
    TRY(parse_address(options.server));
    return {};
}

}  // namespace

Command add_import(CLI::App& stepdb) {
    CLI::App* import = stepdb.add_subcommand("import", "Bring in logs that other tools wrote");
    import->require_subcommand(1);
    const std::vector<Subcommand> formats = {add_csv(*import), add_tensorboard(*import),
                                             add_jsonl(*import)};
    add_examples(*import, {"stepdb import csv examples/logs --project demo",
                           "stepdb import tensorboard examples/logs --project demo",
                           "stepdb import csv --help"});
    return {import,
            [=]() -> Status {
                for (const Subcommand& command : formats) {
                    if (command.app->parsed()) {
                        return Import(*command.format, *command.options).run();
                    }
                }
                return {};
            },
            [=]() -> Status {
                for (const Subcommand& command : formats) {
                    if (command.app->parsed()) {
                        return check_options(*command.options);
                    }
                }
                return {};
            }};
}

}  // namespace stepdb
