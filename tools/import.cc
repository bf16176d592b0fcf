// `stepdb import csv`: CSV files into runs.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "engine/model/schema.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/import/run_id.h"
#include "tools/import/run_import.h"
#include "tools/output/progress.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

struct ImportOptions {
    std::vector<std::string> paths;
    std::string project;
    std::string run;
    std::string axis = "auto";
    std::string server;
    std::string format = "table";
    CsvLogOptions log;
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

// The files by run, in the order of first appearance. kInvalidArgument if two files that were not
// meant for one run would come together in it.
Result<std::vector<std::pair<std::string, std::vector<std::string>>>> group_by_run(
    const ImportOptions& options) {
    TRY_ASSIGN(const std::vector<FoundFile> found, find_files(options.paths, ".csv"));
    std::vector<std::pair<std::string, std::vector<std::string>>> runs;
    if (!options.run.empty()) {
        TRY(check_id("run", options.run));
        runs.emplace_back(options.run, std::vector<std::string>());
        for (const FoundFile& file : found) {
            runs.back().second.push_back(file.path);
        }
        return runs;
    }
    std::map<std::string, std::string> path_of_run;
    for (const FoundFile& file : found) {
        const Status valid = check_id("run", file.run);
        if (!valid) {
            return valid.error().within(fmt::format("{}: name the run by --run", file.path));
        }
        const auto [at, is_new] = path_of_run.emplace(file.run, file.path);
        if (!is_new) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{} and {} would both become run {}; import them apart, with --run",
                              at->second, file.path, file.run);
        }
        runs.emplace_back(file.run, std::vector<std::string>{file.path});
    }
    return runs;
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
        block.column(5).append_uint64(report.stored);
        block.column(6).append_uint64(report.replaced);
        block.column(7).append_uint64(report.skipped);
    }
    const auto writer = make_result_writer(format, write_to_stdout);
    writer->begin(columns);
    writer->block(block);
    writer->end();
}

void print_notes(const ImportReport& report, bool is_stepped) {
    if (report.skipped > 0) {
        fmt::print(stderr, "note: {}/{}: {} cells skipped; the first: {}\n", report.project,
                   report.run, report.skipped, report.first_skipped);
    }
    if (report.replaced > 0) {
        // In a new run they replaced each other.
        fmt::print(
            stderr, "note: {}/{}: {} points replaced an earlier one of their series and {}{}\n",
            report.project, report.run, report.replaced, is_stepped ? "step" : "key",
            is_stepped && report.created ? "; --axis time or --axis index would keep them apart"
                                         : "");
    }
}

Status import_csv(const ImportOptions& options) {
    TRY(check_id("project", options.project));
    TRY_ASSIGN(OutputFormat format, read_output_format(options.format));
    // An object a run, so that scripts can take them one by one.
    format = format == OutputFormat::kJson ? OutputFormat::kJsonl : format;
    TRY_ASSIGN(const auto runs, group_by_run(options));
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    std::vector<ImportReport> reports;
    for (const auto& [run, paths] : runs) {
        std::vector<PlannedFile> files;
        uint64_t points = 0;
        for (const std::string& path : paths) {
            std::error_code ignored;
            const auto progress =
                make_progress("reading " + path, "bytes", fs::file_size(path, ignored));
            CsvLogOptions log = options.log;
            log.axis = axis_names().at(options.axis);
            log.file_time_us = modification_time_us(path);
            TRY_ASSIGN(PlannedFile file,
                       plan_file(path, log, [&](uint64_t bytes) { progress->update(bytes); }));
            points += file.points;
            files.push_back(std::move(file));
        }
        const auto progress = make_progress("importing " + run, "points", points);
        TRY_ASSIGN(ImportReport report, import_run(*client, options.project, run, files,
                                                   [&](uint64_t sent) { progress->update(sent); }));
        progress->finish();
        reports.push_back(std::move(report));
    }
    print_reports(reports, format);
    std::fflush(stdout);
    for (const ImportReport& report : reports) {
        print_notes(report, options.axis == "auto" || options.axis == "step");
    }
    return {};
}

std::string csv_notes() {
    return fmt::format(
        "A file has a column per metric, or the columns series, step, wall_time, value (either of\n"
        "step and wall_time may be missing), a point a line. Its first line names the columns.\n"
        "\n"
        "Step    the column of --step-column, else the first there is, in upper or lower case, of\n"
        "        {}. It is no metric then. Without\n"
        "        one the metrics are timed.\n"
        "Time    the column of --time-column, else the first there is of\n"
        "        {}.\n"
        "        Numbers are seconds since 1970 below 1e11, else milliseconds below 1e14, else\n"
        "        microseconds below 1e17, else nanoseconds; or 2026-11-23T17:23:05.250+01:00, UTC\n"
        "        if no zone is given. Rows without a time get that of the file's last change.\n"
        "Cells   empty: absent. nan, inf and -inf in any case: values. Text: skipped and counted.\n"
        "Run     without --run: the file's path below the directory named, or its name if the "
        "file\n"
        "        was named itself; with `/` as `.` and bytes that ids cannot have as `_`.\n"
        "\n"
        "Prints per run: read = sent + skipped cells, sent = stored + replaced points. A point is\n"
        "replaced if its series had the same step (time) before, in this import or in the store;\n"
        "found by counting the points of its series before and after. Importing a file again\n"
        "replaces every point by itself. --format json prints an object per line and run.",
        fmt::join(step_column_names(), ", "), fmt::join(time_column_names(), ", "));
}

}  // namespace

Command add_import(CLI::App& stepdb) {
    auto options = std::make_shared<ImportOptions>();
    CLI::App* import = stepdb.add_subcommand("import", "Bring in logs that other tools wrote");
    import->require_subcommand(1);
    CLI::App* app = import->add_subcommand("csv", "CSV files, a run each");
    app->add_option("PATHS", options->paths, "Files, or directories to find *.csv files in")
        ->type_name("PATH")
        ->required();
    app->add_option("--project", options->project, "The project")->type_name("P")->required();
    app->add_option("--run", options->run, "The run that all files go into")->type_name("R");
    app->add_option("--step-column", options->log.step_column, "The column that holds the step")
        ->type_name("C");
    app->add_option("--time-column", options->log.time_column, "The column that holds the time")
        ->type_name("C");
    app->add_option("--axis", options->axis,
                    "Key of the points: step, time (a step column becomes a metric), index (the "
                    "number of the row) or auto (step if there is one, else time)")
        ->type_name("AXIS")
        ->check(CLI::IsMember(axis_names()))
        ->capture_default_str();
    add_server_option(*app, options->server);
    app->add_option("--format", options->format,
                    "How to print what came in: table, csv, json or jsonl")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
    add_examples(*app,
                 {"stepdb import csv examples/logs/char-model.csv --project demo --run tiny",
                  "stepdb import csv examples/logs --project demo --format json"},
                 csv_notes());
    add_examples(*import,
                 {"stepdb import csv examples/logs --project demo", "stepdb import csv --help"});
    return {import, [=] { return import_csv(*options); }};
}

}  // namespace stepdb
