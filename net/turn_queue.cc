#include "net/turn_queue.h"

#include <utility>

namespace stepdb {

void TurnQueue::post(Asker asker, std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    std::deque<std::function<void()>>& waiting = waiting_[asker];
    if (waiting.empty()) {
        line_.push_back(asker);
    }
    waiting.push_back(std::move(work));
    if (!std::exchange(is_posted_, true)) {
        executor_.post([this] { run_next(); });
    }
}

void TurnQueue::run_next() {
    std::function<void()> work;
    {
        const std::lock_guard lock(mutex_);
        const Asker asker = line_.front();
        line_.pop_front();
        const auto at = waiting_.find(asker);
        work = std::move(at->second.front());
        at->second.pop_front();
        if (at->second.empty()) {
            waiting_.erase(at);
        } else {
            line_.push_back(asker);
        }
        is_posted_ = !line_.empty();
        if (is_posted_) {
            executor_.post([this] { run_next(); });
        }
    }
    work();
}

}  // namespace stepdb
