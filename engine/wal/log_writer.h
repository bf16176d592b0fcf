// The writing end of the log: records are appended to the open group; groups are written and synced
// in order, several in flight, and reported durable in order.
//
// The writer knows files only as LogFile objects handed in by its owner, who prepares the next one
// (header written and synced, named in the manifest) before it is needed. Single-threaded, on the
// engine's executor.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/duration_histogram.h"
#include "engine/base/shared_buffer.h"
#include "engine/base/task.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/wal/log_format.h"

namespace stepdb {

struct LogFile {
    LogFile(uint64_t id, std::unique_ptr<File> opened) : file_id(id), file(std::move(opened)) {}

    uint64_t file_id;
    std::unique_ptr<File> file;
    uint64_t end = kLogFirstGroupOffset;  // where the next group goes
};

struct LogWriterOptions {
    LogWriterOptions() = default;

    Id128 store;
    uint64_t epoch = 0;
    uint64_t next_sequence = 1;
    uint64_t file_bytes = 0;
    size_t group_bytes_max = 0;
    size_t group_bytes_eager = 0;
    uint32_t groups_in_flight_max = 0;
    const Clock* clock = nullptr;  // which sync_times() goes by; outlives the writer
};

// A frame's copy in the log, which stays where it is as long as its group's buffer is held.
struct LoggedFrame {
    LoggedFrame() = default;

    Bytes bytes;
    std::shared_ptr<SharedBuffer> group;
};

class LogWriter {
  public:
    // What the owner does for the writer.
    class Owner {
      public:
        virtual ~Owner() = default;
        // Everything up to and including `sequence` is on stable storage.
        virtual void on_log_durable(uint64_t sequence) = 0;
        // A write or sync failed; nothing more will become durable. Comes once.
        virtual void on_log_failed(const Error& error) = 0;
        // The current file is full or soon will be: prepare another and call add_file. Comes once
        // per file wanted.
        virtual void on_log_file_wanted() = 0;
    };

    LogWriter(Executor& executor, LogWriterOptions options, Owner& owner);
    ~LogWriter();

    // Appends a record around `frame`; fills in bytes, epoch, sequence and frame checksum of
    // `header`.
    LoggedFrame append(RecordHeader& header, Bytes frame);

    // A file ready to take groups.
    void add_file(std::shared_ptr<LogFile> file);

    // The file that was wanted could not be made; it is asked for again when it is next needed, or
    // by want_file.
    void file_not_made() { file_wanted_ = false; }
    // Asks the owner for another file, unless that is under way.
    void want_file();

    // The sequence the next record gets.
    uint64_t next_sequence() const { return next_sequence_; }
    uint64_t durable_sequence() const { return durable_sequence_; }
    uint64_t groups_written() const { return groups_written_; }
    // How long they took, from their writing until they were durable.
    DurationCounts sync_times() const { return sync_times_.read(); }
    // Bytes appended and not yet durable.
    size_t pending_bytes() const { return pending_bytes_; }
    bool idle() const { return queue_.empty() && in_flight_.empty(); }
    // Whether anything is on its way to the disk.
    bool writing() const { return !in_flight_.empty(); }
    bool failed() const { return failed_; }
    // Whether what is appended next goes to a file that is there.
    bool has_room() const;
    // Whether something waits for a file, and nothing else.
    bool is_stuck() const;
    // Nothing more is written or reported durable.
    void stop() { failed_ = true; }

    // The file that groups go to now, or null before the first.
    const LogFile* current_file() const { return files_.empty() ? nullptr : files_.front().get(); }
    // The file the group holding `sequence`'s successor will go to has its first sequence: called
    // when the writer turns to a file.
    void set_on_file_begun(
        std::function<void(uint64_t file_id, uint64_t first_sequence)> callback) {
        on_file_begun_ = std::move(callback);
    }

  private:
    struct Group;

    Group& open_group(size_t record_bytes);
    void schedule_pump();
    void pump();
    bool turn_to_file_with_room(size_t group_bytes);
    void submit(std::shared_ptr<Group> group);
    void seal_group(Group& group, const LogFile& file);
    int64_t now_us() const { return options_.clock == nullptr ? 0 : options_.clock->now_us(); }
    void on_written(const std::shared_ptr<Group>& group, const Status& status);

    Executor& executor_;
    LogWriterOptions options_;
    Owner& owner_;
    std::function<void(uint64_t, uint64_t)> on_file_begun_;
    uint64_t next_sequence_;
    uint64_t durable_sequence_;
    std::deque<std::shared_ptr<Group>> queue_;      // not yet written; the last one is open
    std::deque<std::shared_ptr<Group>> in_flight_;  // in log order
    std::deque<std::shared_ptr<LogFile>> files_;    // front: current; then prepared ones
    size_t pending_bytes_ = 0;
    uint64_t groups_written_ = 0;
    DurationHistogram sync_times_;
    bool pump_scheduled_ = false;
    bool file_wanted_ = false;
    bool failed_ = false;
    // Cleared by the destructor: completions that come later must not touch the writer.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stepdb
