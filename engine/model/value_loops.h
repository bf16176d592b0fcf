// Loops over many values, with what the processor has. All variants add in the same order, so a
// result does not tell the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace stepdb {

struct ValueScan {
    bool finite = true;  // all of them; else the other two mean nothing
    double min = 0;      // -0 is below +0
    double max = 0;
};

// Of at least one value.
ValueScan scan_values(std::span<const double> values);

// As they are added up in float64, in eight sums that then are.
double plain_sum(std::span<const double> values);
double plain_squares(std::span<const double> values, double mean);

// Where the first value with these bits is; values.size() if none is.
size_t find_value(std::span<const double> values, double value);

}  // namespace stepdb
