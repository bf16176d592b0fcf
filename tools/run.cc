// `stepdb run`: the life of a run by hand: create, fork, restart, finish, fail, heartbeat, discard,
// delete; and `stepdb retention`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "engine/base/text.h"
#include "engine/model/life_frame.h"
#include "tools/command.h"
#include "tools/import/number_text.h"

namespace stepdb {

namespace {

struct LifeOptions {
    std::string run;  // PROJECT/RUN, with #K where an attempt is meant
    std::string from;
    std::string step;
    std::string age;
    std::vector<std::string> metrics;
    uint32_t attempt = 0;
    bool yes = false;
    std::string server;
};

// "gpt/run-1#2", taken apart.
struct RunName {
    std::string project;
    std::string run;
    std::optional<uint32_t> attempt;

    std::string path() const { return project + "/" + run; }
};

Error invalid(std::string message) {
    return Error(ErrorCode::kInvalidArgument, std::move(message));
}

Result<RunName> parse_run_name(const std::string& text) {
    RunName name;
    const size_t slash = text.find('/');
    const size_t hash = text.find('#');
    if (slash == std::string::npos || (hash != std::string::npos && hash < slash)) {
        return invalid(fmt::format("'{}' is not PROJECT/RUN", printable(text)));
    }
    name.project = text.substr(0, slash);
    name.run = text.substr(slash + 1, hash == std::string::npos ? hash : hash - slash - 1);
    TRY(check_id("project", name.project));
    TRY(check_id("run", name.run));
    if (hash != std::string::npos) {
        const std::optional<double> number = parse_value(text.substr(hash + 1));
        if (!number || *number < 0 || *number > 4e9 || std::floor(*number) != *number) {
            return invalid(fmt::format("'{}' is no attempt; write {}#0", printable(text),
                                       printable(text.substr(0, hash))));
        }
        name.attempt = static_cast<uint32_t>(*number);
    }
    return name;
}

Result<double> parse_step(const std::string& text) {
    const std::optional<double> step = parse_value(text);
    if (!step || !std::isfinite(*step)) {
        return invalid(fmt::format("step '{}' is no finite number", printable(text)));
    }
    return *step;
}

// A writer of its own for one change of one run.
class LifeWriter {
  public:
    static Result<LifeWriter> open(const LifeOptions& options, const RunName& name, uint8_t mode) {
        LifeWriter writer;
        TRY_ASSIGN(writer.client_, connect_to(options.server, random_id()));
        TRY_ASSIGN(writer.run_, writer.client_->open_run(name.project, name.run, mode));
        return writer;
    }

    const ClientRun& run() const { return run_; }
    Client& client() { return *client_; }

    // Sends the frame that `encode` makes for the run's handle and next number, and waits.
    template <typename Encode>
    Status change(const Encode& encode) {
        TRY_ASSIGN(const uint64_t ordinal,
                   client_->send_change(encode(run_.handle, run_.next_number++)));
        static_cast<void>(ordinal);
        TRY_ASSIGN(const FlushReport report, client_->flush());
        return report.refused_frames == 0 ? Status() : report.refused.front().error.to_error();
    }

