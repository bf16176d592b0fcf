#include "net/query_sides.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace stepdb {

QuerySides::QuerySides(const std::vector<QuerySide>& sides) {
    CHECK(!sides.empty(), "queries have no thread");
    for (const QuerySide& side : sides) {
        sides_.push_back(std::make_unique<Side>(side));
    }
}

QuerySides::~QuerySides() {
    std::unique_lock lock(mutex_);
    left_.wait(lock, [this] {
        return std::ranges::all_of(sides_, [](const auto& side) { return side->taken == 0; });
    });
}

std::unique_ptr<QuerySides::Place> QuerySides::take_place(TurnQueue::Asker asker) {
    const std::lock_guard lock(mutex_);
    // The first of several: queries that come one by one find its thread's caches warm.
    Side& side = **std::ranges::min_element(
        sides_, {}, [](const std::unique_ptr<Side>& each) { return each->taken; });
    ++side.taken;
    return std::make_unique<Place>(*this, side, asker);
}

void QuerySides::leave(Side& side) {
    const std::lock_guard lock(mutex_);
    --side.taken;
    left_.notify_all();
}

size_t QuerySides::taken() const {
    const std::lock_guard lock(mutex_);
    size_t taken = 0;
    for (const auto& side : sides_) {
        taken += side->taken;
    }
    return taken;
}

void QuerySides::Place::post(std::function<void()> work) {
    using std::chrono::steady_clock;
    const bool is_young = pieces_.fetch_add(1, std::memory_order_relaxed) < kYoungPieces;
    side_.turns.post(
        asker_,
        [this, posted = steady_clock::now(), work = std::move(work)] {
            const auto waited = steady_clock::now() - posted;
            turn_wait_us_ += std::chrono::duration_cast<std::chrono::microseconds>(waited).count();
            work();
        },
        is_young);
}

}  // namespace stepdb
