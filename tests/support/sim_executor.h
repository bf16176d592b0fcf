// Time, threads and chance under a test's control: an executor that runs only when it is pumped, a
// clock that moves only when it is read, random numbers from a seed. One thread uses all of them.
#pragma once

#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/task.h"
#include "engine/io/executor.h"

namespace stepdb {

// What decides where the machine is free to do one thing or another, such as what is left of a
// write when the power goes: chance, or a test that wants to see every outcome.
class Fate {
  public:
    virtual ~Fate() = default;
    // One of so many outcomes: 0 <= result < outcomes, of which there is at least one.
    virtual uint64_t below(uint64_t outcomes) = 0;
    // Which of the sectors of a torn write have reached the disk.
    virtual std::vector<bool> sectors(size_t count) = 0;
    virtual bool coin() { return below(2) != 0; }
};

// splitmix64: the same numbers for the same seed on every machine.
class SimRandom final : public Random, public Fate {
  public:
    explicit SimRandom(uint64_t seed) : state_(seed) {}

    uint64_t next() override;

    // Uniform enough for tests.
    uint64_t below(uint64_t outcomes) override;
    bool coin() override { return (next() >> 63U) != 0; }
    std::vector<bool> sectors(size_t count) override;

  private:
    uint64_t state_;
};

// The seed of a random test: $STEPDB_SEED if it is set, else `fallback`. Prints it, so that a
// failure can be repeated.
uint64_t test_seed(uint64_t fallback);

// How many rounds of a long random test to make: `rounds` in an ordinary build, a twentieth under a
// sanitizer, which is there for what the rounds do and not for their number.
uint64_t scaled(uint64_t rounds);
// Whether this is such a build. Tests of what other tests find are not repeated there.
bool is_sanitized();

class SimClock final : public Clock {
  public:
    explicit SimClock(int64_t start_us = 1'700'000'000'000'000) : now_us_(start_us) {}

    // Every reading is kStepUs later than the one before.
    int64_t now_us() const override;
    void set(int64_t now_us) { now_us_ = now_us; }
    void advance(int64_t us) { now_us_ += us; }

  private:
    static constexpr int64_t kStepUs = 3;
    mutable int64_t now_us_;
};

// Without a seed everything runs in the order in which it came. With one, completions of I/O come
// in an order drawn from it, before, between and after posted work; posted work itself stays in
// order, as on the real loop.
class SimExecutor final : public Executor {
  public:
    SimExecutor() = default;
    explicit SimExecutor(uint64_t seed) : random_(SimRandom(seed)) {}

    void post(std::function<void()> work) override;
    bool is_current() const override { return true; }

    // For simulated devices: `completion` runs later, in drawn order.
    void post_completion(std::function<void()> completion);

    // Runs one piece of work; false if there was none.
    bool run_one();
    void run_until_idle();

    // co_await executor.completion(): suspends until a completion of that name is drawn.
    class Completion {
      public:
        explicit Completion(SimExecutor& executor) : executor_(&executor) {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter) {
            executor_->post_completion([waiter] { waiter.resume(); });
        }
        void await_resume() const noexcept {}

      private:
        SimExecutor* executor_;
    };
    Completion completion() { return Completion(*this); }

  private:
    struct Work {
        uint64_t order;
        std::function<void()> run;
    };

    Work take_next();

    std::optional<SimRandom> random_;
    std::deque<Work> posted_;
    std::deque<Work> completions_;
    uint64_t order_next_ = 0;
};

// Starts `task` and pumps until it has ended. Other work may be left in the executor. A task that
// waits for something that never comes is a failed CHECK.
template <typename T>
T run_task(SimExecutor& executor, Task<T> task) {
    std::optional<T> result;
    start(std::move(task), [&result](T value) { result.emplace(std::move(value)); });
    while (!result.has_value()) {
        CHECK(executor.run_one(), "the executor is idle and the task has not ended");
    }
    return *std::move(result);
}

inline void run_task(SimExecutor& executor, Task<void> task) {
    bool done = false;
    start(std::move(task), [&done] { done = true; });
    while (!done) {
        CHECK(executor.run_one(), "the executor is idle and the task has not ended");
    }
}

}  // namespace stepdb
