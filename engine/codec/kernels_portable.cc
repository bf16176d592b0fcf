// The kernels for every processor.
#include "engine/codec/bit_packing.h"
#include "engine/codec/kernel_variants.h"

namespace stepdb::portable {

namespace {

#define KERNEL static
#include "engine/codec/kernel_loops.inc"

template <typename U>
void count_buckets(const U* values, size_t count, Extremes<U> within, unsigned shift,
                   int16_t* sums) {
    const U low = static_cast<U>(within.low);
    const U range = static_cast<U>(static_cast<U>(within.high) - low);
    // Four tables, so that equal neighbours need not wait for each other's increment.
    int16_t tables[4][kBuckets] = {};
    for (size_t i = 0; i < count; ++i) {
        const U beyond = static_cast<U>(values[i] - low);
        if (beyond <= range) {
            ++tables[i % 4][beyond >> shift];
        }
    }
    sums[0] = 0;
    for (size_t b = 0; b < kBuckets; ++b) {
        sums[b + 1] = static_cast<int16_t>(sums[b] + tables[0][b] + tables[1][b] + tables[2][b] +
                                           tables[3][b]);
    }
    fill_up_sums(sums);
}

template <typename U>
size_t find_above(const U* values, size_t count, U limit, uint8_t* positions) {
    size_t found = 0;
    for (size_t i = 0; i < count; ++i) {
        if (values[i] > limit) {
            positions[found++] = static_cast<uint8_t>(i);
        }
    }
    return found;
}

template <typename U>
void pack(const U* values, size_t count, unsigned width, std::byte* out) {
    pack_bits(values, count, width, out);
}

template <typename U>
void unpack(const std::byte* in, size_t count, unsigned width, U* out) {
    unpack_bits(in, count, width, out);
}

template <typename U>
constexpr WordKernels<U> kWordKernels = {
    .or_all = or_all<U>,
    .extremes = extremes<U>,
    .images = images<U>,
    .words_of_images = words_of_images<U>,
    .differences = differences<U>,
    .sum_up = sum_up_plainly<U>,
    .count_within = count_within<U>,
    .count_near_neighbours = count_near_neighbours<U>,
    .count_buckets = count_buckets<U>,
    .subtract = subtract<U>,
    .add = add<U>,
    .find_above = find_above<U>,
    .pack = pack<U>,
    .unpack = unpack<U>,
    .decimal_integers = decimal_integers<U>,
    .decimal_words = decimal_words<U>,
};

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
    .of32 = kWordKernels<uint32_t>,
    .of64 = kWordKernels<uint64_t>,
    .narrow = narrow,
    .widen = widen,
    .near_decimals = near_decimals,
    .whole_numbers = whole_numbers,
    .low_halves = low_halves,
};

}  // namespace stepdb::portable
