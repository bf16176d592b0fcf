// `stepdb import`: other tools' logs into runs.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "clients/cpp/writer.h"
#include "engine/model/schema.h"
#include "tools/address.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/duration_text.h"
#include "tools/import/byte_source.h"
#include "tools/import/console_patterns.h"
#include "tools/import/log_format.h"
#include "tools/import/run_id.h"
#include "tools/import/run_import.h"
#include "tools/import_follow.h"
#include "tools/output/format_cell.h"
#include "tools/output/progress.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

// What one who waits at a terminal puts up with until a server is back.
constexpr std::chrono::seconds kGiveUpTime(10);

struct ImportOptions {
    std::vector<std::string> paths;
    std::string project;
    std::string run;
    std::string axis = "auto";
    std::string restarts = "attempt";
    std::string row_window;
    ServerChoice server;
    std::string format = "table";
    bool finish = false;
    FollowChoice follow;
    LogOptions log;
};

Result<std::unique_ptr<client::Writer>> connect_writer(const ServerChoice& server) {
    TRY_ASSIGN(client::Options options, writer_options(server));
    options.writer = import_writer();
    options.name = "stepdb import " STEPDB_VERSION;
    options.linger = std::chrono::seconds(1);  // rows come fast or are flushed
    options.give_up_time = kGiveUpTime;
    return client::Writer::connect(std::move(options));
}

const std::map<std::string, ImportAxis>& axis_names() {
    static const std::map<std::string, ImportAxis> names = {{"auto", ImportAxis::kAuto},
                                                            {"step", ImportAxis::kStep},
                                                            {"time", ImportAxis::kTime},
                                                            {"index", ImportAxis::kIndex}};
    return names;
}

const std::map<std::string, RestartMode>& restart_mode_names() {
    static const std::map<std::string, RestartMode> names = {{"attempt", RestartMode::kAttempt},
                                                             {"merge", RestartMode::kMerge},
                                                             {"split", RestartMode::kSplit}};
    return names;
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
        {"replaced", ColumnType::kUint64}, {"skipped", ColumnType::kUint64},
        {"restarts", ColumnType::kUint64}};
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
        block.column(8).append_uint64(report.restarts);
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

void print_restarts(const ImportReport& report, RestartMode mode) {
    const std::string run = report.project + "/" + report.run;
    const std::map<RestartMode, std::string> consequences = {
        {RestartMode::kAttempt,
         fmt::format("the next attempt of the run began (`{}#0` reads the first)", run)},
        {RestartMode::kMerge, "later points replaced earlier ones"},
        {RestartMode::kSplit, "another run began"}};
    fmt::print(stderr, "note: {}: the log jumps back as a whole {}, and {}; the first: {}\n", run,
               report.restarts == 1 ? "once" : fmt::format("{} times", report.restarts),
               consequences.at(mode), report.first_restart);
}

