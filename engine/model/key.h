// The key of a point as one int64, whatever the axis: the step's order-preserving image, or the
// time itself. Keys compare as steps and times do; equal keys are equal steps (bit for bit, -0
// having become +0) or equal times.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/base/float_bits.h"

namespace stepdb {

enum class Axis : uint8_t {
    kStepped = 0,  // key is the step
    kTimed = 1,    // key is the time; telemetry
};

using Key = int64_t;

inline constexpr Key kKeyMin = std::numeric_limits<Key>::min();
inline constexpr Key kKeyMax = std::numeric_limits<Key>::max();

// `step` is finite; -0 becomes +0.
inline Key key_of_step(double step) {
    return ordered_image(step == 0 ? 0.0 : step);
}
inline double step_of_key(Key key) {
    return from_ordered_image(key);
}

struct KeyRange {
    Key first = kKeyMin;  // inclusive
    Key last = kKeyMax;   // inclusive

    bool empty() const { return first > last; }
    bool contains(Key key) const { return key >= first && key <= last; }
    bool overlaps(Key from, Key to) const { return from <= last && to >= first; }
};

}  // namespace stepdb
