// `stepdb run`: the life of a run by hand: create, fork, restart, finish, fail, heartbeat; and
// discard and delete, which are in run_delete.cc.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "engine/model/life_frame.h"
#include "tools/address.h"
#include "tools/command.h"
#include "tools/run_actions.h"
#include "tools/run_change.h"

namespace stepdb {

namespace {

Result<double> parse_step(const std::string& text) {
    const std::optional<double> step = parse_value(text);
    if (!step || !std::isfinite(*step)) {
        return invalid_argument(fmt::format("--at: '{}' is no finite number", printable(text)));
    }
    return *step;
}

// --- create ---

Status check_create(const RunOptions& options) {
    TRY(parse_whole_run(options.run));
    return {};
}

Status create(const RunOptions& options) {
    TRY_ASSIGN(const RunName name, parse_whole_run(options.run));
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, OpenRunFrame::kMustCreate));
    fmt::print("run {} created\n", name.path());
    return {};
}

// --- fork ---

struct Fork {
    Fork() = default;

    RunName name;
    RunName parent;
    double step = 0;
};

Result<Fork> parse_fork(const RunOptions& options) {
    Fork fork;
    TRY_ASSIGN(fork.name, parse_whole_run(options.run));
    const Result<RunName> parent = parse_run_name(options.from);
    if (!parent) {
        return parent.error().within("--from");
    }
    fork.parent = *parent;
    if (fork.parent.project != fork.name.project) {
        return invalid_argument(fmt::format("run {} and its parent {} are of different projects",
                                            fork.name.path(), fork.parent.path()));
    }
    if (fork.parent.attempt) {
        return invalid_argument(
            fmt::format("--from {}: a fork is pinned to its parent's newest attempt; leave out the "
                        "#{}",
                        options.from, *fork.parent.attempt));
    }
    TRY_ASSIGN(fork.step, parse_step(options.step));
    return fork;
}

Status check_fork_options(const RunOptions& options) {
    TRY(parse_fork(options));
    return {};
}

Status fork(const RunOptions& options) {
    TRY_ASSIGN(const Fork fork, parse_fork(options));
    TRY_ASSIGN(const auto client, connect_to(options.server, random_id()));
    const Result<ClientRun> made =
        client->fork_run(fork.name.project, fork.name.run, fork.parent.run, fork.step);
    if (!made && made.error().code() == ErrorCode::kNotFound) {
        return explain_missing_run(*client, fork.parent, made.error());
    }
    if (!made) {
        return made.error();
    }
    fmt::print("run {} {} of {} at step {}\n", fork.name.path(),
               made->created ? "created as a fork" : "is a fork", fork.parent.path(), fork.step);
    return {};
}

// --- restart ---

struct Restart {
    Restart() = default;

    RunName name;
    std::optional<double> step;
};

Result<Restart> parse_restart(const RunOptions& options) {
    Restart restart;
    TRY_ASSIGN(restart.name, parse_run_name(options.run));
    if (restart.name.attempt == 0U) {
        return invalid_argument(
            fmt::format("attempt 0 is what a run begins with; write {0}#1, or {0} for "
                        "the next attempt",
                        restart.name.path()));
    }
    if (options.step != "none") {
        TRY_ASSIGN(restart.step, parse_step(options.step));
    }
    return restart;
}

Status check_restart_options(const RunOptions& options) {
    TRY(parse_restart(options));
    return {};
}

Status restart(const RunOptions& options) {
    TRY_ASSIGN(const Restart restart, parse_restart(options));
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, restart.name, 0));
    RestartRunFrame frame;
    frame.step = restart.step;
    frame.attempt = restart.name.attempt.value_or(writer.run().attempt + 1);
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_restart_run_frame(frame, number);
    }));
    fmt::print("attempt {} of run {} reads {}\n", frame.attempt, restart.name.path(),
               frame.step ? fmt::format("what was before up to step {}", *frame.step)
                          : std::string("nothing of what was before"));
    return {};
}

// --- finish, fail, heartbeat ---

Status check_end(const RunOptions& options) {
    TRY(parse_run_name(options.run));
    return {};
}

Status end(const RunOptions& options, RunState state) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, 0));
    const uint32_t newest = writer.run().attempt;
    TRY_ASSIGN(const RunFacts before, read_run_facts(writer.client(), name));
    FinishRunFrame frame;
    frame.attempt = name.attempt.value_or(newest);
    frame.state = state;
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_finish_run_frame(frame, number);
    }));
    if (frame.attempt != newest) {
        // What the script of a dead job says once the run goes on is no mistake.
        fmt::print("run {} stays as it is: only its newest attempt, {}, can end it\n", name.path(),
                   newest);
        return {};
    }
    const std::string_view word = state == RunState::kFinished ? "finished" : "failed";
    fmt::print("run {} {}{}\n", name.path(), before.state == word ? "had already " : "", word);
    return {};
}

Status finish(const RunOptions& options) {
    return end(options, RunState::kFinished);
}

Status fail(const RunOptions& options) {
    return end(options, RunState::kFailed);
}

Status check_heartbeat(const RunOptions& options) {
    TRY(parse_whole_run(options.run));
    return {};
}

Status heartbeat(const RunOptions& options) {
    TRY_ASSIGN(const RunName name, parse_whole_run(options.run));
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, 0));
    TRY_ASSIGN(const RunFacts facts, read_run_facts(writer.client(), name));
    TRY(writer.change(encode_heartbeat_frame));
    if (facts.state == "finished" || facts.state == "failed") {
        fmt::print("run {} has {} and stays so; a restart sets it running\n", name.path(),
                   facts.state);
        return {};
    }
    fmt::print("run {} has shown that it is alive\n", name.path());
    return {};
}

