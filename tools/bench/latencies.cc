#include "tools/bench/latencies.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace stepdb {

size_t Latencies::bucket_of(uint64_t nanoseconds) {
    const auto bits = static_cast<unsigned>(std::bit_width(nanoseconds));
    if (bits <= kCutBits + 1) {
        return nanoseconds;  // below 128 every number has a bucket of its own
    }
    const unsigned shift = bits - kCutBits - 1;
    return (size_t{shift} << kCutBits) + (nanoseconds >> shift);
}

double Latencies::middle_of(size_t bucket) {
    if (bucket < (size_t{2} << kCutBits)) {
        return static_cast<double>(bucket);
    }
    const size_t shift = (bucket >> kCutBits) - 1;
    const size_t first = bucket - (shift << kCutBits);
    return std::ldexp(static_cast<double>(first) + 0.5, static_cast<int>(shift));
}

void Latencies::add(int64_t nanoseconds) {
    const auto taken = static_cast<uint64_t>(std::max<int64_t>(0, nanoseconds));
    ++buckets_[bucket_of(taken)];
    ++count_;
    max_ = std::max(max_, taken);
}

void Latencies::merge(const Latencies& other) {
    for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
        buckets_[bucket] += other.buckets_[bucket];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

double Latencies::percentile_us(double share) const {
    const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < kBuckets && count_ > 0; ++bucket) {
        seen += buckets_[bucket];
        if (seen >= wanted && seen > 0) {
            return std::min(middle_of(bucket), static_cast<double>(max_)) / 1e3;
        }
    }
    return 0;
}

}  // namespace stepdb
