// The last values of a sequence, and their moments, without drift: windows are put together from
// parts that are each computed once (two stacks: what leaves is taken from suffixes computed when
// the first stack ran empty), so that nothing is ever subtracted. Constant time a value, amortized.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/float_bits.h"

namespace stepdb {

// -0 is below +0.
inline bool is_below(double a, double b) {
    return ordered_image(a) < ordered_image(b);
}

// Of finite values.
struct Moments {
    uint64_t count = 0;
    double mean = 0;
    double m2 = 0;  // the sum of squared distances from the mean
    double min = 0;
    double max = 0;

    static Moments of(double value) { return {1, value, 0, value, value}; }

    // Of count and extremes alone.
    void count_in(double value) {
        min = count == 0 || is_below(value, min) ? value : min;
        max = count == 0 || is_below(max, value) ? value : max;
        ++count;
    }

    // The moments of both (Chan, Golub, LeVeque 1979).
    static Moments merge(const Moments& a, const Moments& b) {
        if (a.count == 0 || b.count == 0) {
            return a.count == 0 ? b : a;
        }
        const auto n = static_cast<double>(a.count + b.count);
        const double share = static_cast<double>(b.count) / n;
        const double distance = b.mean - a.mean;
        Moments merged;
        merged.count = a.count + b.count;
        merged.min = is_below(b.min, a.min) ? b.min : a.min;
        merged.max = is_below(a.max, b.max) ? b.max : a.max;
        const double mean = std::isfinite(distance) ? a.mean + distance * share
                                                    : a.mean * (1 - share) + b.mean * share;
        merged.mean = std::clamp(mean, merged.min, merged.max);
        merged.m2 = a.m2 + b.m2 + distance * distance * (static_cast<double>(a.count) * share);
        return merged;
    }

    // The population's. Equal values have none, whatever was rounded.
    double deviation() const { return min == max ? 0 : std::sqrt(m2 / static_cast<double>(count)); }
};

class MomentWindow {
  public:
    void push(double value) {
        newer_.push_back(value);
        newer_total_ = Moments::merge(newer_total_, Moments::of(value));
    }
    // Takes out the oldest; there is one.
    void pop() {
        if (older_.empty()) {
            turn_over();
        }
        older_.pop_back();
    }
    size_t size() const { return older_.size() + newer_.size(); }
    Moments total() const {
        return older_.empty() ? newer_total_ : Moments::merge(older_.back(), newer_total_);
    }

  private:
    void turn_over() {
        Moments total;
        for (size_t i = newer_.size(); i > 0; --i) {
            total = Moments::merge(Moments::of(newer_[i - 1]), total);
            older_.push_back(total);
        }
        newer_.clear();
        newer_total_ = Moments();
    }

    std::vector<Moments> older_;  // of the oldest n - i values of the older half, by i
    std::vector<double> newer_;   // in order
    Moments newer_total_;
};

// The last values in order, for medians. Time a value is that of moving half of the window in
// memory, which for a thousand values is less than what reading a value costs.
class SortedWindow {
  public:
    void push(double value) {
        sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), value, is_below), value);
        values_.push_back(value);
    }
    void pop() {
        sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), values_[oldest_], is_below));
        ++oldest_;
        if (oldest_ * 2 > values_.size()) {
            values_.erase(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(oldest_));
            oldest_ = 0;
        }
    }
    size_t size() const { return sorted_.size(); }
    // Of at least one value; of an even number the mean of the two in the middle.
    double median() const {
        const size_t half = sorted_.size() / 2;
        if (sorted_.size() % 2 == 1) {
            return sorted_[half];
        }
        return sorted_[half - 1] / 2 + sorted_[half] / 2;
    }

  private:
    std::vector<double> sorted_;
    std::vector<double> values_;  // in order of arrival, the oldest at `oldest_`
    size_t oldest_ = 0;
};

}  // namespace stepdb