void print_notes(const ImportReport& report, const LogFormat& format, const LogOptions& log) {
    if (report.sent == 0) {
        fmt::print(
            stderr, "note: {}/{}: no point to import; {}\n", report.project, report.run,
            report.opened ? "what the log says of its run was taken" : "no run was opened for it");
    }
    if (report.facts_left_out > 0) {
        fmt::print(stderr, "note: {}/{}: {} left out; the first: {}\n", report.project, report.run,
                   count_of(report.facts_left_out, "attribute"), report.first_fact_left_out);
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
                       ? "; --axis index (or --axis time, if there are times) would keep them apart"
                       : "");
    }
    if (format.name == "csv" && log.name_from.empty() && report.created && report.replaced > 0 &&
        report.skipped_kinds.contains("text")) {
        fmt::print(stderr,
                   "note: {}/{}: if a column of text tells what a line is about, such as a layer, "
                   "`--name-from COLUMN` keeps such lines apart\n",
                   report.project, report.run);
    }
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
        TRY_ASSIGN(found.files, name_runs(found.files));
        for (FoundFile& file : found.files) {
            const bool may_say = !file.part && options_.run.empty() && format_.own_id != nullptr;
            const std::string id = may_say ? format_.own_id(file.path) : std::string();
            if (!id.empty()) {  // files that say the same belong together
                file.run = id;
                file.origin = "logs of " + id;
            }
        }
        TRY_ASSIGN(const auto runs, group_by_run(found.files, options_.run));
        TRY_ASSIGN(const auto reader, connect_to(options_.server));
        TRY_ASSIGN(const auto writer, connect_writer(options_.server));
        for (const RunFiles& files : runs) {
            runs_.insert(files.run);
        }
        Status status;
        for (const RunFiles& files : runs) {
            status = import_files(*writer, *reader, files);
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
            if (report.restarts > 0) {
                print_restarts(report, restart_mode_names().at(options_.restarts));
            }
            print_notes(report, format_, options_.log);
        }
        for (const std::string& path : empty_) {
            fmt::print(
                stderr, "note: {}: there is no value in it{}\n", path,
                format_.takes_patterns ? " that the patterns find; --patterns gives others" : "");
        }
        for (const std::string& run : unfinished_) {
            fmt::print(stderr, "note: {}: not marked as finished, because not all of it is there\n",
                       run);
        }
        return status ? broken_files() : status;
    }

  private:
    // Tables of points name the runs that are in them.
    Result<std::vector<FoundFile>> name_runs(const std::vector<FoundFile>& files) const {
        std::vector<FoundFile> named;
        std::string only;
        for (const FoundFile& file : files) {
            std::vector<LogPart> parts;
            if (format_.list_runs != nullptr) {
                TRY_ASSIGN(parts, format_.list_runs(file.path));
            }
            // Who says what columns are takes it for another log.
            const bool is_told = !options_.log.step_column.empty() ||
                                 !options_.log.time_column.empty() ||
                                 !options_.log.name_from.empty();
            if (format_.open_points != nullptr && !is_told) {
                const auto progress =
                    make_progress("looking for runs in " + file.path, "bytes", bytes_of(file.path));
                TRY_ASSIGN(parts, find_parts(file.path, format_.open_points,
                                             [&](uint64_t done) { progress->update(done); }));
            }
            for (LogPart& part : parts) {
                if (!options_.run.empty() && only.empty()) {
                    only = part.run;
                } else if (!options_.run.empty() && only != part.run) {
                    return make_error(ErrorCode::kInvalidArgument,
                                      "{} has points of {}, which --run {} would mix with those of "
                                      "{}; leave it out, or give it with one of them alone",
                                      file.path, part.run, options_.run, only);
                }
                FoundFile& run = named.emplace_back(file);
                run.run = part.run.empty() ? file.run : run_id_of_label(part.run);
                run.origin = part.run.empty() ? file.origin : part.run;
                run.part = std::move(part);
            }
            if (parts.empty()) {
                named.push_back(file);
            }
        }
        return named;
    }

    // 0 if nobody knows beforehand how many will be read.
    static uint64_t bytes_of(const std::string& path) {
        std::error_code ignored;
        return fs::is_regular_file(path, ignored) && !is_compressed(path)
                   ? fs::file_size(path, ignored)
                   : 0;
    }

    Status import_files(client::Writer& writer, Client& reader, const RunFiles& run) {
        std::vector<PlannedFile> files;
        uint64_t points = 0;
        size_t planned = 0;
        RestartFinder restarts;
        for (size_t file = 0; file < run.paths.size(); ++file) {
            planned += plan(run.paths[file], run.parts[file], files, restarts) ? 1U : 0U;
        }
        for (const PlannedFile& file : files) {
            points += file.points;
        }
        if (files.empty()) {
            return {};
        }
        ImportTarget target;
        target.project = options_.project;
        target.run = run.run;
        const bool is_whole = is_all_found_ && planned == run.paths.size() &&
                              std::ranges::none_of(files, [](const PlannedFile& file) {
                                  return file.broken.has_value();
                              });
        target.finish = options_.finish && is_whole;
        target.whole = is_whole;
        target.restart_mode = restart_mode_names().at(options_.restarts);
        target.restarts = restarts.finish();
        TRY(check_split(target));
        const auto progress = make_progress("importing " + run.run, "points", points);
        TRY_ASSIGN(std::vector<ImportReport> reports,
                   import_run(writer, reader, target, files,
                              [&](uint64_t sent) { progress->update(sent); }));
        progress->finish();
        for (ImportReport& report : reports) {
            if (options_.finish && !is_whole && report.sent > 0) {
                unfinished_.push_back(report.project + "/" + report.run);
            }
            if (report.uncounted) {
                broken_.push_back(*report.uncounted);
            }
            reports_.push_back(std::move(report));
        }
        return {};
    }

    // No part of a log may come into the run of another.
    Status check_split(const ImportTarget& target) const {
        for (size_t part = 1;
             target.restart_mode == RestartMode::kSplit && part <= target.restarts.size(); ++part) {
            const std::string id = split_run_id(target.run, part);
            if (runs_.contains(id)) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "run {} would be part {} of {} and that of a log of its own; "
                                  "import them one by one, with --run",
                                  id, part, target.run);
            }
        }
        return {};
    }

    // The log of a file, or both of them. False if nothing of it can be read.
    bool plan(const std::string& path, const std::optional<LogPart>& part,
              std::vector<PlannedFile>& files, RestartFinder& restarts) {
        LogOptions log = options_.log;
        log.axis = axis_names().at(options_.axis);
        log.file_time_us = modification_time_us(path);
        log.files = std::make_shared<std::map<std::string, uint64_t>>();
        log.beside = std::make_shared<LogOptions::Beside>();
        log.part = part;
        // The number of a row says nothing of where the job was.
        RestartFinder* const finder = log.axis == ImportAxis::kIndex ? nullptr : &restarts;
        restarts.begin_file(files.size());
        Result<PlannedFile> file = plan_log(path, log, format_.open, finder);
        const std::optional<Error> broken = file ? file->broken : file.error();
        uint64_t points = 0;
        uint64_t read = 0;
        const bool has_first = file.has_value();
        const auto keep = [&](Result<PlannedFile>& planned) {
            if (planned && (has_first || planned->counts.read > 0)) {
                points += planned->points;
                read += planned->counts.read;
                files.push_back(std::move(*planned));
            }
        };
        keep(file);
        if (format_.open_second != nullptr) {
            // If it breaks off before its first value too, that has been seen.
            Result<PlannedFile> second = plan_log(path, log, format_.open_second, nullptr);
            keep(second);
        }
        if (!has_first && read == 0) {
            broken_.emplace_back(broken->code(),
                                 broken->message() + "; nothing of it was imported");
            return false;
        }
        if (!broken && read == 0) {
            empty_.push_back(path);
        }
        if (broken) {
            broken_.emplace_back(
                broken->code(),
                points == 1 ? fmt::format("{}; the point before it was imported", broken->message())
                            : fmt::format("{}; the {} points before it were imported",
                                          broken->message(), points));
        }
        return true;
    }

    Result<PlannedFile> plan_log(const std::string& path, const LogOptions& log,
                                 LogFormat::Open open_log, RestartFinder* restarts) {
        const auto progress = make_progress("reading " + path, "bytes", bytes_of(path));
        const LogOpener open = [log, open_log](const std::string& name, uint64_t bytes_max) {
            return open_log(name, log, bytes_max);
        };
        Result<PlannedFile> file =
            plan_file(path, open, restarts, [&](uint64_t done) { progress->update(done); });
        if (file) {
            file->place_word = format_.place_word;
        }
        return file;
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
    std::set<std::string> runs_;
    std::vector<ImportReport> reports_;
    std::vector<Error> broken_;
    bool is_all_found_ = true;             // of what was named
    std::vector<std::string> empty_;       // files
    std::vector<std::string> unfinished_;  // runs that --finish has left as they are
};

