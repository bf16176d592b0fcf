// Turns on one executor: each asker's pieces of work run in the order in which they came, and
// before every piece at most one of each other asker that has some waiting, however many these
// have. Between two pieces the executor looks after what else it has to do, such as reads that have
// ended.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "engine/io/executor.h"

namespace stepdb {

class TurnQueue {
  public:
    // Only compared, never looked into.
    using Asker = const void*;

    // The executor outlives the queue.
    explicit TurnQueue(Executor& executor) : executor_(executor) {}
    TurnQueue(const TurnQueue&) = delete;
    TurnQueue& operator=(const TurnQueue&) = delete;

    Executor& executor() const { return executor_; }

    // Any thread. The queue is not used any more once the last piece runs, which may therefore
    // destroy it.
    void post(Asker asker, std::function<void()> work);

  private:
    void run_next();

    Executor& executor_;
    std::mutex mutex_;
    // Under mutex_. Whoever has work waiting stands in the line once.
    std::deque<Asker> line_;
    std::unordered_map<Asker, std::deque<std::function<void()>>> waiting_;
    bool is_posted_ = false;  // run_next() is; never twice
};

}  // namespace stepdb
