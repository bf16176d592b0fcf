// The manifest: which files are the store, and from where the log counts. docs/format.md,
// "Manifest".
//
// A manifest file is a header page and then edits, each appended and synced before what it says is
// relied upon. The first edit holds the whole state. CURRENT names the manifest that counts; every
// opening of the store, and every manifest that has grown too long, begins a new one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/model/file_header.h"

namespace stepdb {

inline constexpr FileKind kManifestKind{"STEPDBMF", "manifest"};

// Names in the store's directory.
inline constexpr std::string_view kCurrentName = "CURRENT";
inline constexpr std::string_view kCurrentTemporaryName = "CURRENT.new";
inline constexpr std::string_view kLockName = "LOCK";
// Marks a directory that takes backups; engine/backup.h.
inline constexpr std::string_view kBackupMarkName = "BACKUP";
std::string log_file_name(uint64_t file_id);
std::string segment_file_name(uint64_t file_id);
std::string catalog_file_name(uint64_t file_id);
std::string manifest_file_name(uint64_t file_id);
// The id in such a name, if it is one with this prefix ("log-", "segment-", ...).
std::optional<uint64_t> parse_file_name(std::string_view name, std::string_view prefix);

// Ranges of run ids, both ends included, in order: the runs that have rows in a segment, or a few
// more. They tell who is affected when the segment cannot be read.
using RunRanges = std::vector<std::pair<uint64_t, uint64_t>>;

// Ranges of sorted ids; at most `ranges_max`, the narrowest gaps being filled.
RunRanges make_run_ranges(const std::vector<uint64_t>& ids, size_t ranges_max = 64);

struct ManifestState {
    uint64_t next_file_id = 1;              // of logs, segments, catalogs and manifests alike
    uint64_t epoch = 0;                     // of the newest opening
    uint64_t checkpoint_sequence = 0;       // everything up to here is in segments and catalog
    uint64_t log_sequence = 1;              // first sequence of the oldest live log file
    uint64_t catalog_file = 0;              // 0: none yet
    std::map<uint64_t, uint64_t> logs;      // live log files in log order: file id -> epoch
    std::map<uint64_t, uint64_t> segments;  // file id -> bytes
    std::map<uint64_t, RunRanges> segment_runs;
    // The log is durable at least up to here; `closed`: the store was closed in order, and there is
    // nothing above it.
    uint64_t durable_sequence = 0;
    bool closed = false;
};

// A change of the state. Absent fields stay as they are.
struct ManifestEdit {
    ManifestEdit() = default;

    std::optional<uint64_t> epoch;
    std::optional<uint64_t> checkpoint_sequence;
    std::optional<uint64_t> log_sequence;
    std::optional<uint64_t> catalog_file;
    std::map<uint64_t, uint64_t> add_logs;
    std::vector<uint64_t> remove_logs;
    std::map<uint64_t, uint64_t> add_segments;
    std::map<uint64_t, RunRanges> segment_runs;  // of segments added
    std::vector<uint64_t> remove_segments;
    std::optional<uint64_t> durable_sequence;
    std::optional<bool> closed;  // with a durable sequence
};

void apply_edit(ManifestState& state, const ManifestEdit& edit);

struct LoadedManifest {
    uint64_t file_id = 0;
    Id128 store;
    ManifestState state;
    uint64_t end = 0;   // where the whole edits end
    bool torn = false;  // something other than zeros follows: an edit cut short, or damaged
};

// An edit as it lies in the file.
struct ManifestRecord {
    ManifestRecord() = default;

    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t number = 0;
    uint64_t next_file_id = 0;
    ManifestEdit edit;
};

using EditVisitor = std::function<void(const ManifestRecord&)>;

// Decodes the bytes of a manifest file, which is file `file_id`, or whatever its header says if
// that is 0. Messages do not name the file. `visit`, if set, is called for every whole edit.
Result<LoadedManifest> decode_manifest(Bytes file, uint64_t file_id, const EditVisitor& visit = {});
// Its part behind the header. `end` is where the whole edits end, also with an error.
Result<ManifestState> decode_edits(Bytes file, const Id128& store, uint64_t file_id, uint64_t& end,
                                   const EditVisitor& visit);

// Bytes behind the edits that are an edit cut short; zeros are room for more of them.
uint64_t torn_edit_bytes(Bytes file, uint64_t end);

// The file that the contents of CURRENT name; kCorruption if it is no manifest.
Result<uint64_t> decode_current(std::string_view contents);

// Reads CURRENT and the manifest it names; nothing if there is no CURRENT. Edits after the last
// whole one are a torn end and left out; kCorruption if a whole edit follows a broken one.
Task<Result<std::optional<LoadedManifest>>> load_manifest(FileSystem& files, std::string directory);

// The writing side. One edit is written at a time; others wait in order.
class Manifest {
  public:
    Manifest(FileSystem& files, std::string directory, Id128 store, uint64_t bytes_max);

    // Begins a new manifest file holding `state` and makes CURRENT name it; durable when done.
    Task<Status> begin(ManifestState state);

    // Appends an edit and syncs; the state changes when that is done. kResourceExhausted if there
    // was no room for it: nothing was written and nothing has changed. After any other error it is
    // not known what the disk holds: every later append fails likewise, whoever makes it, and no
    // file that an edit has named may be removed.
    Task<Status> append(ManifestEdit edit);

    const ManifestState& state() const { return state_; }
    uint64_t file_id() const { return file_id_; }

    // A file id never given out before. It counts as given out once an edit is durable.
    uint64_t take_file_id() { return next_file_id_++; }
    // Ids below `next` are taken: files with them have been seen.
    void skip_file_ids(uint64_t next) { next_file_id_ = std::max(next_file_id_, next); }

  private:
    Task<Status> begin_locked(ManifestState state);
    Task<Status> append_locked(ManifestEdit edit);
    Task<Status> write_file(uint64_t file_id);
    Task<Status> write_current(uint64_t file_id);
    Task<Status> switch_current();
    std::string path(std::string_view name) const { return directory_ + "/" + std::string(name); }
    std::vector<std::byte> encode_record(const ManifestEdit& edit) const;
    Task<Status> make_room(uint64_t bytes);

    TaskMutex mutex_;
    FileSystem& files_;
    std::string directory_;
    Id128 store_;
    uint64_t bytes_max_;
    ManifestState state_;
    uint64_t next_file_id_ = 1;
    uint64_t file_id_ = 0;
    std::unique_ptr<File> file_;
    uint64_t end_ = 0;
    uint64_t allocated_ = 0;  // writes below cannot run out of room
    uint64_t edits_ = 0;
    std::optional<Error> failed_;  // since then it is not known what the disk holds
};

}  // namespace stepdb
