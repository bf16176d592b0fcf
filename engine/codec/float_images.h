// Words (the bits of float32 or float64 values) in bulk: narrowing, widening, and their ordered
// images as unsigned two's complement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include "engine/base/float_bits.h"

namespace stepdb {

// Narrows every value, or false if one does not narrow exactly by bits. `words` has room for all.
bool narrow_all(std::span<const double> values, uint32_t* words);

void widen_all(const uint32_t* words, std::span<double> values);
inline void widen_all(const uint64_t* words, std::span<double> values) {
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = std::bit_cast<double>(words[i]);
    }
}

// The ordered image of a word whose low `shift` bits are zero, without these bits.
template <typename U>
U shifted_image(U word, unsigned shift) {
    using S = std::make_signed_t<U>;
    constexpr unsigned kSign = std::numeric_limits<U>::digits - 1;
    const U negative = static_cast<U>(static_cast<S>(word) >> kSign);
    const U image = static_cast<U>(word ^ (negative >> 1U));
    return static_cast<U>(static_cast<S>(image) >> shift);
}

template <typename U>
U word_of_shifted_image(U image, unsigned shift) {
    using S = std::make_signed_t<U>;
    constexpr unsigned kSign = std::numeric_limits<U>::digits - 1;
    const U whole = static_cast<U>(image << shift);
    const U negative = static_cast<U>(static_cast<S>(whole) >> kSign);
    return static_cast<U>((whole ^ (negative >> 1U)) & static_cast<U>(~U{0} << shift));
}

}  // namespace stepdb