  private:
    std::unique_ptr<Client> client_;
    ClientRun run_;
};

// A run as a whole.
Result<RunName> parse_whole_run(const std::string& text) {
    TRY_ASSIGN(RunName name, parse_run_name(text));
    if (name.attempt) {
        return invalid(
            fmt::format("'{}' names an attempt; write {}", printable(text), name.path()));
    }
    return name;
}

Status create(const LifeOptions& options) {
    TRY_ASSIGN(const RunName name, parse_whole_run(options.run));
    TRY_ASSIGN(LifeWriter writer, LifeWriter::open(options, name, OpenRunFrame::kMustCreate));
    fmt::print("run {} created\n", name.path());
    return {};
}

Status fork(const LifeOptions& options) {
    TRY_ASSIGN(const RunName name, parse_whole_run(options.run));
    TRY_ASSIGN(const RunName parent, parse_run_name(options.from));
    TRY_ASSIGN(const double step, parse_step(options.step));
    if (parent.project != name.project) {
        return invalid(fmt::format("run {} and its parent {} are of different projects",
                                   name.path(), parent.path()));
    }
    if (parent.attempt) {
        return invalid(
            fmt::format("--from {}: a fork is pinned to its parent's newest attempt; "
                        "leave out the #{}",
                        options.from, *parent.attempt));
    }
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    TRY_ASSIGN(const ClientRun made, client->fork_run(name.project, name.run, parent.run, step));
    fmt::print("run {} {} of {} at step {}\n", name.path(),
               made.created ? "created as a fork" : "is a fork", parent.path(), step);
    return {};
}

Status restart(const LifeOptions& options) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    RestartRunFrame frame;
    if (options.step != "none") {
        TRY_ASSIGN(frame.step, parse_step(options.step));
    }
    TRY_ASSIGN(LifeWriter writer, LifeWriter::open(options, name, 0));
    frame.attempt = name.attempt.value_or(writer.run().attempt + 1);
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_restart_run_frame(frame, number);
    }));
    fmt::print("attempt {} of run {} reads {}\n", frame.attempt, name.path(),
               frame.step ? fmt::format("what was before up to step {}", *frame.step)
                          : std::string("nothing of what was before"));
    return {};
}

Status finish(const LifeOptions& options, RunState state) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    TRY_ASSIGN(LifeWriter writer, LifeWriter::open(options, name, 0));
    FinishRunFrame frame;
    frame.attempt = name.attempt.value_or(writer.run().attempt);
    frame.state = state;
    return writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_finish_run_frame(frame, number);
    });
}

Status heartbeat(const LifeOptions& options) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    TRY_ASSIGN(LifeWriter writer, LifeWriter::open(options, name, 0));
    return writer.change(encode_heartbeat_frame);
}

// What a query counts: its rows.
Result<uint64_t> count_rows(Client& client, const std::string& query,
                            std::vector<std::string>* names = nullptr) {
    uint64_t rows = 0;
    AnswerHandler handler;
    handler.on_block = [&](const ResultBlock& block) {
        rows += block.rows();
        if (names != nullptr) {
            for (const std::string_view name : block.column(1).texts()) {
                names->emplace_back(name);
            }
        }
        return true;
    };
    TRY_ASSIGN(const QueryEnd end, client.query(query, handler));
    static_cast<void>(end);
    return rows;
}

std::string counted(uint64_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 || what == "series" ? "" : "s");
}

// Numbers may have been skipped, and attempts discarded.
Result<bool> is_readable(Client& client, const RunName& name, uint32_t attempt) {
    const Result<uint64_t> rows =
        count_rows(client, fmt::format("attributes '{}#{}'", name.path(), attempt));
    if (!rows && rows.error().code() != ErrorCode::kNotFound) {
        return rows.error();
    }
    return rows.has_value();
}

Status discard(const LifeOptions& options, bool refuse_if_forked) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    if (!name.attempt) {
        return invalid(fmt::format("'{}' names no attempt; write {}#0", printable(options.run),
                                   printable(options.run)));
    }
    TRY_ASSIGN(LifeWriter writer, LifeWriter::open(options, name, 0));
    DiscardAttemptFrame frame;
    frame.attempt = *name.attempt;
    frame.refuse_if_forked = refuse_if_forked;
    if (frame.attempt == writer.run().attempt) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "attempt {} is the newest of run {} and cannot be discarded; restart the "
                          "run first, or delete it as a whole",
                          frame.attempt, name.path());
    }
    if (!options.yes) {
        TRY_ASSIGN(const uint64_t series,
                   count_rows(writer.client(),
                              fmt::format("metrics ** @ '{}#{}'", name.path(), *name.attempt)));
        fmt::print("would discard attempt {} of run {}, which reads {}; {}. Say --yes to do it.\n",
                   *name.attempt, name.path(), counted(series, "series"),
                   refuse_if_forked ? "refused if a fork is pinned to it"
                                    : "what newer attempts and forks read of it stays");
        return {};
    }
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_discard_attempt_frame(frame, number);
    }));
    fmt::print("attempt {} of run {} discarded\n", *name.attempt, name.path());
    return {};
}

