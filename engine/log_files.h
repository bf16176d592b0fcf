// The files of the log: makes or recycles the next one before it is needed, knows which sequence
// each begins with, and lets go of those that a checkpoint has made unnecessary.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/manifest/manifest.h"
#include "engine/wal/log_writer.h"

namespace stepdb {

class LogFiles {
  public:
    LogFiles(FileSystem& files, std::string directory, Id128 store, Manifest& manifest,
             uint64_t file_bytes);

    // A file from before this opening, in log order.
    void add_old(uint64_t file_id, uint64_t first_sequence, uint64_t bytes);

    // A file with a synced header and name, ready to take groups, not yet in the manifest.
    Task<Result<std::shared_ptr<LogFile>>> prepare();
    // The same, and in the manifest, with the sequence up to which the log is durable.
    Task<Result<std::shared_ptr<LogFile>>> prepare_and_register(uint64_t durable_sequence);

    // The writer turned to a prepared file.
    void on_begun(uint64_t file_id, uint64_t first_sequence);

    // What a flush up to `checkpoint` may put into its manifest edit: files all of whose records
    // are at or below it.
    void plan_release(uint64_t checkpoint, ManifestEdit& edit) const;
    // The edit is durable: keeps the files for recycling or removes them.
    Task<Status> release(const ManifestEdit& edit);
    // One of those that are kept for recycling.
    bool has_spare() const { return !spare_.empty(); }
    Task<Status> remove_spare();

    uint64_t live_bytes() const;
    // What they take on the disk: a file is made in one piece.
    uint64_t disk_bytes() const { return live_.size() * file_bytes_; }
    // First sequence of the oldest live file; `next_sequence` if none has begun.
    uint64_t oldest_sequence(uint64_t next_sequence) const;
    uint64_t epoch = 0;  // of this opening

  private:
    struct Live {
        uint64_t file_id = 0;
        uint64_t first_sequence = 0;  // 0: prepared, not begun
        uint64_t bytes = 0;           // of an old file; a new one is asked
        std::shared_ptr<LogFile> file;
    };

    std::string path(uint64_t file_id) const;
    Task<Result<std::unique_ptr<File>>> create_or_recycle(uint64_t file_id, bool& is_recycled);

    FileSystem& files_;
    std::string directory_;
    Id128 store_;
    Manifest& manifest_;
    uint64_t file_bytes_;
    std::deque<Live> live_;
    std::vector<uint64_t> spare_;
};

}  // namespace stepdb
