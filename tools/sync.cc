// `stepdb sync`: sends what processes that are gone have left in a spool.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "tools/command.h"
#include "tools/duration_text.h"
#include "tools/output/format_cell.h"
#include "tools/spool.h"
#include "tools/spool_delivery.h"

namespace stepdb {

namespace {

struct SyncOptions {
    std::string directory = ".stepdb";
    ServerChoice server;
    bool has_server = false;  // else each spool's own
    std::string wait = "1m";
};

// As the Python client takes it: the port may be left out.
std::string with_port(const std::string& address) {
    return parse_address(address) ? address : address + ":7420";
}

std::string shown_outcome(const SpoolOutcome& outcome) {
    std::string text = count_of(outcome.rows_sent, "row") + " sent";
    if (outcome.rows_refused > 0) {
        text += fmt::format(", {} refused: {}", outcome.rows_refused, outcome.first_refusal);
    }
    if (outcome.failed) {
        text += "; " + outcome.failed->message();
    }
    return text;
}

// False if some of it stays.
bool sync_one(const std::string& directory, const SyncOptions& options, int64_t wait_us) {
    Result<Spool> spool = Spool::open(directory);
    if (!spool && spool.error().code() == ErrorCode::kNotFound) {
        return true;  // somebody else has sent it
    }
    if (!spool) {
        fmt::print("{}: {} (it stays)\n", directory, spool.error().message());
        return false;
    }
    ServerChoice server = options.server;
    if (!options.has_server && !spool->run().server.empty()) {
        server.address = with_port(spool->run().server);
    }
    SpoolDelivery delivery(
        *spool, [&](const Id128& writer) { return connect_to(server, writer); },
        std::chrono::milliseconds(wait_us / 1000));
    const SpoolOutcome outcome = delivery.run();
    for (const std::string& note : outcome.notes) {
        fmt::print(stderr, "note: {}\n", note);
    }
    fmt::print("{}: {}{}\n", directory, shown_outcome(outcome),
               outcome.failed ? " (it stays)" : "");
    std::fflush(stdout);
    return !outcome.failed;
}

Status sync_spools(const SyncOptions& options) {
    TRY_ASSIGN(const int64_t wait_us, parse_duration("--wait", options.wait));
    TRY_ASSIGN(const std::vector<std::string> directories, find_spools(options.directory));
    if (directories.empty()) {
        fmt::print("{}: nothing to send\n", options.directory);
    }
    size_t left = 0;
    for (const std::string& directory : directories) {
        left += sync_one(directory, options, wait_us) ? 0U : 1U;
    }
    return left == 0 ? Status()
                     : Status(make_error(ErrorCode::kUnavailable, "{} of {} not sent in full", left,
                                         count_of(directories.size(), "spool")));
}

}  // namespace

Command add_sync(CLI::App& stepdb) {
    auto options = std::make_shared<SyncOptions>();
    CLI::App* app = stepdb.add_subcommand("sync", "Send what a job that is gone left in its spool");
    app->add_option("DIR", options->directory, "The spool, or a directory with several below it")
        ->type_name("DIR")
        ->capture_default_str();
    CLI::Option* const server = add_server_option(*app, options->server);
    app->add_option("--wait", options->wait,
                    "How long a server that is away, or full, is waited for")
        ->type_name("TIME")
        ->capture_default_str();
    add_examples(
        *app, {"stepdb sync .stepdb", "stepdb sync .stepdb --server 10.0.0.7:7420"},
        "Sends what the Python client logged (docs/protocol.md, \"Spool\"), each row once, "
        "to the\nserver that it was logged to if --server names none, and removes what "
        "has been stored. The\nspool of a process that is alive is left to it. Started "
        "again it goes on where it was; so\ndoes `python -m stepdb sync`.");
    return {app,
            [=] {
                options->has_server = server->count() > 0;
                return sync_spools(*options);
            },
            [=]() -> Status {
                TRY_ASSIGN(const int64_t wait_us, parse_duration("--wait", options->wait));
                static_cast<void>(wait_us);
                TRY(check_server(options->server));
                return {};
            }};
}

}  // namespace stepdb
