// What the variants of the loops share; for their files alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/model/value_loops.h"

namespace stepdb {

// What is added up: the numbers, or the squares of their deviations from a mean.
enum class Addend : uint8_t { kValue, kSquare };

// Least and largest ordered image (float_bits.h) of some words.
template <typename U>
struct ImageRange {
    std::make_signed_t<U> min;
    std::make_signed_t<U> max;
};

// U is the word of a value: uint32_t of a float32, uint64_t of a double. Sums are of each part of
// kPlainValues.
template <typename U>
struct ValueLoops {
    ImageRange<U> (*scan)(const U* words, size_t count, double* sums);
    void (*squares)(const U* words, size_t count, double mean, double* sums);
    // Of the first word that is `wanted`; `count` if none is.
    size_t (*find)(const U* words, size_t count, U wanted);
};

#ifdef __x86_64__
namespace avx512 {
extern const ValueLoops<uint32_t> kLoops32;
extern const ValueLoops<uint64_t> kLoops64;
}  // namespace avx512
#endif

}  // namespace stepdb
