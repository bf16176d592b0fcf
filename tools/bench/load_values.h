// Values as a training logs them, made up by a seed.
//
// `noise`: every metric has a level that drifts from row to row, and its values lie around it with
// a standard deviation of a tenth: as a number nobody compresses, because its low bits are random.
//
// `mixed`, of ten columns in turn:
//   6  noise as above, but log-normal; one value in 10,000 is a spike of 10 to 100 times the level,
//      and in one place in 500,000 a burst of 20 NaN begins
//   1  a constant
//   1  a counter, such as tokens seen
//   1  a schedule, such as a learning rate: a cosine
//   1  a share of few cases, such as an accuracy: k of 256 (of 250 as float64)
//
// As float32 every value is one exactly; as float64 all but a few need all their bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tools/bench/workload.h"

namespace stepdb {

class LoadValues {
  public:
    LoadValues(const LoadShape& shape, uint64_t seed);

    // `values` has one entry a metric.
    void next_row(std::span<double> values);

  private:
    enum class Kind : uint8_t { kNoise, kConstant, kCounter, kSchedule, kShare };
    Kind kind_of(size_t column) const;
    uint64_t random();
    double noisy(size_t column);
    double value_of(size_t column);

    LoadShape shape_;
    uint64_t state_;
    uint64_t row_ = 0;
    // Drawing from the normal distribution for every value would take most of the start.
    std::vector<float> gauss_;
    std::vector<double> factors_;
    std::vector<double> levels_;
    std::vector<uint8_t> nan_left_;
};

}  // namespace stepdb
