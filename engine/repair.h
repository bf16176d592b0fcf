// Repairing a store that nobody has open: of what can be read of it, a store that is whole.
//
//   before                         after
//   CURRENT, manifest-9 (damaged)  CURRENT, manifest-14: names all of these, and no log
//   segment-3                      segment-3, as it is
//   segment-5 (damaged)            segment-11: its blocks; what is damaged of them carried along
//   catalog-7 (damaged)            catalog-13: made anew from what segments and log tell
//   log-8 (damaged)                segment-12: the rows of all records that are whole
//                                  segment-5.before-repair and so on: everything as it was
//
// Nothing that can be read is dropped. The new files are written beside the old ones and synced;
// one rename of CURRENT makes them count. Until then the store is as it was; afterwards what the
// new manifest does not name gets another name, and is never removed: whoever is content with the
// repair does that. A file REPAIR is there meanwhile, so that an opening in between heeds it too.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"

namespace stepdb {

// What a file is called once a repaired store does without it.
inline constexpr std::string_view kBeforeRepairSuffix = ".before-repair";
// There while files get such names.
inline constexpr std::string_view kRepairMarkName = "REPAIR";

enum class RepairKind : uint8_t {
    kMended,  // damage by which nothing is lost
    kKept,    // cannot be read, but its bytes are carried along, marked as damaged
    kLost,    // is gone
    kNote,    // worth knowing
};
std::string_view repair_kind_name(RepairKind kind);

struct RepairFinding {
    RepairFinding() = default;

    RepairKind kind = RepairKind::kNote;
    std::string file;  // its name in the directory
    // The first byte concerned and the one past the last, if they are known.
    std::optional<std::pair<uint64_t, uint64_t>> bytes;
    std::string what;
};

struct RepairReport {
    RepairReport() = default;

    uint64_t count(RepairKind kind) const;

    Id128 store;
    bool needed = false;   // something is damaged that a repair mends
    bool written = false;  // and has mended; not in a dry run
    uint64_t runs = 0;     // afterwards
    uint64_t segments = 0;
    uint64_t segments_new = 0;  // of these, written by the repair
    uint64_t bytes_written = 0;
    std::vector<RepairFinding> findings;
    std::vector<std::string> set_aside;  // files, by the names that they have now
};

struct RepairOptions {
    RepairOptions() = default;

    std::string directory;
    bool dry_run = false;  // finds out everything and changes nothing
    // What takes the place of when runs were last written to, where that is lost: retention must
    // not take them for old.
    int64_t now_us = 0;
};

// kNotFound if the directory holds no store, kFailedPrecondition if another process has it,
// kUnsupportedVersion if a file of it is of a newer format, kResourceExhausted if there is no room
// for what is to be written. After any error the store is as it was, with files in it that nothing
// names, or repaired. On `executor`, which is that of `files`.
Task<Result<RepairReport>> repair_store(FileSystem& files, Executor& executor,
                                        RepairOptions options);

}  // namespace stepdb
