// The program `stepdb`: finds the subcommand and reports what it says.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "tools/command.h"
#include "tools/help.h"

namespace stepdb {

namespace {

constexpr int kUsageStatus = 2;  // the command line is wrong

const std::string& name_of(const CLI::App& app) {
    // `import csv` reports as `import`.
    return app.get_parent() == nullptr || app.get_parent()->get_parent() == nullptr
               ? app.get_name()
               : name_of(*app.get_parent());
}

void print_error(const std::string& command, const std::string& message) {
    fmt::print(stderr, "stepdb{}: error: {}\n", command.empty() ? "" : " " + command, message);
}

// The deepest subcommand that the command line got to.
const CLI::App& deepest(const CLI::App& app) {
    const auto parsed = app.get_subcommands();
    return parsed.empty() ? app : deepest(*parsed.back());
}

int run(int argc, char** argv) {
    CLI::App app("StepDB: a time-series database for the metrics of training runs.", "stepdb");
    app.set_version_flag("--version", "stepdb " STEPDB_VERSION);
    app.require_subcommand(1);
    app.formatter(std::make_shared<HelpFormatter>());
    add_examples(app,
                 {"stepdb serve --data ./store",
                  "stepdb import csv examples/logs/char-model.csv --project demo --run tiny",
                  "stepdb query 'train/loss @ demo/tiny | buckets 100'", "stepdb query --help"});
    const std::vector<Command> commands = {add_serve(app), add_query(app),   add_import(app),
                                           add_log(app),   add_inspect(app), add_verify(app),
                                           add_bench(app)};
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& error) {
        const CLI::App& at = deepest(app);
        const std::string name = at.get_parent() == nullptr ? std::string() : name_of(at);
        print_error(name, error.what());
        fmt::print(stderr, "See `stepdb{} --help`.\n", name.empty() ? "" : " " + name);
        return kUsageStatus;
    }
    for (const Command& command : commands) {
        if (command.app->parsed()) {
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
