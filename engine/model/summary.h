// What is known of the points of a series, or of a part of it, without looking at them again:
// counts by class, extremes, first and last, mean and variance. Summaries of neighbouring parts
// join into that of the whole.
//
// Counts, keys and extremes are those of a full scan, bit for bit. Sum and mean lie within 1e-12 of
// the sum of absolute values, the population variance within a relative
// 1e-9 + 1e-15 * |mean| / deviation. Squared deviations are about the mean of each part and joined
// by the difference of the means, never sums of squares: T. Chan, G. Golub, R. LeVeque, "Updating
// Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
#pragma once

#include <cstdint>
#include <span>

#include "engine/model/compensated_sum.h"
#include "engine/model/key.h"

namespace stepdb {

struct SummaryPoint {
    Key key = 0;
    int64_t time = 0;  // microseconds; of a timed series the key
    double value = 0;
};

// A sum of squared deviations that may leave float64: from then on it counts in units of 2^1200.
class DeviationSum {
  public:
    DeviationSum() = default;
    explicit DeviationSum(double plain) : sum_(plain) {}

    // Adds weight * (a - b)^2, of finite a and b.
    void add(double a, double b, double weight);
    void add(const DeviationSum& other);
    // Adds the squares of the deviations of `values`, all finite, from `mean`.
    void add(std::span<const double> values, double mean);
    void add(std::span<const uint32_t> words, double mean);  // of float32 values, as bits

    // Over `count` values; infinite if it is beyond float64.
    double variance(uint64_t count) const;

    // Whether plain() says it all.
    bool is_plain() const { return !scaled_; }
    double plain() const { return sum_; }

  private:
    template <typename T>
    void add_all(std::span<const T> values, double mean);
    void scale();

    double sum_ = 0;
    bool scaled_ = false;
};

struct Summary {
    uint64_t count = 0;  // finite values; extremes, mean and variance are over these
    uint64_t nan = 0;
    uint64_t positive_infinity = 0;
    uint64_t negative_infinity = 0;
    SummaryPoint first;  // of any class
    SummaryPoint last;
    SummaryPoint min;  // of equals the earliest; -0 is below +0; 0 at the first if there is none
    SummaryPoint max;
    CompensatedSum sum;
    DeviationSum deviations;

    uint64_t points() const { return count + nan + positive_infinity + negative_infinity; }
    // Of at least one finite value: never outside min and max.
    double mean() const;
    // The population variance, of at least one finite value.
    double variance() const { return deviations.variance(count); }

    // Takes in the summary of points that all lie behind these.
    void append(const Summary& later);
};

// Points by ascending key, at most one per key; the three are of one length.
Summary summarize(std::span<const Key> keys, std::span<const int64_t> times,
                  std::span<const double> values);
// The same, bit for bit, of float32 values that are given as their bits.
Summary summarize(std::span<const Key> keys, std::span<const int64_t> times,
                  std::span<const uint32_t> words);

}  // namespace stepdb
