#include "tests/support/backup_check.h"

namespace stepdb {

std::string verify_directory(SimDisk& disk, const std::string& directory) {
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    VerifyOptions options;
    options.directory = directory;
    return describe_problems(run_task(executor, verify_store(files, options)));
}

Result<BackupReport> restore_backup(SimDisk& disk, const std::string& directory,
                                    const std::string& to) {
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    RestoreOptions options;
    options.backup = directory;
    options.directory = to;
    Result<BackupReport> report = run_task(executor, restore_store(files, std::move(options)));
    executor.run_until_idle();
    return report;
}

Result<ReferenceModel::Contents> contents_of_backup(SimDisk disk, const std::string& directory) {
    const std::string restored = directory + "-restored";
    TRY(restore_backup(disk, directory, restored));
    EngineOptions options = SimStore::small_options();
    options.directory = restored;
    options.create_if_missing = false;
    SimStore store(disk, 1, options);
    TRY(store.open());
    const std::vector<StoreDamage> damage = store.engine().recovery().damage;
    if (!damage.empty()) {
        return Error(ErrorCode::kCorruption, damage.front().what);
    }
    TRY_ASSIGN(ReferenceModel::Contents contents, store.contents());
    TRY(store.close());
    const std::string wrong = verify_directory(disk, restored);
    if (!wrong.empty()) {
        return Error(ErrorCode::kCorruption, wrong);
    }
    return contents;
}

}  // namespace stepdb
