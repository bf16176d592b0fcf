// Sums of finite doubles that neither lose small addends beside large ones nor break where a sum
// leaves float64 on its way.
//
// Compensation: A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher
// Summen", ZAMM 54 (1974).
#pragma once

#include <cmath>
#include <cstdint>

namespace stepdb {

// From the first overflow on it counts in units of 2^128.
class CompensatedSum {
  public:
    CompensatedSum() = default;
    // Of `count` values with this mean.
    CompensatedSum(double mean, uint64_t count) {
        const double product = mean * static_cast<double>(count);
        if (std::isfinite(product)) {
            sum_ = product;
        } else {
            sum_ = mean * kDown * static_cast<double>(count);
            scaled_ = true;
        }
    }

    void add(double value) {
        if (!scaled_) {
            const double before = sum_;
            const double correction = correction_;
            add_plain(value);
            if (std::isfinite(sum_)) {
                return;
            }
            sum_ = before;
            correction_ = correction;
            scale();
        }
        add_plain(value * kDown);
    }

    void add(const CompensatedSum& other) {
        if (!other.scaled_) {
            add(other.sum_);
            add(other.correction_);
            return;
        }
        if (!scaled_) {
            scale();
        }
        add_plain(other.sum_);
        add_plain(other.correction_);
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

    void scale() {
        sum_ *= kDown;
        correction_ *= kDown;
        scaled_ = true;
    }

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

}  // namespace stepdb
