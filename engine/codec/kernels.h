// The loops of the codecs over one vector, in variants for what the processor can do. Which one
// runs is decided once, by the processor; all compute the same, so the bytes of a store do not tell
// the machine that wrote it. Nothing here looks at untrusted bytes beyond the lengths it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace stepdb {

// Least and largest of some words taken as two's complement.
template <typename U>
struct Extremes {
    std::make_signed_t<U> low;
    std::make_signed_t<U> high;
};

inline constexpr unsigned kBucketBits = 4;
inline constexpr size_t kBuckets = size_t{1} << kBucketBits;
inline constexpr size_t kBucketSums = 2 * kBuckets;

inline constexpr size_t kNeighbourRuns = 4;
inline constexpr size_t kNeighboursInRun = 16;
inline constexpr size_t kNeighbours = kNeighbourRuns * kNeighboursInRun;
inline constexpr size_t kNeighboursCountMin = 128;

// What a packed vector may be written beyond its end, and room for a vector that is written in
// whole registers.
inline constexpr size_t kPackOverrun = 64;
inline constexpr size_t kKernelRoom = 256 + 32;

// Over words of one size; `count` is at most kPackedValuesMax (256) and at least 1 unless said, and
// input and output do not overlap unless said.
template <typename U>
struct WordKernels {
    // All words or-ed.
    U (*or_all)(const U* words, size_t count);
    Extremes<U> (*extremes)(const U* words, size_t count);
    // The ordered images, as two's complement, of words whose low `shift` bits are zero, without
    // these bits.
    Extremes<U> (*images)(const U* words, size_t count, unsigned shift, U* out);
    // The inverse of that, in place.
    void (*words_of_images)(U* images, size_t count, unsigned shift);
    // The count - 1 differences of neighbours; `count` is 2 or more.
    Extremes<U> (*differences)(const U* values, size_t count, U* out);
    // The inverse of that: out[0] is `first`, out[i + 1] is out[i] + values[i] + base. `count` may
    // be 0; `out` has room for kKernelRoom.
    void (*sum_up)(const U* values, size_t count, U first, U base, U* out);
    // How many values, less `low`, are at most `range`.
    size_t (*count_within)(const U* values, size_t count, U low, U range);
    // Of kNeighbours pairs of neighbours, strewn over the values, how many differ by -half to
    // half - 1. `count` is at least kNeighboursCountMin.
    size_t (*count_near_neighbours)(const U* values, size_t count, U half);
    // sums[b], for b up to kBuckets: how many are within as above and then, shifted right by
    // `shift`, below b; for b above kBuckets, up to kBucketSums - 1, all that are within. Shifted
    // so, `range` is below kBuckets.
    void (*count_buckets)(const U* values, size_t count, Extremes<U> within, unsigned shift,
                          int16_t* sums);
    void (*subtract)(const U* values, size_t count, U base, U* out);
    void (*add)(U* values, size_t count, U base);  // in place
    // The positions, ascending, of values above `limit` (unsigned); returns how many.
    size_t (*find_above)(const U* values, size_t count, U limit, uint8_t* positions);
    // As in bit_packing.h; may write kPackOverrun bytes too many.
    void (*pack)(const U* values, size_t count, unsigned width, std::byte* out);
    // As in bit_packing.h; `out` has room for kKernelRoom.
    void (*unpack)(const std::byte* in, size_t count, unsigned width, U* out);
    // The integers k of decimals (decimal.h). wrong[i] is not 0 where k / 10^exponent is not the
    // word, and integers[i] then arbitrary; returns all of `wrong` or-ed.
    U(*decimal_integers)
    (const U* words, size_t count, unsigned exponent, uint64_t* integers, U* wrong);
    void (*decimal_words)(const uint64_t* integers, size_t count, unsigned exponent, U* words);
};

struct Kernels {
    WordKernels<uint32_t> of32;
    WordKernels<uint64_t> of64;
    // Narrows every value, or false if one does not narrow exactly by bits; any count.
    bool (*narrow)(const double* values, size_t count, uint32_t* words);
    // Widens by bits; any count.
    void (*widen)(const uint32_t* words, size_t count, double* values);
    // Bit e, for each exponent up to kDecimalExponentMax, where value * 10^e is below `limit` and
    // within `tolerance` of it of an integer.
    uint32_t (*near_decimals)(double value, double limit, double tolerance);
    // float32 that are integers below 2^22 as such, or false if one is not (-0 is none).
    bool (*whole_numbers)(const uint32_t* words, size_t count, uint32_t* integers);
    void (*low_halves)(const uint64_t* words, size_t count, uint32_t* out);
};

enum class KernelLevel : uint8_t { kPortable, kAvx2, kAvx512 };

// Null if this processor or this build cannot.
const Kernels* kernels_of(KernelLevel level);

// Those in use: the best that this processor can. Any thread.
const Kernels& kernels();
template <typename U>
const WordKernels<U>& word_kernels() {
    if constexpr (sizeof(U) == sizeof(uint32_t)) {
        return kernels().of32;
    } else {
        return kernels().of64;
    }
}

// For tests and benchmarks: from now on these, in all threads. `level` must be there.
void use_kernels(KernelLevel level);

}  // namespace stepdb
