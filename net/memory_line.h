// Queries that wait for memory that others have. Who waits has none itself, so those that have some
// go on, end and give it back, and there is no deadlock.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "engine/base/memory_budget.h"

namespace stepdb {

// Room goes to those who wait in the order in which they came, so that none who wants much waits
// while others who came later go on; only those who stay small (MemoryBudget::Sharing) are let
// past. Queries that have not come to wait do not ask the line. Any thread.
class MemoryLine {
  public:
    MemoryLine() = default;
    MemoryLine(const MemoryLine&) = delete;
    MemoryLine& operator=(const MemoryLine&) = delete;

    // `go` is called once `part` has `bytes` of its whole, maybe within this call, else within the
    // look() that finds them. Each part waits once at a time.
    void wait(std::shared_ptr<MemoryBudget> part, size_t bytes, std::function<void()> go);
    // `part` does not wait any more; it may just have been let go.
    void leave(const MemoryBudget& part);
    // Something was given back to the whole.
    void look();

    size_t waiting() const;

  private:
    struct Waiter {
        std::shared_ptr<MemoryBudget> part;
        size_t bytes = 0;
        std::function<void()> go;
    };

    mutable std::mutex mutex_;
    std::deque<Waiter> line_;  // under mutex_
};

}  // namespace stepdb