Status delete_metrics(const LifeOptions& options, const RunName& name, LifeWriter& writer) {
    std::string patterns;
    for (const std::string& metric : options.metrics) {
        patterns += (patterns.empty() ? "" : ", ") + metric;
    }
    DeleteMetricsFrame frame;
    // In all attempts: patterns that only an older one has a metric for count too.
    std::string attempts;
    for (uint32_t attempt = 0; attempt <= writer.run().attempt; ++attempt) {
        TRY_ASSIGN(const bool readable, is_readable(writer.client(), name, attempt));
        if (readable) {
            attempts +=
                fmt::format("{}'{}#{}'", attempts.empty() ? "" : ", ", name.path(), attempt);
        }
    }
    TRY_ASSIGN(const uint64_t found,
               count_rows(writer.client(), fmt::format("metrics {} @ {}", patterns, attempts),
                          &frame.metrics));
    static_cast<void>(found);
    std::ranges::sort(frame.metrics);
    frame.metrics.erase(std::unique(frame.metrics.begin(), frame.metrics.end()),
                        frame.metrics.end());
    const uint64_t series = frame.metrics.size();
    if (series == 0) {
        return make_error(ErrorCode::kNotFound, "no metric of run {} matches {}", name.path(),
                          patterns);
    }
    if (!options.yes) {
        fmt::print("would delete the points that run {} has logged of {}:\n", name.path(),
                   counted(series, "metric"));
        for (const std::string& metric : frame.metrics) {
            fmt::print("  {}\n", metric);
        }
        fmt::print("Points inherited from a parent stay visible. Say --yes to do it.\n");
        return {};
    }
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_delete_metrics_frame(frame, number);
    }));
    fmt::print("{} of run {} deleted\n", counted(series, "metric"), name.path());
    return {};
}

Status remove(const LifeOptions& options) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    if (name.attempt && !options.metrics.empty()) {
        return invalid(
            fmt::format("metrics are deleted in all attempts of a run; write {} without "
                        "the #{}",
                        name.path(), *name.attempt));
    }
    if (name.attempt) {
        return discard(options, true);
    }
    TRY_ASSIGN(LifeWriter writer, LifeWriter::open(options, name, 0));
    if (!options.metrics.empty()) {
        return delete_metrics(options, name, writer);
    }
    TRY_ASSIGN(const uint64_t series,
               count_rows(writer.client(), fmt::format("metrics ** @ '{}'", name.path())));
    if (!options.yes) {
        fmt::print(
            "would delete run {} with {} and all its attempts; refused if it has forks. Say "
            "--yes to do it.\n",
            name.path(), counted(series, "series"));
        return {};
    }
    TRY(writer.change(encode_delete_run_frame));
    fmt::print("run {} deleted; its space comes back with compaction\n", name.path());
    return {};
}

// "30d", "12h", "off"; 0 is off.
Result<int64_t> parse_age(const std::string& text) {
    if (text == "off") {
        return int64_t{0};
    }
    const struct {
        char suffix;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86'400}, {'w', 604'800}};
    for (const auto& unit : units) {
        const std::optional<double> count =
            text.size() > 1 && text.back() == unit.suffix
                ? parse_value(std::string_view(text).substr(0, text.size() - 1))
                : std::nullopt;
        const double seconds = count.value_or(0) * static_cast<double>(unit.seconds);
        if (seconds > 0 && seconds < 1e10) {
            return static_cast<int64_t>(seconds * 1e6);
        }
    }
    return invalid(fmt::format("'{}' is no age; write 30d, 12h, 4w (300 years at most) or off",
                               printable(text)));
}

Status set_retention(const LifeOptions& options) {
    TRY(check_id("project", options.run));
    SetRetentionFrame frame;
    frame.project = options.run;
    TRY_ASSIGN(frame.age_us, parse_age(options.age));
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    TRY_ASSIGN(const uint64_t ordinal, client->send_change(encode_set_retention_frame(frame)));
    static_cast<void>(ordinal);
    TRY_ASSIGN(const FlushReport report, client->flush());
    if (report.refused_frames != 0) {
        return report.refused.front().error.to_error();
    }
    fmt::print("{}\n", frame.age_us == 0
                           ? fmt::format("runs of {} are kept for ever", options.run)
                           : fmt::format("runs of {} are deleted {} after their last write, unless "
                                         "they are tagged keep",
                                         options.run, options.age));
    return {};
}

