// One subcommand of `stepdb`: its options, and what it does once they are read.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "net/client.h"
#include "tools/server_choice.h"

namespace stepdb {

struct Command {
    CLI::App* app = nullptr;
    // After the command line has been read. What went wrong is printed after the command's name.
    std::function<Status()> run;
    // If set, called before, to refuse what the options say before anything is touched: the exit
    // status is then that of a wrong command line.
    std::function<Status()> check = nullptr;
};

// Each in the file of its name.
Command add_serve(CLI::App& stepdb);
Command add_query(CLI::App& stepdb);
Command add_shell(CLI::App& stepdb);
Command add_log(CLI::App& stepdb);
Command add_run(CLI::App& stepdb);
Command add_set(CLI::App& stepdb);
Command add_retention(CLI::App& stepdb);
Command add_token(CLI::App& stepdb);
Command add_import(CLI::App& stepdb);
Command add_export(CLI::App& stepdb);
Command add_stats(CLI::App& stepdb);
Command add_sync(CLI::App& stepdb);
Command add_agent(CLI::App& stepdb);
Command add_inspect(CLI::App& stepdb);
Command add_verify(CLI::App& stepdb);
Command add_repair(CLI::App& stepdb);
Command add_backup(CLI::App& stepdb);
Command add_restore(CLI::App& stepdb);
Command add_bench(CLI::App& stepdb);

// A connection to the server of that option. Without a writer it only reads.
Result<std::unique_ptr<Client>> connect_to(const ServerChoice& server,
                                           const Id128& writer = Id128());

// For a writer that lives as long as this process.
Id128 random_id();

// What --help ends with: an example a line, each a command that works as it stands.
void add_examples(CLI::App& app, const std::vector<std::string>& examples,
                  const std::string& notes = "");

}  // namespace stepdb
