// Turns on one executor: each asker's pieces of work run in the order in which they came, and
// before every piece at most one of each other asker that has some waiting, however many these
// have. What has just begun goes first, up to kYoungInARow pieces before one of the others, so that
// a chart does not wait for queries that take minutes. Between two pieces the executor looks after
// what else it has to do, such as reads that have ended.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "engine/io/executor.h"

namespace stepdb {

class TurnQueue {
  public:
    // Only compared, never looked into.
    using Asker = const void*;
    static constexpr int kYoungInARow = 3;

    // The executor outlives the queue.
    explicit TurnQueue(Executor& executor) : executor_(executor) {}
    TurnQueue(const TurnQueue&) = delete;
    TurnQueue& operator=(const TurnQueue&) = delete;

    Executor& executor() const { return executor_; }

    // Any thread. The queue is not used any more once the last piece runs, which may therefore
    // destroy it. Pieces that are young keep their order among themselves, and so do the others.
    void post(Asker asker, std::function<void()> work, bool is_young = false);

  private:
    // Whose pieces stand in line together.
    using Place = std::pair<Asker, bool>;

    Place take_next_place();
    void run_next();

    std::deque<Place>& line_of(const Place& place) { return place.second ? young_ : line_; }

    Executor& executor_;
    std::mutex mutex_;
    // Under mutex_. Whoever has work waiting stands once in the line for it.
    std::deque<Place> line_;
    std::deque<Place> young_;
    int young_in_a_row_ = 0;
    std::map<Place, std::deque<std::function<void()>>> waiting_;
    bool is_posted_ = false;  // run_next() is; never twice
};

}  // namespace stepdb
