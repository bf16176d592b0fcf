// Loops over many values, with what the processor has: doubles, or float32 given as their bits. All
// variants add in the same order, so a result does not tell the machine; float32 values give the
// bits that the same values as doubles do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace stepdb {

// Values are summed up plainly in parts of this many: of a part in sixteen sums, which then are
// added up. 68 roundings at most, 7.6e-15 of the sum of absolute values.
inline constexpr size_t kPlainValues = 1024;
// As many parts are looked at in one go.
inline constexpr size_t kPlainPartsMax = 8;

constexpr size_t plain_parts(size_t values) {
    return (values + kPlainValues - 1) / kPlainValues;
}

struct ValueScan {
    bool finite = true;  // all of them; else min, max and sums mean nothing
    double min = 0;      // -0 is below +0
    double max = 0;
};

// Of 1 to kPlainValues * kPlainPartsMax values; `sums` gets one sum a part.
ValueScan scan_values(std::span<const double> values, std::span<double> sums);
ValueScan scan_values(std::span<const uint32_t> words, std::span<double> sums);

// The sum of the squares of the deviations from `mean`, of each part of as many values.
void sum_squares(std::span<const double> values, double mean, std::span<double> sums);
void sum_squares(std::span<const uint32_t> words, double mean, std::span<double> sums);

// Where the first value with the bits of `value` is; values.size() if none is. `value` is a
// float32 and finite if the values are float32.
size_t find_value(std::span<const double> values, double value);
size_t find_value(std::span<const uint32_t> words, double value);

enum class ValueLoopLevel : uint8_t { kPortable, kAvx2, kAvx512 };

// Whether this processor and this build can. The best of them is in use.
bool has_value_loops(ValueLoopLevel level);
// For tests: from now on these, in all threads.
void use_value_loops(ValueLoopLevel level);

}  // namespace stepdb
