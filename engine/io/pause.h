// For coroutines that compute for long on an executor which others use too.
#pragma once

#include <coroutine>

#include "engine/io/executor.h"

namespace stepdb {

// Lets everything that is posted to the executor go first.
class Pause {
  public:
    explicit Pause(Executor& executor) : executor_(&executor) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        executor_->post([waiter] { waiter.resume(); });
    }
    void await_resume() const noexcept {}

  private:
    Executor* executor_;
};

}  // namespace stepdb
