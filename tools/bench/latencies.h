// How long things took, as a histogram of fixed size: percentiles within 1.6 %, the greatest exact.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace stepdb {

class Latencies {
  public:
    void add(int64_t nanoseconds);
    void merge(const Latencies& other);

    uint64_t count() const { return count_; }
    // In microseconds; 0 if there are none. `share` of them, 0 to 1, took at most so long.
    double percentile_us(double share) const;
    double max_us() const { return static_cast<double>(max_) / 1e3; }

  private:
    // Every power of two is cut into 64 buckets of one width.
    static constexpr unsigned kCutBits = 6;
    static constexpr size_t kBuckets = (64 - kCutBits + 1) << kCutBits;
    static size_t bucket_of(uint64_t nanoseconds);
    // The middle of a bucket.
    static double middle_of(size_t bucket);

    std::array<uint64_t, kBuckets> buckets_{};
    uint64_t count_ = 0;
    uint64_t max_ = 0;
};

}  // namespace stepdb
