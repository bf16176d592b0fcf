// The program `stepdb`: finds the subcommand and reports what it says.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/processor.h"
#include "tools/command.h"
#include "tools/help.h"
#include "tools/usage_error.h"

namespace stepdb {

namespace {

constexpr int kUsageStatus = 2;  // the command line is wrong, and nothing was done

const std::string& name_of(const CLI::App& app) {
    // `import csv` reports as `import`.
    return app.get_parent() == nullptr || app.get_parent()->get_parent() == nullptr
               ? app.get_name()
               : name_of(*app.get_parent());
}

void print_error(const std::string& command, const std::string& message) {
    fmt::print(stderr, "stepdb{}: error: {}\n", command.empty() ? "" : " " + command, message);
}

int refuse_usage(const CLI::App& at, const std::string& message) {
    print_error(at.get_parent() == nullptr ? std::string() : name_of(at), message);
    std::string command = at.get_name();
    for (const CLI::App* above = at.get_parent(); above != nullptr; above = above->get_parent()) {
        command = above->get_name() + " " + command;
    }
    fmt::print(stderr, "See `{} --help`.\n", command);
    return kUsageStatus;
}

// The deepest subcommand that the command line got to.
const CLI::App& deepest(const CLI::App& app) {
    const auto parsed = app.get_subcommands();
    return parsed.empty() ? app : deepest(*parsed.back());
}

// $STEPDB_CPU: for tests and comparisons, so undocumented in the help.
Status heed_environment() {
    const char* const level = std::getenv("STEPDB_CPU");  // NOLINT(concurrency-mt-unsafe)
    if (level == nullptr || *level == '\0') {
        return {};
    }
    const Status limited = limit_processor(level);
    return limited ? limited : limited.error().within("STEPDB_CPU");
}

int run(int argc, char** argv) {
    if (const Status heeded = heed_environment(); !heeded) {
        print_error("", heeded.error().message());
        return kUsageStatus;
    }
    CLI::App app("StepDB: a time-series database for the metrics of training runs.", "stepdb");
    app.set_version_flag("--version", "stepdb " STEPDB_VERSION);
    app.require_subcommand(1);
    app.formatter(std::make_shared<HelpFormatter>());
    add_examples(
        app,
        {"stepdb serve --data ./store",
         "stepdb import csv examples/logs/char-model.csv --project demo --run tiny",
         "stepdb query 'train/loss @ demo/tiny | buckets 100'", "stepdb query --help"},
        "The exit status is 0 if all went well, 1 if what was asked for failed, and 2 if the\n"
        "command line is wrong; then nothing was done.");
    const std::vector<Command> commands = {
        add_serve(app),  add_query(app),  add_shell(app),   add_import(app),    add_export(app),
        add_log(app),    add_run(app),    add_set(app),     add_retention(app), add_token(app),
        add_sync(app),   add_agent(app),  add_stats(app),   add_inspect(app),   add_verify(app),
        add_repair(app), add_backup(app), add_restore(app), add_bench(app)};
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& error) {
        return refuse_usage(deepest(app), describe_usage_error(deepest(app), error));
    }
    for (const Command& command : commands) {
        if (command.app->parsed()) {
            const Status usage = command.check ? command.check() : Status();
            if (!usage) {
                return refuse_usage(deepest(*command.app), usage.error().message());
            }
            const Status status = command.run();
            if (!status) {
                print_error(command.app->get_name(), status.error().message());
                return 1;
            }
        }
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        print_error("", "cannot write to the standard output");
        return 1;
    }
    return 0;
}

}  // namespace

}  // namespace stepdb

int main(int argc, char** argv) {
    return stepdb::run(argc, argv);
}
