// Doubles by their bits. Values must come back as given, NaN payloads and signs included, so
// narrowing and widening never go through a conversion instruction when the value is a NaN
// (those set the quiet bit).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stepdb {

inline uint64_t bits_of(double value) {
    return std::bit_cast<uint64_t>(value);
}
inline uint32_t bits_of(float value) {
    return std::bit_cast<uint32_t>(value);
}

inline bool same_bits(double a, double b) {
    return bits_of(a) == bits_of(b);
}

// The double with the same value; a NaN keeps sign, quiet bit and payload.
double widen(uint32_t float_bits);

// The bits of the float32 that widens back to exactly these bits, if there is one.
std::optional<uint32_t> narrow(double value);

// Order-preserving image of a finite or infinite double among int64: a < b as numbers is
// image(a) < image(b); -0 is just below +0. NaNs map outside the infinities.
inline int64_t ordered_image(double value) {
    // Without a branch: of noise around zero none can be foretold.
    const auto bits = std::bit_cast<int64_t>(value);
    return bits ^ static_cast<int64_t>(static_cast<uint64_t>(bits >> 63U) >> 1U);
}
inline double from_ordered_image(int64_t image) {
    const uint64_t bits = image >= 0 ? static_cast<uint64_t>(image)
                                     : static_cast<uint64_t>(image) ^ 0x7FFFFFFFFFFFFFFFULL;
    return std::bit_cast<double>(bits);
}
inline int32_t ordered_image32(uint32_t float_bits) {
    const auto bits = static_cast<int32_t>(float_bits);
    return bits ^ static_cast<int32_t>(static_cast<uint32_t>(bits >> 31U) >> 1U);
}
inline uint32_t from_ordered_image32(int32_t image) {
    return image >= 0 ? static_cast<uint32_t>(image) : static_cast<uint32_t>(image) ^ 0x7FFFFFFFU;
}

// Shortest text that reads back as the same bits: "0.1", "1e+30", "NaN", "Infinity", "-Infinity",
// "-0"; a NaN other than the canonical quiet one (0x7ff8000000000000) as "nan:HEX".
std::string format_value(double value);

// The inverse; also takes the usual spellings of NaN and infinity in any case ("nan", "inf",
// "+Inf"). Nothing may follow the number.
std::optional<double> parse_value(std::string_view text);

}  // namespace stepdb
