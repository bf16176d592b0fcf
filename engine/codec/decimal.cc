#include "engine/codec/decimal.h"

#include <bit>
#include <cmath>

#include "engine/base/float_bits.h"
#include "engine/codec/kernels.h"

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

// A float32 of 24 bits, or a double of 50, is some decimal of as many bits: no gain from there on.
template <typename U>
constexpr double kSampleMax = sizeof(U) == 4 ? 1048576.0 : 1125899906842624.0;

// More than rounding to a word and scaling may add up to.
template <typename U>
constexpr double kTolerance = sizeof(U) == 4 ? 0x1.2p-24 : 0x1p-51;

double nearest_integer(double scaled) {
    constexpr double kToInteger = 6755399441055744.0;  // 1.5 * 2^52
    return (scaled + kToInteger) - kToInteger;
}

template <typename U>
bool is_decimal(U word, unsigned exponent) {
    const double scaled = value_of(word) * kPowersOfTen[exponent];
    const double whole = nearest_integer(scaled);
    const double magnitude = std::fabs(scaled);
    if (!(magnitude < kSampleMax<U> && std::fabs(scaled - whole) <= magnitude * kTolerance<U>)) {
        return false;
    }
    const double value = whole / kPowersOfTen[exponent];
    if constexpr (sizeof(U) == 4) {
        return bits_of(static_cast<float>(value)) == word;
    } else {
        return bits_of(value) == word;
    }
}

// The least exponent, `from` or more, with which a word is a decimal of few digits.
template <typename U>
std::optional<unsigned> exponent_of(U word, unsigned from) {
    if (from != 0 && is_decimal(word, from)) {
        return from;
    }
    uint32_t near = kernels().near_decimals(value_of(word), kSampleMax<U>, kTolerance<U>);
    for (near = near >> from << from; near != 0; near &= near - 1) {
        const auto exponent = static_cast<unsigned>(std::countr_zero(near));
        if (is_decimal(word, exponent)) {
            return exponent;
        }
    }
    return std::nullopt;
}

}  // namespace

template <typename U>
std::optional<unsigned> guess_decimal_exponent(const U* words, size_t count, bool are_unlikely) {
    if (are_unlikely && !exponent_of(words[count / 2], 0)) {
        return std::nullopt;
    }
    constexpr size_t kSamples = 8;
    constexpr size_t kMissesMax = 2;
    const size_t stride = count > kSamples ? count / kSamples : 1;
    unsigned exponent = 0;
    size_t misses = 0;
    size_t looked_at = 0;
    for (size_t i = 0; i < count && looked_at < kSamples; i += stride) {
        ++looked_at;
        const auto found = exponent_of(words[i], exponent);
        exponent = found.value_or(exponent);
        misses += found ? 0U : 1U;
        if (misses > kMissesMax) {
            return std::nullopt;
        }
    }
    return misses < looked_at ? std::optional(exponent) : std::nullopt;
}

template <typename U>
size_t decimal_integers(const U* words, size_t count, unsigned exponent, uint64_t* integers,
                        uint8_t* exceptions) {
    std::array<U, kKernelRoom> wrong;
    const WordKernels<U>& kernels = word_kernels<U>();
    if (kernels.decimal_integers(words, count, exponent, integers, wrong.data()) == 0) {
        return 0;
    }
    const size_t exception_count = kernels.find_above(wrong.data(), count, 0, exceptions);
    size_t first_right = 0;
    while (first_right < exception_count && exceptions[first_right] == first_right) {
        ++first_right;
    }
    for (size_t i = 0; i < exception_count && exception_count < count; ++i) {
        const size_t position = exceptions[i];
        integers[position] = integers[position == 0 ? first_right : position - 1];
    }
    return exception_count;
}

template std::optional<unsigned> guess_decimal_exponent(const uint32_t*, size_t, bool);
template std::optional<unsigned> guess_decimal_exponent(const uint64_t*, size_t, bool);
template size_t decimal_integers(const uint32_t*, size_t, unsigned, uint64_t*, uint8_t*);
template size_t decimal_integers(const uint64_t*, size_t, unsigned, uint64_t*, uint8_t*);

}  // namespace stepdb
