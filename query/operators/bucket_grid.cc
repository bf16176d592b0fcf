#include "query/operators/bucket_grid.h"

#include <algorithm>
#include <cmath>

namespace stepdb {

namespace {

// The least time that is not below `edge`.
Key time_key_of(double edge) {
    const double whole = std::ceil(edge);
    constexpr double kLimit = 0x1p63;
    if (whole >= kLimit) {
        return kKeyMax;
    }
    return whole < -kLimit ? kKeyMin : static_cast<Key>(whole);
}

}  // namespace

Result<BucketGrid> BucketGrid::create(Axis axis, Key lo, Key hi, uint32_t buckets) {
    CHECK(lo <= hi && buckets > 0, "lo {} hi {} buckets {}", lo, hi, buckets);
    const bool stepped = axis == Axis::kStepped;
    const double from = stepped ? step_of_key(lo) : static_cast<double>(lo);
    const double to = stepped ? step_of_key(hi) : static_cast<double>(hi);
    if (!std::isfinite(to - from)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the range {}..{} is too wide for buckets, its width is no number; state "
                          "a smaller one",
                          format_value(from), format_value(to));
    }
    std::vector<Key> edges;
    edges.reserve(size_t{buckets} + 1);
    for (uint32_t i = 0; i < buckets; ++i) {
        const double edge = from + (to - from) * (static_cast<double>(i) / buckets);
        const Key key = stepped ? key_of_step(edge) : time_key_of(edge);
        // Times beyond 2^53 microseconds are not all float64; the grid stays within its ends.
        edges.push_back(std::clamp(key, lo, hi));
    }
    edges.push_back(hi);
    return BucketGrid(axis, std::move(edges));
}

Result<BucketGrid> BucketGrid::create_log(Key lo, Key hi, uint32_t buckets) {
    const double from = step_of_key(lo);
    const double to = step_of_key(hi);
    CHECK(lo <= hi && from > 0 && buckets > 0, "lo {} hi {} buckets {}", from, to, buckets);
    std::vector<Key> edges = {lo};
    edges.reserve(size_t{buckets} + 1);
    const double ratio = to / from;
    for (uint32_t i = 1; i < buckets; ++i) {
        const double share = static_cast<double>(i) / buckets;
        // A ratio beyond float64 is taken in two parts.
        const double edge = std::isfinite(ratio) ? from * std::pow(ratio, share)
                                                 : std::pow(from, 1 - share) * std::pow(to, share);
        const Key key = key_of_step(edge);
        // What is rounded does not fall, nor leave the range.
        edges.push_back(std::clamp(key, edges.back(), hi));
    }
    edges.push_back(hi);
    return BucketGrid(Axis::kStepped, std::move(edges));
}

}  // namespace stepdb
