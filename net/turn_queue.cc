#include "net/turn_queue.h"

#include <utility>

namespace stepdb {

void TurnQueue::post(Asker asker, std::function<void()> work, bool is_young) {
    const std::lock_guard lock(mutex_);
    const Place place(asker, is_young);
    std::deque<std::function<void()>>& waiting = waiting_[place];
    if (waiting.empty()) {
        line_of(place).push_back(place);
    }
    waiting.push_back(std::move(work));
    if (!std::exchange(is_posted_, true)) {
        executor_.post([this] { run_next(); });
    }
}

TurnQueue::Place TurnQueue::take_next_place() {
    const bool is_young = !young_.empty() && (line_.empty() || young_in_a_row_ < kYoungInARow);
    young_in_a_row_ = is_young ? young_in_a_row_ + 1 : 0;
    std::deque<Place>& line = is_young ? young_ : line_;
    const Place place = line.front();
    line.pop_front();
    return place;
}

void TurnQueue::run_next() {
    std::function<void()> work;
    {
        const std::lock_guard lock(mutex_);
        const Place place = take_next_place();
        const auto at = waiting_.find(place);
        work = std::move(at->second.front());
        at->second.pop_front();
        if (at->second.empty()) {
            waiting_.erase(at);
        } else {
            line_of(place).push_back(place);
        }
        is_posted_ = !line_.empty() || !young_.empty();
        if (is_posted_) {
            executor_.post([this] { run_next(); });
        }
    }
    work();
}

}  // namespace stepdb
