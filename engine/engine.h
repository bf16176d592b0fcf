// The store: open it, give it frames that change it, take snapshots to read from.
//
// Everything here is called on the executor the engine was opened with, and every callback comes on
// it; no call blocks. Readers use Snapshot objects, which are immutable and may be read on any
// thread.
//
// Order and durability: frames get their sequence in the order of submission, over all sessions.
// A session's outcomes come in the order of its submissions; on_durable for a frame comes when its
// log group is on stable storage and not before, and from that moment snapshots contain it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/backup.h"
#include "engine/base/checksum.h"
#include "engine/base/duration_histogram.h"
#include "engine/base/log_event.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/model/limits.h"
#include "engine/model/rights.h"
#include "engine/model/rows.h"
#include "engine/snapshot.h"
#include "engine/store_memory.h"

namespace stepdb {

struct EngineOptions {
    EngineOptions() = default;

    std::string directory;
    uint64_t log_file_bytes = kLogFileBytes;
    // What a crash leaves to replay at most, if frames are kept back as has_room() says; a flush
    // starts at half of it. At least four log files.
    uint64_t log_live_bytes_max = kLogLiveBytesMax;
    uint64_t log_live_rows_max = kLogLiveRowsMax;
    size_t log_group_bytes_max = kLogGroupBytesMax;
    uint32_t log_groups_in_flight_max = kLogGroupsInFlightMax;
    uint32_t tail_rows_max = kTailRowsMax;
    size_t tail_bytes_max = kTailBytesMax;
    // Live rows in memory at which a flush starts, and rows of all kinds at which has_room() ends.
    size_t memory_blocks_bytes_max = kMemoryBlocksBytesMax;
    size_t rows_bytes_max = std::numeric_limits<size_t>::max();
    // StoreMemory::resident beyond which no runs, schemas and writers are taken.
    size_t resident_bytes_max = std::numeric_limits<size_t>::max();
    uint64_t manifest_bytes_max = 4U << 20U;
    // Memory of a merge of segments, about; and whether merges start by themselves.
    size_t merge_bytes_max = kMergeBytesMax;
    bool merge_automatically = true;
    // Kept free on the disk for deletes, once the store takes as much itself; 0 for nothing. Two
    // log files' worth: one for the log, and one for a merge.
    uint64_t reserve_bytes = kReserveBytes;
    bool create_if_missing = true;
    // Opens without taking part in writing: no log file is made, every frame is refused.
    bool read_only = false;
    // Hears what the engine does by itself and people want to find in the server's log, such as the
    // runs that retention deletes, or that it takes no frames any more. On the engine's executor,
    // if it is set.
    TellEvent tell;
};

// What the engine stands on. All outlive it, and the executors outlive its snapshots too.
struct EngineEnvironment {
    EngineEnvironment(Executor& on, FileSystem& files, Clock& time, Random& dice)
        : executor(on),
          file_system(files),
          clock(time),
          random(dice),
          seal_executor(&on),
          merge_executor(&on),
          merge_files(&files) {}

    Executor& executor;
    FileSystem& file_system;
    Clock& clock;
    Random& random;
    // Where rows are turned into columns and encoded, and where segments are merged, so that it
    // takes no time of `executor`; may be set to others, of the same files.
    Executor* seal_executor;
    Executor* merge_executor;
    FileSystem* merge_files;
};

// Answer to open_run.
struct RunOpened {
    uint32_t handle = 0;
    uint64_t run = 0;
    uint32_t attempt = 0;      // the newest
    uint64_t last_number = 0;  // last number known from this writer on this run, 0 if none
    bool created = false;
};

// Why a frame was refused, and where in it.
struct Refusal {
    Refusal(Error why, RowPosition where) : error(std::move(why)), position(where) {}

