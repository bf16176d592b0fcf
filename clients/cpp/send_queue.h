// What stands between the threads that log and the one that sends: frames in order, the memory they
// may take, and what became of them. Frames that wait and frames without outcome count alike, so a
// server that does not answer fills the queue as one that cannot be reached.
//
// Locks: a run's (run_state.h) is taken before the queue's, never the other way round.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "clients/cpp/options.h"
#include "clients/cpp/row_buffer.h"
#include "net/message.h"

namespace stepdb::client {

class RunState;
struct RowLane;

using SteadyTime = std::chrono::steady_clock::time_point;

// Of a frame that somebody waits for. Guarded by the queue.
struct Outcome {
    Outcome() = default;

    std::optional<Status> status;
    RunOpened opened;  // of an open_run that was accepted
};

enum class FrameKind : uint8_t { kOpenRun, kRows, kOther };

// A frame that changes the store. Made by a logging thread, from then on the sender's.
struct QueuedFrame {
    QueuedFrame(FrameKind its_kind, std::shared_ptr<RunState> its_run)
        : kind(its_kind), run(std::move(its_run)) {}

    FrameKind kind;
    std::shared_ptr<RunState> run;
    uint64_t number = 0;  // per writer and run; 0 of an open_run
    uint32_t attempt = 0;
    RowLane* lane = nullptr;       // of rows; lives as long as the run
    uint64_t first_row = 0;        // of rows
    RowBuffer rows;                // of rows
    std::vector<std::byte> bytes;  // of others: the whole frame
    std::shared_ptr<Outcome> outcome;

    // The sender's: the whole frame, made once however often it is sent.
    Bytes encoded;
    uint32_t times_sent = 0;
    bool is_done = false;
    // Refused as unavailable: it may be stored or not, and is sent again to find out.
    bool is_kept = false;
    std::optional<Error> refusal;
    std::optional<uint64_t> bad_row;
};

// Rows that have begun to gather in a lane.
struct DirtyLane {
    std::shared_ptr<RunState> run;
    RowLane* lane;
    SteadyTime since;
};

// Thread-safe.
class SendQueue {
  public:
    explicit SendQueue(const Options& options);
    ~SendQueue();
    SendQueue(const SendQueue&) = delete;
    SendQueue& operator=(const SendQueue&) = delete;

    const Options& options() const { return options_; }

    // --- For threads that log ---

    // Cheap: true once the writer has ended, well or not.
    bool has_failed() const { return has_failed_.load(std::memory_order_relaxed); }
    Error failure() const;

    // Memory for rows; an empty block if there is no room.
    Block take_block(size_t bytes);
    // Waits for so much room, or counts a dropped row, as the options say. True: try again; false:
    // dropped. Hold no lock.
    Result<bool> wait_for_room(size_t bytes);
    void add_dirty(DirtyLane lane);
    // Frames leave in the order of these calls.
    void push(std::unique_ptr<QueuedFrame> frame);

    // Waits until everything that was pushed has its outcome. An error if the writer gave up.
    Status wait_until_settled();
    Status wait_for(const Outcome& outcome, RunOpened* opened = nullptr);
    Report take_report();
    Counts counts() const;

    // --- For the sender ---

    // Readable when the sender should look again, after prepare_wait().
    int wake_fd() const { return wake_; }
    // Changes with everything the sender should look at.
    uint64_t version() const;
    // True if nothing has changed since; then the next change wakes the sender.
    bool prepare_wait(uint64_t version);
    void end_wait();

    std::unique_ptr<QueuedFrame> take();
    bool has_frames() const;
    // Somebody waits for some.
    bool is_short_of_room() const;
    // Lanes whose rows have gathered for `age`. They are listed no more.
    std::vector<DirtyLane> take_dirty(SteadyTime now, std::chrono::microseconds age);
    std::optional<SteadyTime> oldest_dirty() const;
    // Frames that have their outcome.
    void settle(std::vector<std::unique_ptr<QueuedFrame>> frames, uint64_t late_rows);
    void count_sent(uint64_t frames, uint64_t bytes);
    void count_connection();

    // --- The end ---

    // Lets the sender end when everything has its outcome, at the latest then.
    void stop(SteadyTime deadline);
    bool should_end(SteadyTime now) const;
    std::optional<SteadyTime> stop_at() const;
    // From now on everything is this error. The first counts.
    void fail(const Error& error);

  private:
    bool has_room(size_t bytes) const;
    void change();
    void note_refusal(QueuedFrame& frame);

    const Options options_;
    const int wake_;
    std::atomic<bool> has_failed_ = false;

    mutable std::mutex mutex_;
    std::condition_variable room_;     // came, or the writer failed
    std::condition_variable settled_;  // some frames did, or the writer failed
    std::optional<Error> failure_;
    std::optional<SteadyTime> stop_at_;
    std::deque<std::unique_ptr<QueuedFrame>> frames_;
    std::deque<DirtyLane> dirty_;
    uint64_t pushed_ = 0;
    uint64_t settled_count_ = 0;
    size_t used_bytes_ = 0;
    size_t spare_bytes_ = 0;
    std::unordered_map<size_t, std::vector<Block>> spare_;  // by size
    size_t room_waiters_ = 0;
    uint64_t version_ = 0;
    bool sender_waits_ = false;
    Report report_;
    Counts counts_;
};

}  // namespace stepdb::client
