// Makes a directory hold a copy of a store: what backups and restores have in common. backup.h
// tells the way.
#pragma once

#include <functional>
#include <string>

#include "engine/backup.h"
#include "engine/manifest/manifest.h"
#include "engine/segment/segment_writer.h"

namespace stepdb {

struct StoreCopyInput {
    StoreCopyInput() = default;

    FileSystem* files = nullptr;
    std::string from;
    std::string to;
    Id128 store;
    // What the copy is made of. It names no log; its files stay as they are meanwhile.
    ManifestState state;
    uint64_t runs = 0;
    uint64_t damaged_blocks = 0;
    // The directory takes backups of this store: it may hold one, of which is kept what the new one
    // has too, and is marked. Else it must be empty, and is left empty after an error.
    bool is_backup = false;
    WriteTurns* turns = nullptr;  // asked before each piece, if there are any
    std::function<bool()> is_cancelled;
    std::function<void(const BackupReport&)> on_progress;
};

// On the executor of `files`.
Task<Result<BackupReport>> copy_store(StoreCopyInput input);

// A state that names files and no log: everything up to the checkpoint, and the log ends there.
ManifestState without_log(ManifestState state);
// Whether it is one.
bool is_without_log(const ManifestState& state);

}  // namespace stepdb