// --- Command line ---

struct Action {
    CLI::App* app = nullptr;
    Status (*check)(const RunOptions& options) = nullptr;
    Status (*run)(const RunOptions& options) = nullptr;
};

// Adds the actions to `stepdb run`. They share their options, of which one command line fills those
// of one action.
class ActionList {
  public:
    ActionList(CLI::App& run, std::shared_ptr<RunOptions> options)
        : run_(run), options_(std::move(options)) {}

    CLI::App& add(const char* name, const char* help, Status (*check)(const RunOptions&),
                  Status (*run)(const RunOptions&)) {
        CLI::App* app = run_.add_subcommand(name, help);
        app->add_option("RUN", options_->run, "The run, as PROJECT/RUN")
            ->type_name("PROJECT/RUN")
            ->required();
        actions_.push_back({app, check, run});
        return *app;
    }

    void add_at(CLI::App& app, const char* help) {
        app.add_option("--at", options_->step, help)->type_name("STEP")->required();
    }
    void add_yes(CLI::App& app) {
        app.add_flag("--yes", options_->yes,
                     "Do it; without it, only say what would be removed, and what forbids it");
    }

    // The last option of each.
    std::vector<Action> finish() {
        for (const Action& action : actions_) {
            add_server_option(*action.app, options_->server);
        }
        return std::move(actions_);
    }

  private:
    CLI::App& run_;
    std::shared_ptr<RunOptions> options_;
    std::vector<Action> actions_;
};

void add_beginnings(ActionList& actions, RunOptions& options) {
    add_examples(actions.add("create", "Make an empty run", check_create, create),
                 {"stepdb run create demo/new"}, "It must not be there yet.");
    CLI::App& forked = actions.add("fork", "Make a run that reads as another up to a step",
                                   check_fork_options, fork);
    forked.add_option("--from", options.from, "The parent, of the same project")
        ->type_name("PROJECT/RUN")
        ->required();
    actions.add_at(forked, "The last step read from the parent");
    add_examples(forked, {"stepdb run fork demo/lower-lr --from demo/tiny --at 400"},
                 "The fork is pinned to the parent's newest attempt. Telemetry is not inherited.");
    CLI::App& restarted = actions.add("restart", "Open the next attempt of a run, as after a crash",
                                      check_restart_options, restart);
    actions.add_at(restarted, "The last step read from the attempt before, or none");
    add_examples(
        restarted,
        {"stepdb run restart demo/tiny --at 400", "stepdb run restart demo/tiny#1 --at 400"},
        "PROJECT/RUN#1 names the attempt to open; all ranks may send the same restart.");
}

void add_states(ActionList& actions) {
    constexpr std::string_view kNewest =
        "PROJECT/RUN#1 says it of attempt 1, and then it counts only if that is the newest.";
    add_examples(actions.add("finish", "Say that a run has ended well", check_end, finish),
                 {"stepdb run finish demo/tiny", "stepdb run finish demo/tiny#1"},
                 std::string(kNewest));
    add_examples(actions.add("fail", "Say that a run has failed", check_end, fail),
                 {"stepdb run fail demo/tiny", "stepdb run fail demo/tiny#1"},
                 std::string(kNewest));
    add_examples(actions.add("heartbeat", "Say that a run without rows is alive", check_heartbeat,
                             heartbeat),
                 {"stepdb run heartbeat demo/tiny"},
                 "A running run of which nothing is heard for five minutes is shown as stale.");
}

void add_removals(ActionList& actions, RunOptions& options) {
    CLI::App& discarded = actions.add("discard", "Let go of an older attempt, PROJECT/RUN#K",
                                      check_discard_options, discard_attempt);
    actions.add_yes(discarded);
    add_examples(discarded,
                 {"stepdb run discard demo/tiny#0", "stepdb run discard demo/tiny#0 --yes"},
                 "It can no longer be asked for and takes no rows; what newer attempts and forks\n"
                 "read of it stays.");
    CLI::App& removed =
        actions.add("delete", "Delete a run, an attempt (RUN#K) or metrics of a run",
                    check_delete_options, delete_run_or_part);
    removed
        .add_option("--metrics", options.metrics,
                    "Metrics or patterns of metrics; without it the whole run")
        ->type_name("PATTERN...");
    actions.add_yes(removed);
    add_examples(removed,
                 {"stepdb run delete demo/lower-lr --metrics 'val/**'",
                  "stepdb run delete demo/lower-lr", "stepdb run delete demo/lower-lr --yes"},
                 "What forks read is not deleted: they are named, and have to go first.");
}

}  // namespace

Command add_run(CLI::App& stepdb) {
    auto options = std::make_shared<RunOptions>();
    CLI::App* app = stepdb.add_subcommand("run", "Create, fork, restart, end or delete a run");
    app->require_subcommand(1);
    ActionList list(*app, options);
    add_beginnings(list, *options);
    add_states(list);
    add_removals(list, *options);
    const std::vector<Action> actions = list.finish();
    add_examples(*app, {"stepdb run fork demo/lower-lr --from demo/tiny --at 400",
                        "stepdb run restart demo/tiny --at 400", "stepdb run finish demo/tiny",
                        "stepdb run delete --help"});
    return {app,
            [=] {
                for (const Action& action : actions) {
                    if (action.app->parsed()) {
                        return action.run(*options);
                    }
                }
                return Status();
            },
            [=]() -> Status {
                for (const Action& action : actions) {
                    if (action.app->parsed()) {
                        TRY(action.check(*options));
                    }
                }
                TRY(check_server(options->server));
                return {};
            }};
}

}  // namespace stepdb
