// Where engine work runs. The engine makes no thread and never waits: it is handed an executor,
// and a test hands it one that runs tasks in an order drawn from a seed.
#pragma once

#include <cstdint>
#include <functional>

namespace stepdb {

class Executor {
  public:
    virtual ~Executor() = default;

    // Runs `work` later on the executor's thread, after what was posted before. May be called from
    // any thread.
    virtual void post(std::function<void()> work) = 0;

    // True on the executor's thread.
    virtual bool is_current() const = 0;
};

// Microseconds since the Unix epoch, UTC; may jump. For receive times and creation times only,
// never for order.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual int64_t now_us() const = 0;
};

// Random bits for ids (store, file). Seeded in tests.
class Random {
  public:
    virtual ~Random() = default;
    virtual uint64_t next() = 0;
};

}  // namespace stepdb
