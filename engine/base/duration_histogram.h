// How often something took how long: counts by fixed bounds, and the sum, as monitoring systems
// take them. Any thread; adding costs two or three uncontended atomic additions.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace stepdb {

// What a histogram held at one moment, give or take what was being added.
struct DurationCounts {
    // Upper bounds in microseconds, inclusive: from a sync of a fast disk to a query that a limit
    // ends. What is longer counts in the last place.
    static constexpr std::array<int64_t, 18> kBoundsUs = {
        100,       250,       500,       1'000,      2'500,      5'000,
        10'000,    25'000,    50'000,    100'000,    250'000,    500'000,
        1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};

    uint64_t total() const {
        uint64_t sum = 0;
        for (const uint64_t count : counts) {
            sum += count;
        }
        return sum;
    }

    std::array<uint64_t, kBoundsUs.size() + 1> counts{};
    uint64_t sum_us = 0;
};

class DurationHistogram {
  public:
    // Less than nothing, as of a clock that was set back, counts as nothing.
    void add(int64_t duration_us) {
        const int64_t us = std::max<int64_t>(duration_us, 0);
        const auto& bounds = DurationCounts::kBoundsUs;
        const auto at = std::lower_bound(bounds.begin(), bounds.end(), us) - bounds.begin();
        counts_[static_cast<size_t>(at)].fetch_add(1, std::memory_order_relaxed);
        sum_us_.fetch_add(static_cast<uint64_t>(us), std::memory_order_relaxed);
    }

    DurationCounts read() const {
        DurationCounts read;
        for (size_t at = 0; at < counts_.size(); ++at) {
            read.counts[at] = counts_[at].load(std::memory_order_relaxed);
        }
        read.sum_us = sum_us_.load(std::memory_order_relaxed);
        return read;
    }

  private:
    std::array<std::atomic<uint64_t>, DurationCounts::kBoundsUs.size() + 1> counts_{};
    std::atomic<uint64_t> sum_us_{0};
};

}  // namespace stepdb
