#include "engine/codec/decimal.h"

#include <cmath>
#include <type_traits>

#include "engine/base/float_bits.h"

namespace stepdb {

namespace {

template <typename U>
double value_of(U word) {
    if constexpr (sizeof(U) == 4) {
        return static_cast<double>(std::bit_cast<float>(word));
    } else {
        return std::bit_cast<double>(word);
    }
}

// Beyond 2^53 a double is no longer its integer part.
constexpr double kIntegerMax = 9007199254740992.0;

// A float32 of 24 bits, or a double of 50, is some decimal of as many bits: no gain from there on.
template <typename U>
constexpr double kSampleMax = sizeof(U) == 4 ? 1048576.0 : 1125899906842624.0;

// The integer nearest to value * 10^exponent, if that is below `limit`; NaN compares false.
bool scaled_integer(double value, unsigned exponent, double limit, int64_t& integer) {
    const double scaled = value * kPowersOfTen[exponent];
    if (!(std::fabs(scaled) < limit)) {
        return false;
    }
    integer = static_cast<int64_t>(scaled + std::copysign(0.5, scaled));
    return true;
}

}  // namespace

template <typename U>
U decimal_word(int64_t k, unsigned exponent) {
    const double value = static_cast<double>(k) / kPowersOfTen[exponent];
    if constexpr (sizeof(U) == 4) {
        return bits_of(static_cast<float>(value));
    } else {
        return bits_of(value);
    }
}

template <typename U>
void decimal_words(const uint64_t* integers, size_t count, unsigned exponent, U* words) {
    if (exponent == 0) {  // without the division
        for (size_t i = 0; i < count; ++i) {
            const auto value = static_cast<double>(static_cast<int64_t>(integers[i]));
            if constexpr (sizeof(U) == 4) {
                words[i] = bits_of(static_cast<float>(value));
            } else {
                words[i] = bits_of(value);
            }
        }
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        words[i] = decimal_word<U>(static_cast<int64_t>(integers[i]), exponent);
    }
}

template <typename U>
std::optional<unsigned> guess_decimal_exponent(const U* words, size_t count) {
    constexpr size_t kSamples = 8;
    constexpr size_t kMissesMax = 2;
    const size_t stride = count > kSamples ? count / kSamples : 1;
    unsigned exponent = 0;
    size_t misses = 0;
    size_t looked_at = 0;
    for (size_t i = 0; i < count && looked_at < kSamples; i += stride) {
        ++looked_at;
        const double value = value_of(words[i]);
        bool found = false;
        for (unsigned e = exponent; e <= kDecimalExponentMax && !found; ++e) {
            int64_t integer = 0;
            if (!scaled_integer(value, e, kSampleMax<U>, integer)) {
                break;
            }
            if (decimal_word<U>(integer, e) == words[i]) {
                exponent = e;
                found = true;
            }
        }
        misses += found ? 0 : 1;
        if (misses > kMissesMax) {
            return std::nullopt;
        }
    }
    return misses < looked_at ? std::optional(exponent) : std::nullopt;
}

template <typename U>
size_t decimal_integers(const U* words, size_t count, unsigned exponent, uint64_t* integers,
                        uint8_t* exceptions) {
    size_t exception_count = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < count; ++i) {
        int64_t integer = 0;
        if (scaled_integer(value_of(words[i]), exponent, kIntegerMax, integer) &&
            decimal_word<U>(integer, exponent) == words[i]) {
            last = static_cast<uint64_t>(integer);
        } else {
            exceptions[exception_count++] = static_cast<uint8_t>(i);
        }
        integers[i] = last;
    }
    return exception_count;
}

template uint32_t decimal_word<uint32_t>(int64_t, unsigned);
template uint64_t decimal_word<uint64_t>(int64_t, unsigned);
template void decimal_words(const uint64_t*, size_t, unsigned, uint32_t*);
template void decimal_words(const uint64_t*, size_t, unsigned, uint64_t*);
template std::optional<unsigned> guess_decimal_exponent(const uint32_t*, size_t);
template std::optional<unsigned> guess_decimal_exponent(const uint64_t*, size_t);
template size_t decimal_integers(const uint32_t*, size_t, unsigned, uint64_t*, uint8_t*);
template size_t decimal_integers(const uint64_t*, size_t, unsigned, uint64_t*, uint8_t*);

}  // namespace stepdb
