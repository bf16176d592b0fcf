#include "net/memory_line.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace stepdb {

void MemoryLine::wait(std::shared_ptr<MemoryBudget> part, size_t bytes, std::function<void()> go) {
    {
        const std::lock_guard lock(mutex_);
        line_.push_back({std::move(part), bytes, std::move(go)});
    }
    look();  // since what was refused may have been given back meanwhile
}

void MemoryLine::leave(const MemoryBudget& part) {
    Waiter gone;  // destroyed when the lock is not held
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(
        line_, [&](const Waiter& waiter) { return waiter.part.get() == &part; });
    if (at != line_.end()) {
        gone = std::move(*at);
        line_.erase(at);
    }
}

void MemoryLine::look() {
    std::vector<std::function<void()>> ready;
    {
        const std::lock_guard lock(mutex_);
        bool is_held_up = false;
        for (auto at = line_.begin(); at != line_.end();) {
            const bool is_small = at->bytes <= at->part->sharing().small_bytes_max;
            if ((is_small || !is_held_up) && at->part->try_reserve(at->bytes)) {
                ready.push_back(std::move(at->go));
                at = line_.erase(at);
            } else {
                is_held_up = is_held_up || !is_small;
                ++at;
            }
        }
    }
    for (const std::function<void()>& go : ready) {
        go();
    }
}

size_t MemoryLine::waiting() const {
    const std::lock_guard lock(mutex_);
    return line_.size();
}

}  // namespace stepdb
