// `stepdb log`: one row by hand.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "engine/base/float_bits.h"
#include "engine/base/text.h"
#include "engine/io/environment.h"
#include "engine/model/schema.h"
#include "tools/address.h"
#include "tools/command.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

struct HandLogOptions {
    std::string project;
    std::string run;
    std::string step;
    std::string time;
    std::optional<uint32_t> attempt;
    ServerChoice server;
    std::vector<std::string> values;
};

struct NamedValue {
    std::string name;
    double value = 0;
};

// NAME=VALUE; names may have `=` in them, values never do.
Result<NamedValue> parse_named_value(const std::string& text) {
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' is not NAME=VALUE", printable(text));
    }
    const std::optional<double> value = parse_value(text.substr(equals + 1));
    if (!value) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}': '{}' is no number (nan, inf and -inf are)", printable(text),
                          printable(text.substr(equals + 1)));
    }
    return NamedValue{text.substr(0, equals), *value};
}

// What the options say, before anything is sent.
struct ManualRow {
    ManualRow() = default;

    std::shared_ptr<const Schema> schema;
    std::optional<double> step;
    std::optional<int64_t> time_us;
    std::vector<double> values;
};

Result<ManualRow> read_row(const HandLogOptions& options) {
    TRY(check_id("project", options.project));
    TRY(check_id("run", options.run));
    ManualRow row;
    std::vector<std::string> names;
    names.reserve(options.values.size());
    row.values.reserve(options.values.size());
    for (const std::string& text : options.values) {
        TRY_ASSIGN(NamedValue named, parse_named_value(text));
        names.push_back(std::move(named.name));
        row.values.push_back(named.value);
    }
    if (!options.step.empty()) {
        row.step = parse_value(options.step);
        if (!row.step || !std::isfinite(*row.step)) {
            return make_error(ErrorCode::kInvalidArgument, "--step '{}' is no finite number",
                              printable(options.step));
        }
    }
    row.time_us = SystemClock().now_us();
    if (!options.time.empty()) {
        row.time_us = parse_time(options.time);
        if (!row.time_us) {
            return make_error(ErrorCode::kInvalidArgument,
                              "--time '{}' is no time; write 2026-11-23T17:23:05Z or seconds since "
                              "1970",
                              printable(options.time));
        }
    }
    TRY_ASSIGN(Schema made,
               Schema::create(row.step ? Axis::kStepped : Axis::kTimed, std::move(names)));
    row.schema = std::make_shared<const Schema>(std::move(made));
    return row;
}

Status log_row(const HandLogOptions& options) {
    TRY_ASSIGN(const ManualRow row, read_row(options));
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    TRY_ASSIGN(ClientRun run,
               client->open_run(options.project, options.run, OpenRunFrame::kCreateIfMissing));
    run.attempt = options.attempt.value_or(run.attempt);
    TRY(client->define_schema(options.project, *row.schema));
    RowsBuilder rows(row.schema);
    rows.add(row.step, row.time_us, row.values);
    TRY_ASSIGN(const uint64_t ordinal, client->send_rows(run, rows));
    static_cast<void>(ordinal);
    TRY_ASSIGN(const FlushReport report, client->flush());
    return report.refused_frames == 0 ? Status() : report.refused.front().error.to_error();
}

}  // namespace

Command add_log(CLI::App& stepdb) {
    auto options = std::make_shared<HandLogOptions>();
    CLI::App* app = stepdb.add_subcommand("log", "Log one row by hand");
    app->add_option("VALUES", options->values,
                    "A metric and its value; nan, inf and -inf are values")
        ->type_name("NAME=VALUE")
        ->required();
    app->add_option("--project", options->project, "The project")->type_name("P")->required();
    app->add_option("--run", options->run, "The run; made if it does not exist")
        ->type_name("R")
        ->required();
    app->add_option("--attempt", options->attempt, "The attempt; default: the newest")
        ->type_name("K");
    app->add_option("--step", options->step,
                    "The step; without it the metrics are timed: their key is the time")
        ->type_name("N");
    app->add_option("--time", options->time,
                    "The time, as 2026-11-23T17:23:05Z or since 1970 in seconds; default: now")
        ->type_name("T");
    add_server_option(*app, options->server);
    add_examples(*app,
                 {"stepdb log --project demo --run by-hand --step 1 loss=2.5 lr=3e-4",
                  "stepdb log --project demo --run by-hand --step 2 loss=nan",
                  "stepdb log --project demo --run by-hand --time 2026-11-23T17:23:05Z "
                  "gpu/0/power=312"},
                 "Returns once the row is on stable storage.");
    return {app, [=] { return log_row(*options); },
            [=]() -> Status {
                TRY(read_row(*options));
                TRY(check_server(options->server));
                return {};
            }};
}

}  // namespace stepdb
