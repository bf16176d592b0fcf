// A query's long steps, such as choosing among a hundred thousand runs, in pieces between which
// other queries on the same executor have their turn.
#pragma once

#include <coroutine>
#include <cstdint>

#include "engine/io/executor.h"

namespace stepdb {

class Turns {
  public:
    // Without an executor nobody waits. It outlives this.
    explicit Turns(Executor* executor) : executor_(executor) {}

    // co_await turns.after(values): lets others have their turn once about kValues values were
    // looked at since the last one. Whoever waits is not destroyed meanwhile.
    class Turn {
      public:
        Turn(Turns& turns, bool is_due) : turns_(turns), is_due_(is_due) {}
        bool await_ready() const noexcept { return !is_due_; }
        void await_suspend(std::coroutine_handle<> waiter) {
            turns_.executor_->post([waiter] { waiter.resume(); });
        }
        void await_resume() const noexcept {}

      private:
        Turns& turns_;
        bool is_due_;
    };
    Turn after(uint64_t values) {
        values_ += values;
        const bool is_due = executor_ != nullptr && values_ >= kValues;
        values_ = is_due ? 0 : values_;
        return Turn(*this, is_due);
    }

  private:
    static constexpr uint64_t kValues = 32U << 10U;  // about half a millisecond

    Executor* executor_;
    uint64_t values_ = 0;
};

}  // namespace stepdb
