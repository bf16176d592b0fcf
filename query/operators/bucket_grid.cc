#include "query/operators/bucket_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

// Multiples of a width, a power of two, over all keys of an axis.
class Lattice {
  public:
    Lattice(Axis axis, bool is_log, double width) : axis_(axis), is_log_(is_log), width_(width) {}

    // Where the keys are that are laid out evenly.
    static double place(Axis axis, bool is_log, Key key) {
        if (axis == Axis::kTimed) {
            return static_cast<double>(key);
        }
        return is_log ? std::log2(step_of_key(key)) : step_of_key(key);
    }

    // The number of the last edge that is not above the key.
    double number_of(Key key) const {
        double number = std::floor(place(axis_, is_log_, key) / width_);
        // What was rounded on the way: times beyond 2^53 microseconds, logarithms.
        while (edge(number) > key) {
            number -= 1;
        }
        while (edge(number + 1) <= key && edge(number + 1) < edge(number + 2)) {
            number += 1;
        }
        return number;
    }

    Key edge(double number) const {
        const double place = number * width_;
        if (axis_ == Axis::kTimed) {
            return time_key_of(place);
        }
        constexpr double kMax = std::numeric_limits<double>::max();
        return key_of_step(std::clamp(is_log_ ? std::exp2(place) : place, -kMax, kMax));
    }

  private:
    Axis axis_;
    bool is_log_;
    double width_;
};

}  // namespace

Result<BucketGrid> BucketGrid::create_watched(Axis axis, Key lo, Key hi, uint32_t buckets,
                                              bool is_log, double& width) {
    CHECK(lo <= hi && buckets > 0, "lo {} hi {} buckets {}", lo, hi, buckets);
    const double from = Lattice::place(axis, is_log, lo);
    const double to = Lattice::place(axis, is_log, hi);
    if (!std::isfinite(to - from)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the range {}..{} is too wide for buckets, its width is no number; state "
                          "a smaller one",
                          format_value(from), format_value(to));
    }
    // Edges next to each other differ: a multiple has at most 52 bits.
    const double largest = std::max(std::abs(from), std::abs(to));
    double least = std::ldexp(1.0, std::max(largest > 0 ? std::ilogb(largest) - 50 : 0, -1000));
    if (axis == Axis::kTimed) {
        least = std::max(least, 1.0);
    }
    double chosen = width;
    if (chosen == 0) {
        chosen = from == to ? 1.0 : std::ldexp(1.0, std::ilogb((to - from) / buckets));
    }
    chosen = std::max(chosen, least);
    for (;;) {
        const Lattice lattice(axis, is_log, chosen);
        const double first = lattice.number_of(lo);
        const double last = lattice.number_of(hi);
        if (last - first < buckets) {
            std::vector<Key> edges;
            for (double number = first; number <= last + 1; number += 1) {
                edges.push_back(lattice.edge(number));
            }
            width = from == to && width == 0 ? 0 : chosen;
            return BucketGrid(is_log ? Axis::kStepped : axis, std::move(edges));
        }
        chosen *= 2;
    }
}

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
