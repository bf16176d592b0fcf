// Decimals: values that are k / 10^e for a small integer k, as console logs and rounded JSON bring
// them. Whether a value is one is decided by recomputing it and comparing bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace stepdb {

inline constexpr unsigned kDecimalExponentMax = 18;

// Every power is exact as a double.
inline constexpr std::array<double, kDecimalExponentMax + 1> kPowersOfTen = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

// Nearest to 10^-e.
inline constexpr std::array<double, kDecimalExponentMax + 1> kInversePowersOfTen = {
    1e0,   1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7,  1e-8, 1e-9,
    1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18};

// U is uint32_t (words are float32) or uint64_t.

// The exponent with which most of a sample of the words are decimals of few digits, if there is
// one. Looks at no more than eight, and at one alone if that is no decimal and `are_unlikely`.
template <typename U>
std::optional<unsigned> guess_decimal_exponent(const U* words, size_t count, bool are_unlikely);

// The integers of `count` words (at most 256), below 2^51; the positions (ascending) of those that
// are no such decimals are written to `exceptions`, and their integer is that of a neighbour.
// Returns the number of exceptions; if it is `count`, the integers are arbitrary.
template <typename U>
size_t decimal_integers(const U* words, size_t count, unsigned exponent, uint64_t* integers,
                        uint8_t* exceptions);

}  // namespace stepdb
