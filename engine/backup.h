// Backups: a copy of a store in another directory, as of one moment, that is a store itself.
//
//   SOURCE (live or not)               DIRECTORY
//   segment-3, segment-7, catalog-9    segment-3  as it is, from the last backup
//                                      segment-7  copied, verified on the way
//                                      catalog-9  likewise
//                                      manifest-10, CURRENT: these count now; catalog-5 goes
//
// A backup begins with a flush, so that everything acknowledged is in segments and catalog: files
// that are never written again. These are kept from going while they are copied, a piece at a time
// beside the log (log_turns.h), unless the directory has them already. A manifest that names them,
// and no log, is what makes the copy count: until CURRENT names it, which is one rename, the
// directory holds the last backup, whole; afterwards the new one.
//
// The file BACKUP in the directory says of which store it takes backups. A directory with anything
// in it and without that file is not touched.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"

namespace stepdb {

// How a backup or a restore comes on, and how it has ended.
struct BackupReport {
    BackupReport() = default;

    Id128 store;
    uint64_t sequence = 0;        // everything up to it is in the copy
    uint64_t runs = 0;            // in the copy
    uint64_t files = 0;           // of the copy, without CURRENT and the manifest
    uint64_t files_new = 0;       // of these, those that were not there
    uint64_t bytes = 0;           // of the files
    uint64_t bytes_new = 0;       // of the new ones
    uint64_t bytes_copied = 0;    // of these, so far
    uint64_t damaged_blocks = 0;  // that merges found and carried along; copied as they are
};

struct BackupOptions {
    BackupOptions() = default;

    std::string directory;
    // Set to true, on any thread, it ends the backup with kCancelled.
    std::shared_ptr<const std::atomic<bool>> cancelled;
    // Called before the first byte is copied and now and then, on the engine's merge executor.
    std::function<void(const BackupReport&)> on_progress;
};

// Errors of Engine::backup; but for kInvalidArgument they leave the last backup in the directory
// whole: kFailedPrecondition if the directory holds something else, a backup of another store or a
// newer one, or is in use; kResourceExhausted if there is no room for it, and then what was copied
// is removed again; kCorruption naming a file of the store that is damaged; kCancelled; those of
// the flush and of the disk.

struct RestoreOptions {
    RestoreOptions() = default;

    std::string backup;     // a directory that Engine::backup has made
    std::string directory;  // where the store is to be, which must be empty or missing
    std::function<void(const BackupReport&)> on_progress;
};

// Copies a backup to where a server can open it. Every byte is verified on the way. The store's id
// stays, and so do the numbers of its writers as of the backup. Errors as those of Engine::backup;
// kNotFound if there is no backup. After an error the directory is as empty as before.
Task<Result<BackupReport>> restore_store(FileSystem& files, RestoreOptions options);

}  // namespace stepdb
