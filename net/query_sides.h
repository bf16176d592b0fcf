// The threads that compute queries. Each has an executor and files of its own; a query has its
// place on one of them from its binding to its end, so that nothing of it needs a lock.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "net/turn_queue.h"

namespace stepdb {

struct QuerySide {
    QuerySide(Executor& its_executor, FileSystem& its_files)
        : executor(&its_executor), files(&its_files) {}

    Executor* executor;
    FileSystem* files;  // of the executor
};

class QuerySides {
  public:
    // At least one; what they name outlives this.
    explicit QuerySides(const std::vector<QuerySide>& sides);
    // Waits, on none of these threads, until no query has a place any more.
    ~QuerySides();
    QuerySides(const QuerySides&) = delete;
    QuerySides& operator=(const QuerySides&) = delete;

    class Place;
    // For a query of `asker`, on the side where the fewest have theirs. Any thread.
    std::unique_ptr<Place> take_place(TurnQueue::Asker asker);

    size_t count() const { return sides_.size(); }
    // How many queries have a place. Any thread.
    size_t taken() const;

  private:
    struct Side {
        explicit Side(const QuerySide& side) : turns(*side.executor), files(*side.files) {}

        TurnQueue turns;
        FileSystem& files;
        size_t taken = 0;  // under mutex_
    };

    void leave(Side& side);

    std::vector<std::unique_ptr<Side>> sides_;
    mutable std::mutex mutex_;
    std::condition_variable left_;
};

// What is posted runs on the side's executor, in turn with what other askers have there. A query is
// young for its first pieces, some milliseconds of computing.
class QuerySides::Place final : public Executor {
  public:
    Place(QuerySides& sides, Side& side, TurnQueue::Asker asker)
        : sides_(sides), side_(side), asker_(asker) {}
    ~Place() override { sides_.leave(side_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // Any thread. The place is there until `work` has begun.
    void post(std::function<void()> work) override;
    bool is_current() const override { return side_.turns.executor().is_current(); }

    FileSystem& files() const { return side_.files; }
    // How long what was posted has waited for its turns, in all.
    std::chrono::microseconds turn_wait() const {
        return std::chrono::microseconds(turn_wait_us_.load(std::memory_order_relaxed));
    }

  private:
    QuerySides& sides_;
    Side& side_;
    static constexpr uint32_t kYoungPieces = 16;

    TurnQueue::Asker asker_;
    std::atomic<uint32_t> pieces_{0};
    std::atomic<int64_t> turn_wait_us_{0};
};

}  // namespace stepdb
