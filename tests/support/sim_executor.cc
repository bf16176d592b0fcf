#include "tests/support/sim_executor.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace stepdb {

uint64_t SimRandom::next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
}

uint64_t SimRandom::below(uint64_t outcomes) {
    CHECK(outcomes > 0);
    return next() % outcomes;
}

std::vector<bool> SimRandom::sectors(size_t count) {
    std::vector<bool> kept(count);
    for (size_t i = 0; i < count; ++i) {
        kept[i] = coin();
    }
    return kept;
}

uint64_t test_seed(uint64_t fallback) {
    // Nothing in the tests writes the environment.
    const char* text = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : fallback;
    fmt::print("seed {} (repeat with STEPDB_SEED={})\n", seed, seed);
    std::fflush(stdout);
    return seed;
}

uint64_t scaled(uint64_t rounds) {
    return is_sanitized() ? rounds / 20 : rounds;
}

bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

int64_t SimClock::now_us() const {
    now_us_ += kStepUs;
    return now_us_;
}

void SimExecutor::post(std::function<void()> work) {
    posted_.push_back({order_next_++, std::move(work)});
}

void SimExecutor::post_completion(std::function<void()> completion) {
    completions_.push_back({order_next_++, std::move(completion)});
}

SimExecutor::Work SimExecutor::take_next() {
    const bool has_posted = !posted_.empty();
    size_t pick = 0;
    bool from_posted = has_posted;
    if (random_.has_value()) {
        pick = static_cast<size_t>(random_->below(completions_.size() + (has_posted ? 1 : 0)));
        from_posted = pick == completions_.size();
    } else if (has_posted && !completions_.empty()) {
        from_posted = posted_.front().order < completions_.front().order;
    }
    std::deque<Work>& queue = from_posted ? posted_ : completions_;
    const auto at = queue.begin() + (from_posted ? 0 : static_cast<ptrdiff_t>(pick));
    Work work = std::move(*at);
    queue.erase(at);
    return work;
}

bool SimExecutor::run_one() {
    if (posted_.empty() && completions_.empty()) {
        return false;
    }
    const Work work = take_next();
    work.run();
    return true;
}

void SimExecutor::run_until_idle() {
    while (run_one()) {
    }
}

}  // namespace stepdb
