// What can wait, on an executor whose other work cannot: connections that come, that have not said
// hello yet, or that are ending. It runs in slices between which everything else that is ready
// runs, so that ten thousand newcomers keep an answer waiting for one slice and not for all of
// them.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "engine/io/executor.h"

namespace stepdb {

// On the executor's thread.
class PatientLine {
  public:
    using Time = std::chrono::steady_clock::time_point;
    // Some ten connections accepted, or a hundred reads of a few bytes.
    static constexpr std::chrono::microseconds kSlice{100};

    // The executor outlives the line. `now` is for tests.
    explicit PatientLine(Executor& executor,
                         std::function<Time()> now = &std::chrono::steady_clock::now)
        : executor_(executor), now_(std::move(now)) {}
    ~PatientLine() { *alive_ = false; }
    PatientLine(const PatientLine&) = delete;
    PatientLine& operator=(const PatientLine&) = delete;

    // Called later, in the order of asking.
    void ask(std::function<void()> work) {
        waiting_.push_back(std::move(work));
        post();
    }

  private:
    void post() {
        if (std::exchange(is_posted_, true)) {
            return;
        }
        executor_.post([this, alive = alive_] {
            if (*alive) {
                is_posted_ = false;
                run_slice();
            }
        });
    }
    // One piece at least, however long it takes.
    void run_slice() {
        const Time end = now_() + kSlice;
        while (!waiting_.empty()) {
            const std::function<void()> work = std::move(waiting_.front());
            waiting_.pop_front();
            work();
            if (!waiting_.empty() && now_() >= end) {
                return post();
            }
        }
    }

    Executor& executor_;
    std::function<Time()> now_;
    std::deque<std::function<void()>> waiting_;
    bool is_posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stepdb
