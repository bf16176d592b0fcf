// `stepdb restore`: of a backup a store that can be served.
#include <memory>

#include "engine/backup.h"
#include "engine/io/environment.h"
#include "tools/answer_printer.h"
#include "tools/backup_printer.h"
#include "tools/command.h"

namespace stepdb {

namespace {

struct RestoreArguments {
    std::string backup;
    std::string directory;
    std::string format = "table";
};

Status restore(const RestoreArguments& arguments, OutputFormat format) {
    TRY_ASSIGN(const auto io, IoEnvironment::create());
    BackupPrinter printer("restoring");
    RestoreOptions options;
    options.backup = arguments.backup;
    options.directory = arguments.directory;
    options.on_progress = [&](const BackupReport& report) { printer.progress(report); };
    TRY_ASSIGN(const BackupReport report,
               block_on(io->loop(), restore_store(io->files(), std::move(options))));
    printer.print(report, "restored", arguments.directory, format);
    return {};
}

}  // namespace

Command add_restore(CLI::App& stepdb) {
    auto arguments = std::make_shared<RestoreArguments>();
    CLI::App* app =
        stepdb.add_subcommand("restore", "Make a store of a backup, in a directory of its own");
    app->add_option("BACKUP", arguments->backup, "The directory that `stepdb backup` has made")
        ->type_name("BACKUP")
        ->required();
    app->add_option("DIR", arguments->directory,
                    "Where the store is to be; a directory that is empty, or not there yet")
        ->type_name("DIR")
        ->required();
    add_backup_format(*app, arguments->format);
    add_examples(
        *app, {"stepdb restore /backups/a ./store", "stepdb serve --data ./store"},
        "Every byte is verified on the way. What was logged after the backup is not in it:\n"
        "see \"After a restore\" in docs/operating.md for what that means to writers.");
    return {app, [=]() -> Status {
                TRY_ASSIGN(const OutputFormat format, read_output_format(arguments->format));
                return restore(*arguments, format);
            }};
}

}  // namespace stepdb