    Error error;
    RowPosition position;
};

// Where a session hears of its frames. `ordinal` counts the session's submitted frames from 1.
class OutcomeSink {
  public:
    virtual ~OutcomeSink() = default;
    // Every frame up to and including `ordinal` that was not refused is durable. `late_rows` counts
    // late rows among those since the last call.
    virtual void on_durable(uint64_t ordinal, uint64_t late_rows) = 0;
    // Comes in order: every frame below `ordinal` has had its outcome before.
    virtual void on_refused(uint64_t ordinal, Refusal refusal) = 0;
    // Like on_durable for an open_run frame, which gets this call besides, first.
    virtual void on_opened(uint64_t ordinal, RunOpened opened) = 0;
};

// One client connection's way of writing; made by Engine::open_session, belongs to one writer.
// Holds the connection's run handles. Destroying it drops outcomes that were still to come, not the
// frames.
class WriteSession {
  public:
    virtual ~WriteSession() = default;

    // Takes one whole frame, verified by verify_frame, of type schema, open_run, rows or
    // finish_run; returns its ordinal. The frame is copied before the call returns. The outcome
    // comes later, never within this call.
    virtual uint64_t submit(Bytes frame) = 0;
};

// One above the highest number of an ErrorCode.
inline constexpr size_t kErrorCodesEnd = 12;

// Frames that were to change the store, since it was opened.
struct IngestCounts {
    IngestCounts() = default;

    uint64_t frames = 0;        // that came, whatever became of them
    uint64_t bytes = 0;         // of these
    uint64_t acknowledged = 0;  // frames that are durable
    uint64_t rows = 0;          // taken
    uint64_t points = 0;        // values in these
    uint64_t late_rows = 0;
    std::array<uint64_t, kErrorCodesEnd> refused{};  // frames, by ErrorCode
};

struct EngineStats {
    EngineStats() = default;

    uint64_t sequence_durable = 0;
    uint64_t log_live_bytes = 0;
    uint64_t log_groups = 0;
    uint64_t tails = 0;
    uint64_t memory_block_bytes = 0;  // tails and sealed blocks
    uint64_t pinned_bytes = 0;        // what only snapshots still hold of such
    uint64_t resident_bytes = 0;      // catalog, writers, indexes of segments
    uint64_t segments = 0;
    uint64_t segment_bytes = 0;
    uint64_t runs = 0;
    uint64_t schemas = 0;
    uint64_t flushes = 0;
    bool flushing = false;             // now
    uint64_t flush_bytes_written = 0;  // to segments, since the store was opened
    std::optional<Error> flush_error;  // why the last flush failed, if it did
    uint64_t merges = 0;               // of segments, since the store was opened
    bool merging = false;              // by itself, now
    uint64_t merge_bytes_read = 0;
    uint64_t merge_bytes_written = 0;
    // Nothing has come for a while, and what is to be written or merged because of that has been.
    bool settled = false;
    // Why the last merge failed, or why a segment is left out of all of them, if so.
    std::optional<Error> merge_error;
    uint64_t segment_blocks = 0;
    uint64_t damaged_blocks = 0;  // of these, carried along by merges
    // Segment blocks that a series of a run is in, of those that have any: the mean and the most.
    double series_blocks_mean = 0;
    uint64_t series_blocks_max = 0;
    // Since the store was opened.
    IngestCounts ingest;
    DurationCounts log_syncs;  // from the writing of a group of the log until it is durable
    DurationCounts flush_times;
    DurationCounts merge_times;
    bool disk_full = false;  // frames are refused until the disk has room
};

// Something that had been acknowledged and cannot be read any more.
struct StoreDamage {
    StoreDamage(std::string its_what, std::string its_brief)
        : what(std::move(its_what)), brief(std::move(its_brief)) {}

