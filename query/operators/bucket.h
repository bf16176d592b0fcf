// What is known of the points of one bucket. Points come in key order.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/model/key.h"

namespace stepdb {

// A sum of finite doubles, compensated (Neumaier), that survives sums beyond float64 on the way:
// from the first overflow on it counts in units of 2^128.
class CompensatedSum {
  public:
    void add(double value) {
        if (!scaled_) {
            const double before = sum_;
            const double correction = correction_;
            add_plain(value);
            if (std::isfinite(sum_)) {
                return;
            }
            sum_ = before * kDown;
            correction_ = correction * kDown;
            scaled_ = true;
        }
        add_plain(value * kDown);
    }

    // Infinite if the sum is beyond float64.
    double sum() const { return (sum_ + correction_) * (scaled_ ? kUp : 1.0); }
    // Within rounding; may leave float64 where the values lie at its very end.
    double mean(uint64_t count) const {
        const auto n = static_cast<double>(count);
        return (sum_ / n + correction_ / n) * (scaled_ ? kUp : 1.0);
    }

  private:
    static constexpr double kUp = 0x1p128;
    static constexpr double kDown = 0x1p-128;

    void add_plain(double value) {
        const double total = sum_ + value;
        if (std::fabs(sum_) >= std::fabs(value)) {
            correction_ += (sum_ - total) + value;
        } else {
            correction_ += (value - total) + sum_;
        }
        sum_ = total;
    }

    double sum_ = 0;
    double correction_ = 0;
    bool scaled_ = false;
};

struct Bucket {
    uint64_t count = 0;  // finite values; the statistics but first and last are over these
    uint64_t nan = 0;
    uint64_t positive_infinity = 0;
    uint64_t negative_infinity = 0;
    double min = 0;
    double max = 0;
    Key min_key = 0;
    Key max_key = 0;
    CompensatedSum sum;
    double first = 0;  // of any class
    double last = 0;
    Key first_key = 0;
    Key last_key = 0;

    uint64_t points() const { return count + nan + positive_infinity + negative_infinity; }
    // Of at least one finite value: never outside min and max.
    double mean() const;
    void add(Key key, double value);
};

}  // namespace stepdb
