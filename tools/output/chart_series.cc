#include "tools/output/chart_series.h"

#include <algorithm>

namespace stepdb {

double part_of(double value, double lo, double hi) {
    // Halves, because hi - lo may overflow.
    return hi > lo ? (value / 2 - lo / 2) / (hi / 2 - lo / 2) : 0.5;
}

void ChartBucket::add_values(const ChartBucket& other) {
    non_finite = non_finite || other.non_finite;
    if (other.count == 0) {
        return;
    }
    min = count == 0 ? other.min : std::min(min, other.min);
    max = count == 0 ? other.max : std::max(max, other.max);
    count += other.count;
    const double share = static_cast<double>(other.count) / static_cast<double>(count);
    mean = mean * (1 - share) + other.mean * share;
}

void ChartSeries::add(const ChartBucket& bucket) {
    if (bucket.count > 0) {
        min = std::min({min, bucket.min, bucket.mean});
        max = std::max({max, bucket.max, bucket.mean});
    }
    buckets.push_back(bucket);
}

void ChartSeries::merge_neighbours(size_t cells) {
    std::ranges::stable_sort(buckets, {}, &ChartBucket::middle);
    double lo = std::numeric_limits<double>::infinity();
    double hi = -lo;
    for (const ChartBucket& bucket : buckets) {
        lo = std::min(lo, bucket.lo);
        hi = std::max(hi, bucket.hi);
    }
    const auto cell_of = [&](const ChartBucket& bucket) {
        const auto cell =
            static_cast<size_t>(part_of(bucket.middle(), lo, hi) * static_cast<double>(cells));
        return std::min(cell, cells - 1);
    };
    size_t kept = 0;
    size_t kept_cell = 0;
    for (const ChartBucket& bucket : buckets) {
        const size_t cell = cell_of(bucket);
        if (kept == 0 || cell != kept_cell) {
            buckets[kept++] = bucket;
            kept_cell = cell;
            continue;
        }
        ChartBucket& into = buckets[kept - 1];
        into.lo = std::min(into.lo, bucket.lo);
        into.hi = std::max(into.hi, bucket.hi);
        into.add_values(bucket);
    }
    buckets.resize(kept);
}

}  // namespace stepdb
