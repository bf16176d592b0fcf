// A run that is logged to: rows gather in a lane for each schema and become frames, which get their
// numbers here. Shared by the handles of the caller and the sender.
//
// Rows of one run reach the server in an order that tells the same as the order of the calls: two
// lanes that share a metric never hold rows of one key at a time, and whatever else changes the run
// comes behind all rows logged before it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "clients/cpp/options.h"
#include "clients/cpp/row_buffer.h"
#include "clients/cpp/send_queue.h"
#include "engine/model/frame.h"
#include "engine/model/schema.h"

namespace stepdb::client {

struct LaneGroup;

// Rows of one schema. Guarded by the run's lock, but what is constant or the sender's.
struct RowLane {
    RowLane(std::shared_ptr<const Schema> its_schema, ValueType type);

    const std::shared_ptr<const Schema> schema;
    const RowFormat format;

    RowBuffer buffer;
    size_t block_bytes;  // of the next buffer: follows how full the last ones became
    uint64_t rows = 0;   // logged
    SteadyTime first_at;
    bool is_dirty = false;       // listed in the queue
    LaneGroup* group = nullptr;  // those it shares metrics with; null: none

    // The sender's.
    uint64_t announced = 0;  // on which connection
    std::optional<Error> schema_error;
};

// Lanes that share metrics, directly or through others.
struct LaneGroup {
    LaneGroup() = default;

    std::vector<RowLane*> lanes;
    std::unordered_map<Key, RowLane*> lane_of_key;  // of rows that gather
};

// How a run is opened, as the caller asked for it.
struct RunOpening {
    RunOpening() = default;

    std::string project;
    std::string run;
    uint8_t mode = 0;    // of OpenRunFrame
    std::string parent;  // empty: no fork
    double fork_step = 0;
};

// Thread-safe.
class RunState : public std::enable_shared_from_this<RunState> {
  public:
    RunState(std::shared_ptr<SendQueue> queue, RunOpening opening, uint32_t handle);

    const std::string& path() const { return path_; }
    const RunOpening& opening() const { return opening_; }
    uint32_t handle() const { return handle_; }

    // Sends the opening and waits for its outcome.
    Result<RunOpened> open();

    // The lane of that schema, made if there is none. kFailedPrecondition if there is one of
    // another type. Lives as long as the run.
    Result<RowLane*> lane(std::shared_ptr<const Schema> schema, ValueType type);
    Status log(RowLane& lane, double step, int64_t time_us, const Values& values);
    uint64_t rows(const RowLane& lane) const;

    // Rows that gather become frames.
    void seal_all();
    // Of one lane, if they have gathered since `before` or longer; if not, it is listed anew.
    void seal_due(RowLane& lane, SteadyTime before);

    uint32_t attempt() const;
    // What is logged from now on goes to this attempt.
    void set_attempt(uint32_t attempt);
    // Pushes a frame behind all rows; `encode` is given its number.
    std::shared_ptr<Outcome> push(const std::function<std::vector<std::byte>(uint64_t)>& encode,
                                  bool is_waited_for);

    // --- For the sender ---

    void set_opened(const RunOpened& opened);
    // The number that the next frame will have.
    uint64_t next_number() const;
    // From now on everything is this error; rows that gather are dropped, and reported.
    void fail(const Error& error);
    std::optional<Error> failure() const;
    uint64_t opened_on = 0;   // which connection; the sender's, like the next
    uint64_t blocked_on = 0;  // the connection on which it could not be opened for now

  private:
    // All of these under the lock.
    void seal(RowLane& lane);
    void seal_lanes();
    // With the lanes that share metrics with it.
    void seal_group(RowLane& lane);
    void claim_key(RowLane& lane, Key key);
    void join_groups(RowLane& lane);
    // Of the lane's next one.
    size_t buffer_bytes(const RowLane& lane) const;
    // False: no room.
    bool begin_buffer(RowLane& lane);
    Status check(const RowLane& lane, double step, const Values& values) const;

    const std::shared_ptr<SendQueue> queue_;
    const RunOpening opening_;
    const std::string path_;
    const uint32_t handle_;

    mutable std::mutex mutex_;
    std::optional<Error> failure_;
    uint32_t attempt_ = 0;
    uint64_t next_number_ = 1;
    std::vector<std::unique_ptr<RowLane>> lanes_;
    std::vector<std::unique_ptr<LaneGroup>> groups_;
    std::unordered_map<uint64_t, RowLane*> lane_of_metric_;  // by hash; once there are two lanes
};

}  // namespace stepdb::client
