// What can be read of a store whose CURRENT or manifest is lost: the files beside it say enough to
// answer queries, not enough to write on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/manifest/manifest.h"

namespace stepdb {

struct SalvagedManifest {
    SalvagedManifest() = default;

    Id128 store;
    ManifestState state;
    uint64_t manifest_file = 0;  // that the state is from, of those that CURRENT does not name
    // The state was put together from the files that are there, for want of a manifest: it may
    // name files that no longer counted, and the log's first sequence is not known (0).
    bool from_files = false;
    std::string what;   // is damaged, what is read instead, and what to do
    std::string brief;  // the same in a sentence
};

// What a catalog alone tells of the time before the log. Whoever reads a store without it must know
// what may look other than it was.
inline constexpr std::string_view kLostWithCatalog =
    "runs and metrics are taken from segments and log instead. What else it told of the time "
    "before "
    "the log is lost, so that answers may differ: restarts (points that one hid are shown), forks "
    "(what one inherited is not), deletes (what they removed may be shown), runs that have no rows "
    "there, discarded attempts, attributes and tags, whether a run finished or failed, when it was "
    "created, the numbers of writers, and the retention of projects";

// After load_manifest has failed with `why`. A whole manifest that CURRENT should have named
// serves; else every segment and log file counts, and the newest whole catalog. `why` itself if
// there is nothing to read at all.
Task<Result<SalvagedManifest>> salvage_manifest(FileSystem& files, std::string directory,
                                                Error why);

// Bytes behind the last whole edit of a manifest are an edit that a crash cut short, or one that
// was damaged later. The latter shows in files: those it named are not what the edits before it
// say. What says so, if anything does.
Task<std::optional<Error>> find_contradiction(FileSystem& files, std::string directory,
                                              LoadedManifest manifest);

// What is said of such bytes when nothing contradicts them.
std::string describe_torn_edit(std::string_view manifest, uint64_t offset);

// The log files of `state` in the order of their first groups.
Task<std::vector<uint64_t>> order_logs(FileSystem& files, std::string directory, Id128 store,
                                       ManifestState state);

// The sequence that the first group of a log file begins with; 0 if it has none that is whole.
Task<uint64_t> first_log_sequence(FileSystem& files, std::string directory, Id128 store,
                                  uint64_t file_id);

}  // namespace stepdb
