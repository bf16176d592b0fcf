// `stepdb backup`: a copy of a store, made by the server that has it open, or of one that no server
// has.
#include "engine/backup.h"

#include <filesystem>
#include <memory>

#include "net/backup_request.h"
#include "tools/answer_printer.h"
#include "tools/backup_printer.h"
#include "tools/command.h"
#include "tools/open_store.h"

namespace stepdb {

namespace {

struct BackupArguments {
    std::string directory;
    ServerChoice server;
    std::string data;  // empty: that of the server
    std::string format = "table";
};

Result<BackupReport> back_up_live(const BackupArguments& arguments, BackupPrinter& printer) {
    TRY_ASSIGN(const auto client, connect_to(arguments.server));
    BackupReport report;
    Status readable;
    AnswerHandler handler;
    handler.on_block = [&](const ResultBlock& block) {
        const Result<BackupReport> told = read_backup_row(block);
        if (!told) {
            readable = told.error();
            return false;
        }
        report = *told;
        printer.progress(report);
        return true;
    };
    const Result<QueryEnd> ended = client->backup(arguments.directory, handler);
    TRY(readable);
    if (!ended) {
        return ended.error();
    }
    return report;
}

Result<BackupReport> back_up_closed(const BackupArguments& arguments, BackupPrinter& printer) {
    EngineOptions engine;
    engine.directory = arguments.data;
    engine.merge_automatically = false;
    TRY_ASSIGN(const auto store, OpenStore::open_existing(std::move(engine)));
    print_recovery(store->engine().recovery());
    BackupOptions options;
    options.directory = arguments.directory;
    options.on_progress = [&](const BackupReport& report) { printer.progress(report); };
    Result<BackupReport> report =
        block_on(store->io().loop(), store->engine().backup(std::move(options)));
    const Status closed = store->close();
    if (report && !closed) {
        return closed.error().within(fmt::format("closing {}", arguments.data));
    }
    return report;
}

// As the server has to be told, which was started elsewhere.
Result<std::string> absolute_path(const std::string& directory) {
    std::error_code failed;
    std::string path = std::filesystem::absolute(directory, failed).lexically_normal();
    if (failed) {
        return make_error(ErrorCode::kInvalidArgument, "{}: {}", directory, failed.message());
    }
    if (path.size() > 1 && path.ends_with('/')) {
        path.pop_back();
    }
    return path;
}

Status back_up(BackupArguments arguments, OutputFormat format) {
    const std::string typed = arguments.directory;
    TRY_ASSIGN(arguments.directory, absolute_path(typed));
    BackupPrinter printer("backing up");
    TRY_ASSIGN(const BackupReport report, arguments.data.empty()
                                              ? back_up_live(arguments, printer)
                                              : back_up_closed(arguments, printer));
    printer.print(report, "backed up", typed, format);
    return {};
}

}  // namespace

Command add_backup(CLI::App& stepdb) {
    auto arguments = std::make_shared<BackupArguments>();
    CLI::App* app = stepdb.add_subcommand(
        "backup", "Copy a store, live or not, to a directory that holds its last backup");
    app->add_option("DIR", arguments->directory,
                    "The directory, of the server's machine; made if it does not exist, else it "
                    "must be empty or hold a backup of this store")
        ->type_name("DIR")
        ->required();
    CLI::Option* server = add_server_option(*app, arguments->server);
    app->add_option("--data", arguments->data,
                    "Back up the store in this directory, which no server has open")
        ->type_name("STORE")
        ->excludes(server);
    add_backup_format(*app, arguments->format);
    add_examples(
        *app,
        {"stepdb backup /backups/a", "stepdb backup /backups/a --data ./store",
         "stepdb backup /backups/a --format json"},
        "What is acknowledged when it begins is in it. The server goes on taking rows and\n"
        "answering meanwhile. A backup to the same directory copies only files that are\n"
        "new, and until it is whole the last one stays. The directory is a store: `stepdb\n"
        "verify` checks it, and `stepdb restore` makes one to serve of it.");
    return {app, [=]() -> Status {
                TRY_ASSIGN(const OutputFormat format, read_output_format(arguments->format));
                return back_up(*arguments, format);
            }};
}

}  // namespace stepdb