// --- Command line ---

void add_common_options(CLI::App& app, ImportOptions& options, const LogFormat& format) {
    const bool takes_directories = format.files.is_run_directory != nullptr;
    app.add_option(
           "PATHS", options.paths,
           takes_directories
               ? fmt::format("Directories, each an {} or to find them in", format.files.shown)
               : fmt::format("Files, or directories to find {} files in", format.files.shown))
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
    app.add_option(
           "--restarts", options.restarts,
           "Where the log jumps back as a whole: attempt (the run's next one begins), merge "
           "(the later point of a step stands) or split (another run begins)")
        ->type_name("WHAT")
        ->check(CLI::IsMember(restart_mode_names()))
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

Subcommand add_format(CLI::App& import, const LogFormat& format) {
    Subcommand made{import.add_subcommand(format.name, format.summary), &format,
                    std::make_shared<ImportOptions>()};
    ImportOptions& options = *made.options;
    options.log = format.defaults;
    options.axis = format.axis;
    if (!format.alias.empty()) {
        made.app->alias(format.alias);
    }
    add_common_options(*made.app, options, format);
    if (format.takes_columns) {
        add_column_options(*made.app, options);
    }
    if (format.takes_name_from) {
        made.app
            ->add_option("--name-from", options.log.name_from,
                         "A column whose cell goes before the measures' names; may be given again")
            ->type_name("C")
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
    if (format.takes_patterns) {
        std::string names;
        for (const auto& [name, text] : built_in_console_patterns()) {
            names += fmt::format("{}, ", name);
        }
        made.app
            ->add_option("--patterns", options.log.patterns,
                         names + "all of them in this order, or a file of your own")
            ->type_name("FILE")
            ->capture_default_str();
    }
    if (format.takes_row_window) {
        options.row_window = "1s";
        made.app
            ->add_option("--row-window", options.row_window,
                         "How long after the first point of a row another of its step may be "
                         "stamped")
            ->type_name("TIME")
            ->capture_default_str();
    }
    if (format.takes_follow) {
        add_follow_options(*made.app, options.follow);
    }
    add_last_options(*made.app, options);
    add_examples(*made.app, format.examples, format.notes);
    return made;
}

Status follow(const LogFormat& format, const ImportOptions& options) {
    FollowOptions follow;
    follow.target.paths = options.paths;
    follow.target.files = format.files;
    follow.target.project = options.project;
    follow.target.run = options.run;
    follow.target.log = options.log;
    follow.target.log.axis = axis_names().at(options.axis);
    follow.server = options.server;
    TRY_ASSIGN(follow.format, read_output_format(options.format));
    TRY_ASSIGN(follow.poll_us, parse_duration("--poll", options.follow.poll));
    follow.finish = options.finish;
    return follow_events(follow);
}

Status check_options(const CLI::App& app, ImportOptions& options) {
    TRY(check_id("project", options.project));
    if (!options.run.empty()) {
        TRY(check_id("run", options.run));
    }
    if (!options.row_window.empty()) {
        TRY_ASSIGN(options.log.row_window_us, parse_duration("--row-window", options.row_window));
    }
    if (options.follow.is_wanted) {
        TRY(check_follow(app, options.follow, options.restarts, options.axis));
    }
    TRY(check_server(options.server));
    return {};
}

}  // namespace

Command add_import(CLI::App& stepdb) {
    CLI::App* import = stepdb.add_subcommand("import", "Bring in logs that other tools wrote");
    import->require_subcommand(1);
    std::vector<Subcommand> formats;
    for (const LogFormat& format : log_formats()) {
        formats.push_back(add_format(*import, format));
    }
    add_examples(*import, {"stepdb import csv examples/logs --project demo",
                           "stepdb import tensorboard examples/logs --project demo",
                           "stepdb import csv --help"});
    return {import,
            [=]() -> Status {
                for (const Subcommand& command : formats) {
                    if (command.app->parsed()) {
                        return command.options->follow.is_wanted
                                   ? follow(*command.format, *command.options)
                                   : Import(*command.format, *command.options).run();
                    }
                }
                return {};
            },
            [=]() -> Status {
                for (const Subcommand& command : formats) {
                    if (command.app->parsed()) {
                        return check_options(*command.app, *command.options);
                    }
                }
                return {};
            }};
}

}  // namespace stepdb