using Action = std::function<Status(const LifeOptions&)>;

CLI::App* add_action(CLI::App& run, const std::shared_ptr<LifeOptions>& options,
                     std::vector<std::pair<CLI::App*, Action>>& actions, const char* name,
                     const char* help, Action action) {
    CLI::App* app = run.add_subcommand(name, help);
    app->add_option("RUN", options->run, "The run, as PROJECT/RUN")
        ->type_name("PROJECT/RUN")
        ->required();
    add_server_option(*app, options->server);
    actions.emplace_back(app, std::move(action));
    return app;
}

}  // namespace

Command add_run(CLI::App& stepdb) {
    auto options = std::make_shared<LifeOptions>();
    auto actions = std::make_shared<std::vector<std::pair<CLI::App*, Action>>>();
    CLI::App* app = stepdb.add_subcommand("run", "Create, fork, restart, end or delete a run");
    app->require_subcommand(1);
    const auto add = [&](const char* name, const char* help, Action action) {
        return add_action(*app, options, *actions, name, help, std::move(action));
    };
    add("create", "Make an empty run", create);
    CLI::App* forked = add("fork", "Make a run that reads as another up to a step", fork);
    forked->add_option("--from", options->from, "The parent, of the same project")
        ->type_name("PROJECT/RUN")
        ->required();
    forked->add_option("--at", options->step, "The last step read from the parent")
        ->type_name("STEP")
        ->required();
    CLI::App* restarted =
        add("restart", "Open the next attempt of a run, as after a crash", restart);
    restarted
        ->add_option("--at", options->step, "The last step read from the attempt before, or none")
        ->type_name("STEP")
        ->required();
    add_examples(*restarted, {"stepdb run restart demo/tiny --at 400"},
                 "PROJECT/RUN#2 names the attempt to open; all ranks may send the same restart.");
    add("finish", "Say that a run has ended well",
        [](const LifeOptions& given) { return finish(given, RunState::kFinished); });
    add("fail", "Say that a run has failed",
        [](const LifeOptions& given) { return finish(given, RunState::kFailed); });
    add("heartbeat", "Say that a run without rows is alive", heartbeat);
    CLI::App* discarded = add("discard", "Let go of an older attempt, PROJECT/RUN#K",
                              [](const LifeOptions& given) { return discard(given, false); });
    CLI::App* removed =
        add("delete", "Delete a run, an attempt (RUN#K) or metrics of a run", remove);
    removed
        ->add_option("--metrics", options->metrics,
                     "Metrics or patterns of metrics; without it the whole run")
        ->type_name("PATTERN...");
    for (CLI::App* each : {discarded, removed}) {
        each->add_flag("--yes", options->yes, "Do it; without it, only say what would be removed");
    }
    add_examples(*removed, {"stepdb run delete demo/tiny --metrics 'debug/**'",
                            "stepdb run delete demo/tiny --yes"});
    add_examples(*app, {"stepdb run fork demo/lower-lr --from demo/tiny --at 400",
                        "stepdb run restart demo/tiny --at 400", "stepdb run finish demo/tiny",
                        "stepdb run delete demo/tiny"});
    return {app,
            [=] {
                for (const auto& [each, action] : *actions) {
                    if (each->parsed()) {
                        return action(*options);
                    }
                }
                return Status();
            },
            [=]() -> Status {
                TRY(parse_run_name(options->run));
                return {};
            }};
}

Command add_retention(CLI::App& stepdb) {
    auto options = std::make_shared<LifeOptions>();
    CLI::App* app =
        stepdb.add_subcommand("retention", "Delete a project's runs some time after their end");
    app->add_option("PROJECT", options->run, "The project")->type_name("P")->required();
    app->add_option("AGE", options->age, "Since the last write: 12h, 30d, 4w; or off")
        ->type_name("AGE")
        ->required();
    add_server_option(*app, options->server);
    add_examples(*app, {"stepdb retention demo 90d", "stepdb retention demo off"},
                 "Off by default. Runs tagged keep stay, and so does what their forks read.");
    return {app, [=] { return set_retention(*options); },
            [=]() -> Status {
                TRY(parse_age(options->age));
                return check_id("project", options->run);
            }};
}

}  // namespace stepdb
