// What is told of the finite values that several series have at one place.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/compensated_sum.h"
#include "query/operators/sliding_window.h"
#include "query/stage_ast.h"

namespace stepdb {

// What some combinations want of values beside their count, extremes and sum.
struct CombinedNeeds {
    bool deviation = false;
    bool values = false;  // for percentiles
};

CombinedNeeds needs_of(const std::vector<Combination>& combinations);

struct CombinedValues {
    Moments moments;  // mean and m2 only where they are wanted
    CompensatedSum sum;
    std::vector<double> values;  // only where percentiles are asked for

    void add(double value, CombinedNeeds needs);
    // Of at least one value, but for kCount. `values` are in order.
    double value(const Combination& combination) const;
};

// Between the closest ranks in proportion: that of position (n - 1) * percentile / 100. `sorted` is
// not empty.
double percentile_of(const std::vector<double>& sorted, double percentile);

}  // namespace stepdb
