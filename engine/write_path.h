// The way of a frame that changes the store: *accept* (check against the accepted state, give it a
// sequence, copy it into the log), *publish* (when its group is durable: rows into tails, catalog
// forward), *tell* (its session, in order).
//
//   I1  outcomes of a session come in the order of its submissions
//   I2  nothing is published or told before its log group, and every group before it, is durable
//   I3  the accepted state is the published state plus the pending frames, in order
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/store_state.h"
#include "engine/wal/log_writer.h"

namespace stepdb {

class WritePath {
  public:
    struct Session;

    // `published` is called after each batch of publishing. All references outlive the write path.
    WritePath(Executor& executor, Clock& clock, StoreState& state, std::function<void()> published);
    ~WritePath();

    // From then on frames are accepted; before, they are refused as read-only.
    void set_log(LogWriter* log, uint64_t published_sequence) {
        log_ = log;
        published_sequence_ = published_sequence;
    }

    std::shared_ptr<Session> open_session(const Id128& writer, OutcomeSink& sink,
                                          uint64_t connection,
                                          std::shared_ptr<const Rights> rights);
    // The session's frames stay; its outcomes go nowhere from now on.
    void close_session(Session& session);
    uint64_t submit(const std::shared_ptr<Session>& session, Bytes frame);

    // Deletes a run on the engine's own account, as retention does. False if the log cannot take it
    // now.
    bool delete_run(uint64_t run);

    // The log is durable up to `sequence`: publishes and tells what that covers.
    void on_durable(uint64_t sequence);
    // Refuses everything to come, until the store is opened again. What the log has taken gets its
    // true outcome.
    void latch(const Error& error);
    // The store is damaged and open for reading only.
    void latch_damaged(Error error) { latched_ = std::move(error); }
    // The log has failed: latches, and answers what is pending with kUnavailable, which says that
    // it may or may not have been stored.
    void fail_log(const Error& error);
    // While no log file can be made because the disk is full, frames are refused, not latched.
    void set_full(std::optional<Error> error) { full_ = std::move(error); }
    // On a full disk: whether deletes, and what they need, are taken all the same; and who hears of
    // each delete that is.
    void set_full_disk(std::function<bool()> takes_deletes, std::function<void()> deleted) {
        takes_deletes_ = std::move(takes_deletes);
        deleted_ = std::move(deleted);
    }
    // Why rows cannot be moved to disk; once they fill their share of memory, more are refused.
    void set_flush_error(std::optional<Error> error) { flush_error_ = std::move(error); }

    const std::optional<Error>& latched() const { return latched_; }
    bool full() const { return full_.has_value(); }
    bool idle() const { return pending_.empty(); }
    const IngestCounts& counts() const { return counts_; }
    // Readers see everything up to here.
    uint64_t published_sequence() const { return published_sequence_; }

  private:
    struct Handle;

    // What became of a frame that was not refused.
    struct Accepted {
        Accepted() = default;

        RecordHeader header;
        LoggedFrame logged;  // its copy in the log; empty: nothing to publish
        AcceptedEffect effect;
        uint64_t late_rows = 0;
        std::optional<RunOpened> opened;
    };

    struct Pending {
        Pending(std::shared_ptr<Session> its_session, uint64_t its_ordinal)
            : session(std::move(its_session)), ordinal(its_ordinal) {}

        std::shared_ptr<Session> session;  // null: the engine's own
        uint64_t ordinal;
        uint64_t after_sequence = 0;  // its turn comes when the log is durable up to here
        Accepted accepted;
        std::optional<Refusal> refusal;
    };

    Result<Accepted> accept(Session& session, Bytes frame, RowPosition& bad);
    Result<Accepted> accept_schema(Session& session, Bytes frame);
    void drop_partial_schema(Session& session);
    Result<Accepted> accept_open_run(Session& session, Bytes frame);
    Result<Accepted> accept_rows(Session& session, const FrameHeader& header, Bytes frame,
                                 RowPosition& bad);
    Result<Accepted> accept_life(Session& session, const FrameHeader& header, Bytes frame);
    Result<Accepted> accept_set_retention(Session& session, Bytes frame);
    // Whether the frame may change the run; the attempt it names, or 0.
    Result<uint32_t> check_life(const Run& run, FrameType type, Bytes body) const;
    struct Claim;
    // The handle's run, and the number taken from its writer; nothing if the frame has been taken
    // before.
    Result<std::optional<Claim>> claim(Session& session, uint32_t handle, uint64_t number) const;
    std::string run_path(uint64_t id) const;
    Error fenced(const Session& session, uint64_t run) const;
    // The handle, if it is open and not fenced.
    Result<Handle*> find_handle(Session& session, uint32_t number) const;
    Result<bool> claim_number(Session& session, Handle& handle, uint64_t number) const;
    Result<SeriesGroup*> group_for(Handle& handle, const Run& run, const StoredSchema& schema,
                                   uint32_t attempt);
    Status check_room() const;
    // The same for what makes room.
    Status check_room_for_deletes() const;
    // Whether runs, schemas and writers may grow by `bytes` and leave `kept` free.
    Status check_resident(size_t bytes, size_t kept = 0) const;
    RecordHeader record_header(const Session& session) const;
    // The logged frame changes the accepted catalog; what that gives is to be published.
    void apply(Accepted& accepted);
    uint64_t log_sequence() const;
    void publish(Pending& pending);
    void tell(Pending& pending);
    void flush_outcomes();
    void schedule_drain();

    Executor& executor_;
    Clock& clock_;
    StoreState& state_;
    std::function<void()> published_;
    LogWriter* log_ = nullptr;
    uint64_t published_sequence_ = 0;
    std::deque<Pending> pending_;
    std::vector<std::shared_ptr<Session>> told_;  // sessions with outcomes not yet handed over
    uint64_t next_session_ = 1;
    bool drain_scheduled_ = false;
    std::optional<Error> latched_;
    bool log_failed_ = false;
    std::optional<Error> full_;
    std::function<bool()> takes_deletes_;
    std::function<void()> deleted_;
    std::optional<Error> flush_error_;
    IngestCounts counts_;
    // What sessions hold: handles, and schemas of which pieces have come.
    size_t session_bytes_ = 0;
    // Cleared by the destructor: what was posted must not touch the write path afterwards.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stepdb
