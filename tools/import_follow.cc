#include "tools/import_follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/duration_text.h"
#include "tools/import/run_import.h"
#include "tools/output/format_cell.h"
#include "tools/patient_writer.h"
#include "tools/stop_signals.h"

namespace stepdb {

namespace {

void tell_note(const std::string& what) {
    fmt::print(stderr, "note: {}\n", what);
}

void print_follow_reports(const std::vector<FollowReport>& reports, const FollowOptions& options) {
    const std::vector<ResultColumn> columns = {
        {"project", ColumnType::kText},  {"run", ColumnType::kText},
        {"files", ColumnType::kUint64},  {"series", ColumnType::kUint64},
        {"read", ColumnType::kUint64},   {"sent", ColumnType::kUint64},
        {"skipped", ColumnType::kUint64}};
    ResultBlock block(columns);
    for (const FollowReport& report : reports) {
        block.column(0).append_text(options.target.project);
        block.column(1).append_text(report.run);
        block.column(2).append_uint64(report.files);
        block.column(3).append_uint64(report.series);
        block.column(4).append_uint64(report.read);
        block.column(5).append_uint64(report.sent);
        block.column(6).append_uint64(report.skipped);
    }
    // An object a run, as of an import.
    const auto writer = make_result_writer(
        options.format == OutputFormat::kJson ? OutputFormat::kJsonl : options.format,
        write_to_stdout);
    writer->begin(columns);
    writer->block(block);
    writer->end();
    std::fflush(stdout);
}

// What is left to say, and the exit status.
Status conclude_follow(const EventFollower& follower, const FollowOptions& options,
                       const Status& ended) {
    print_follow_reports(follower.reports(), options);
    for (const FollowReport& report : follower.reports()) {
        if (report.skipped > 0) {
            tell_note(fmt::format("{}/{}: {} skipped; the first: {}", options.target.project,
                                  report.run, count_of(report.skipped, "value"),
                                  report.first_skipped));
        }
    }
    for (const std::string& torn : follower.torn()) {
        tell_note(torn);
    }
    if (!ended) {
        return ended.error().within(
            "what was sent last may be stored or not, and is sent again "
            "when this is started again");
    }
    const std::vector<Error> problems = follower.problems();
    if (problems.empty()) {
        return {};
    }
    std::string message = problems.front().message();
    for (size_t at = 1; at < problems.size(); ++at) {
        message += "\n  " + problems[at].message();
    }
    return Error(problems.front().code(), message);
}

}  // namespace

void add_follow_options(CLI::App& app, FollowChoice& choice) {
    CLI::Option* const follow = app.add_flag(
        "--follow", choice.is_wanted,
        "Go on reading as a job writes, until a signal: new files, growing files, half a record. "
        "Later points of a step stand (--restarts merge)");
    app.add_option("--poll", choice.poll, "With --follow: how often it is looked what has come")
        ->type_name("TIME")
        ->capture_default_str()
        ->needs(follow);
}

// Only a whole log tells where it jumps back, and what has which number in it.
Status check_follow(const CLI::App& app, const FollowChoice& choice, std::string_view restarts,
                    std::string_view axis) {
    if (app.count("--restarts") > 0 && restarts != "merge") {
        return make_error(ErrorCode::kInvalidArgument,
                          "--follow goes with `--restarts merge` alone, not with '{}': where a log "
                          "that is being written jumps back cannot be told from late points",
                          restarts);
    }
    if (axis == "index") {
        return make_error(ErrorCode::kInvalidArgument,
                          "--follow goes with --axis step or time, not index, which counts from a "
                          "log's beginning");
    }
    TRY_ASSIGN(const int64_t poll_us, parse_duration("--poll", choice.poll));
    return poll_us >= 10'000
               ? Status()
               : Status(make_error(ErrorCode::kInvalidArgument,
                                   "--poll '{}': 10ms at least, not to keep a disk busy",
                                   choice.poll));
}

Status follow_events(const FollowOptions& options) {
    StopSignals signals;
    TRY_ASSIGN(client::Options writing, writer_options(options.server));
    writing.writer = import_writer();
    writing.name = "stepdb import --follow " STEPDB_VERSION;
    writing.linger = std::chrono::seconds(1);  // rows come fast or are flushed
    TRY_ASSIGN(const PatientWriter writer,
               PatientWriter::connect(std::move(writing), signals, tell_note));
    FollowEnvironment environment;
    environment.connect = [&] { return connect_to(options.server); };
    environment.tell = tell_note;
    environment.should_stop = [&] { return signals.is_stopping(); };
    EventFollower follower(*writer, options.target, std::move(environment));
    Status status;
    bool is_told = false;
    do {
        status = follower.look();
        if (!is_told && follower.files() > 0) {
            is_told = true;
            fmt::print(stderr,
                       "following {} of {}; more are looked for every {} ms; SIGINT or SIGTERM "
                       "ends it\n",
                       count_of(follower.files(), "event file"), count_of(follower.runs(), "run"),
                       options.poll_us / 1000);
        }
    } while (status && !signals.wait(std::chrono::microseconds(options.poll_us)));
    // Once more, for what a job wrote last before it was told to end along with this.
    if (status) {
        status = follower.look_last();
    }
    if (status && options.finish) {
        status = follower.finish_runs();
    }
    return conclude_follow(follower, options, status);
}

}  // namespace stepdb
