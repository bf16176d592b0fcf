// Backups that are taken while a world goes on, each to the same directory, and what the last one
// holds at the end.
#include <algorithm>

#include "tests/simulation/world.h"
#include "tests/support/backup_check.h"

namespace stepdb {

void World::back_up() {
    tell("backup");
    std::vector<size_t> acknowledged;
    for (const Client& client : clients_) {
        acknowledged.push_back(std::max(client.shown, client.changes->acknowledged()));
    }
    const bool is_cut_short = random_.below(4) == 0;
    const bool is_cut_at_operation = is_cut_short && random_.coin();
    if (is_cut_at_operation) {
        store_.files().crash_at_operation(store_.files().count_operations() + 1 +
                                          random_.below(20));
    }
    BackupOptions options;
    options.directory = kBackupsDirectory;
    std::optional<Result<BackupReport>> ended;
    start(store_.engine().backup(std::move(options)),
          [&ended](Result<BackupReport> report) { ended = std::move(report); });
    if (random_.coin()) {
        send_some(random_.below(6));
        pause();
    }
    if (is_cut_at_operation) {
        store_.run();
        crash(CrashKind::kPowerCut);
    } else if (is_cut_short) {
        crash(random_.coin() ? CrashKind::kPowerCut : CrashKind::kProcessKill);
    } else {
        store_.run();
    }
    CHECK(ended, "the executor is idle and a backup has not ended");
    // Whether it was made may be open; then the last one is there, or it.
    const bool is_made = ended->has_value();
    ++(is_made ? counts_.backups : counts_.backups_failed);
    for (size_t i = 0; i < clients_.size(); ++i) {
        clients_[i].backup_most = clients_[i].changes->views().size() - 1;
        if (is_made) {
            clients_[i].backup_least = acknowledged[i];
        }
    }
    has_backup_ = has_backup_ || is_made;
    if (!is_made && !is_cut_short) {
        fail("a backup was not made: " + ended->error().to_string());
    }
    if (is_cut_short) {
        recover();
    }
}

// The store is at rest. What is restored from its last backup is what was there at one moment after
// that began.
void World::restore() {
    constexpr std::string_view kRestored = "restored";
    SimDisk disk = disk_;
    const Result<BackupReport> report =
        restore_backup(disk, std::string(kBackupsDirectory), std::string(kRestored));
    if (!report) {
        return fail("restoring the last backup: " + report.error().to_string());
    }
    EngineOptions options = options_;
    options.directory = kRestored;
    options.create_if_missing = false;
    SimStore restored(disk, random_.next(), options);
    restored.read_points_alone();
    const Status opened = restored.open();
    const Result<ReferenceModel::Contents> contents =
        opened ? restored.contents() : Result<ReferenceModel::Contents>(opened.error());
    if (!contents) {
        return fail("reading what was restored: " + contents.error().to_string());
    }
    ++counts_.restores;
    StoreView there;
    there.contents = *contents;
    there.facts = restored.facts();
    for (const Client& client : clients_) {
        if (!find_view(client, there, client.backup_least, client.backup_most)) {
            const size_t least = client.backup_least;
            const StoreView want = view_of_project(client.changes->views()[least], client.project);
            const StoreView mine = view_of_project(there, client.project);
            fail(
                fmt::format("the backup of {} is not as after one of its changes from {} to {}: "
                            "{} {}",
                            client.project, least, client.backup_most,
                            describe_difference(want.contents, mine.contents),
                            describe_difference(want.facts, mine.facts)));
        }
    }
    const std::string found = restored.verify();
    if (!found.empty()) {
        fail("verify of what was restored: " + found);
    }
}

}  // namespace stepdb