    // For who runs the store: file, place, what is wrong there, what is read all the same, what to
    // do.
    std::string what;
    // For who asks it or writes to it: file, what answers lack, what to do. "" where another damage
    // says it already.
    std::string brief;
};

// What open() found and did, for the start-up message.
struct RecoveryReport {
    uint64_t records_replayed = 0;
    uint64_t rows_replayed = 0;
    uint64_t log_bytes_read = 0;
    bool created = false;  // a new store
    // If there is any, the store is open for reading only and every answer may lack something. The
    // first one has a brief form.
    std::vector<StoreDamage> damage;
    // Segments of which nothing can be read. Their runs cannot be read or written, all others can.
    std::vector<std::string> damaged_segments;
    // What is worth knowing and no loss.
    std::vector<std::string> notes;
};

class Engine {
  public:
    virtual ~Engine() = default;

    // Opens or creates the store in options.directory: locks it, recovers everything acknowledged,
    // begins a new log epoch. kFailedPrecondition if another process has it. If acknowledged data
    // is damaged, the rest is opened, for reading only, and recovery() says what is missing;
    // kCorruption only where nothing can be read.
    static Task<Result<std::unique_ptr<Engine>>> open(EngineEnvironment environment,
                                                      EngineOptions options);

    // `sink` outlives the session, the engine outlives it too. `writer` is the client process's id.
    // Of two sessions of one writer that open the same run, the one with the higher `connection`
    // may write to it, whichever opens it last: what a connection that was lost had sent may come
    // after what its successor sends. Connections count from 1 in the order in which they were
    // made. Frames that `rights` does not cover are refused with kPermissionDenied; null covers
    // everything.
    virtual std::unique_ptr<WriteSession> open_session(const Id128& writer, OutcomeSink& sink,
                                                       uint64_t connection,
                                                       std::shared_ptr<const Rights> rights) = 0;
    // The newest of all so far, which may do everything.
    std::unique_ptr<WriteSession> open_session(const Id128& writer, OutcomeSink& sink) {
        return open_session(writer, sink, 0, nullptr);
    }

    // The runs and schemas as published. Cheap: shared until the catalog changes.
    virtual std::shared_ptr<const Catalog> catalog() const = 0;

    // Everything published of these runs at this moment; ids that do not exist are left out.
    virtual std::shared_ptr<const Snapshot> snapshot(std::span<const uint64_t> runs) const = 0;

    // Moves everything published so far from tails and memory to a segment and releases the log.
    // One runs at a time; others wait for it.
    virtual Task<Status> flush() = 0;

    // Merges segments until nothing is left that would put series into fewer pieces or give room
    // back. What merges by itself waits for it, and the other way round; the log and flushes do
    // not. kResourceExhausted if the disk has no room for the new segment; nothing has changed
    // then.
    virtual Task<Status> compact() = 0;

    // Makes the directory a backup of the store as it is now, with everything acknowledged so far;
    // see backup.h. Log, flushes and merges go on meanwhile.
    virtual Task<Result<BackupReport>> backup(BackupOptions options) = 0;

    // Waits until everything submitted has its outcome, flushes if there is much to replay, and
    // stops. Nothing may be submitted afterwards. The engine may be destroyed when it is done.
    virtual Task<Status> close() = 0;

    // False while rows in memory or the live log have reached their bound and a flush is making
    // room: whoever submits frames keeps them back until then, or these grow beyond it.
    virtual bool has_room() const = 0;
    // Calls `call` once, later, when there is room.
    virtual void when_room(std::function<void()> call) = 0;

    // Called now and then, several times a second: tries again what waits for room on the disk.
    virtual void tick() = 0;

    // Readable from any thread.
    virtual const StoreMemory& memory() const = 0;

    virtual EngineStats stats() const = 0;
    // The same without the blocks of series, for which all blocks have to be gone through.
    virtual EngineStats quick_stats() const = 0;
    virtual const RecoveryReport& recovery() const = 0;
    virtual const Id128& store_id() const = 0;
    // Set once the log has failed: why the store is read-only until restart.
    virtual std::optional<Error> read_only_reason() const = 0;

    // The highest sequence that is published.
    virtual uint64_t sequence() const = 0;
    // Calls `call` once, later, when more has been published than is now.
    virtual void when_published(std::function<void()> call) = 0;
};

}  // namespace stepdb
