// The kernels for processors with AVX-512 (F, BW, DQ, VL).
#ifdef __x86_64__

#include <immintrin.h>

#include "engine/codec/kernel_variants.h"

namespace stepdb::avx512 {

namespace {

#ifdef __clang__
#define KERNEL __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt"))) static
#else
#define KERNEL                                                       \
    __attribute__((                                                  \
        target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt," \
               "prefer-vector-width=512"))) static
#endif
#define STEPDB_OWN_NEAR_DECIMALS
#define STEPDB_OWN_NEAR_NEIGHBOURS
#include "engine/codec/kernel_loops.inc"

// The lowest `count` bits; all from 64 on.
KERNEL uint64_t low_mask(size_t count) {
    return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// The first `count` bytes at `bytes`, which are all that is read, then zeros.
KERNEL __m512i load_bytes(const std::byte* bytes, size_t count) {
    return count >= 64 ? _mm512_loadu_si512(bytes)
                       : _mm512_maskz_loadu_epi8(low_mask(count), bytes);
}

// Up to as many of the values as there are lanes, then zeros.
KERNEL __m512i load_lanes(const uint32_t* values, size_t count) {
    return count >= 16 ? _mm512_loadu_si512(values)
                       : _mm512_maskz_loadu_epi32(static_cast<__mmask16>(low_mask(count)), values);
}
KERNEL __m512i load_lanes(const uint64_t* values, size_t count) {
    return count >= 8 ? _mm512_loadu_si512(values)
                      : _mm512_maskz_loadu_epi64(static_cast<__mmask8>(low_mask(count)), values);
}

KERNEL __m512i all_lanes(uint32_t value) {
    return _mm512_set1_epi32(static_cast<int>(value));
}
KERNEL __m512i all_lanes(uint64_t value) {
    return _mm512_set1_epi64(static_cast<long long>(value));
}

// A count of bits to shift by.
KERNEL __m128i shift_of(unsigned bits) {
    return _mm_cvtsi32_si128(static_cast<int>(bits));
}

// Lanes as wide as the last argument.
KERNEL __m512i add_lanes(__m512i a, __m512i b, uint32_t /*lane*/) {
    return _mm512_add_epi32(a, b);
}
KERNEL __m512i add_lanes(__m512i a, __m512i b, uint64_t /*lane*/) {
    return _mm512_add_epi64(a, b);
}

// --- Decimals ---

KERNEL uint32_t near_decimals(double value, double limit, double tolerance) {
    const __m512d to_integer = _mm512_set1_pd(kToInteger);
    uint32_t near = 0;
    for (size_t e = 0; e < kPowersOfTen.size(); e += 8) {
        const auto lanes = static_cast<__mmask8>(low_mask(kPowersOfTen.size() - e));
        const __m512d scaled = _mm512_mul_pd(_mm512_set1_pd(value),
                                             _mm512_maskz_loadu_pd(lanes, kPowersOfTen.data() + e));
        const __m512d whole = _mm512_sub_pd(_mm512_add_pd(scaled, to_integer), to_integer);
        const __m512d distance = _mm512_abs_pd(_mm512_sub_pd(scaled, whole));
        const __m512d magnitude = _mm512_abs_pd(scaled);
        const __mmask8 below =
            _mm512_mask_cmp_pd_mask(lanes, magnitude, _mm512_set1_pd(limit), _CMP_LT_OQ);
        const __m512d most = _mm512_mul_pd(magnitude, _mm512_set1_pd(tolerance));
        near |= static_cast<uint32_t>(_mm512_mask_cmp_pd_mask(below, distance, most, _CMP_LE_OQ))
                << e;
    }
    return near;
}

// --- Counting ---

// The bucket of each lane, or kOutside.
constexpr int kOutside = 0x7F;

struct BucketBounds {
    __m512i minus_low;
    __m512i range;
    __m128i shift;
};

// Sixteen dwords, from `count` values.
KERNEL __m512i buckets_of(const uint32_t* values, size_t count, const BucketBounds& bounds) {
    const __m512i beyond = _mm512_add_epi32(load_lanes(values, count), bounds.minus_low);
    __mmask16 inside = _mm512_cmple_epu32_mask(beyond, bounds.range);
    if (count < 16) {
        inside &= static_cast<__mmask16>(low_mask(count));
    }
    return _mm512_mask_srl_epi32(_mm512_set1_epi32(kOutside), inside, beyond, bounds.shift);
}
KERNEL __m256i eight_buckets_of(const uint64_t* values, size_t count, const BucketBounds& bounds) {
    const __m512i beyond = _mm512_add_epi64(load_lanes(values, count), bounds.minus_low);
    __mmask8 inside = _mm512_cmple_epu64_mask(beyond, bounds.range);
    if (count < 8) {
        inside &= static_cast<__mmask8>(low_mask(count));
    }
    return _mm512_cvtepi64_epi32(
        _mm512_mask_srl_epi64(_mm512_set1_epi64(kOutside), inside, beyond, bounds.shift));
}
KERNEL __m512i buckets_of(const uint64_t* values, size_t count, const BucketBounds& bounds) {
    const __m256i first = eight_buckets_of(values, count, bounds);
    const __m256i second = eight_buckets_of(values + 8, count > 8 ? count - 8 : 0, bounds);
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

KERNEL __m512i bytes_of(__m512i a, __m512i b, __m512i c, __m512i d) {
    return _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

// A byte for each of 64 values, in some order.
template <typename U>
KERNEL __m512i byte_buckets_of(const U* values, size_t count, const BucketBounds& bounds) {
    if (count >= 64) {
        return bytes_of(buckets_of(values, 16, bounds), buckets_of(values + 16, 16, bounds),
                        buckets_of(values + 32, 16, bounds), buckets_of(values + 48, 16, bounds));
    }
    __m512i buckets[4];
    for (size_t i = 0; i < 4; ++i) {
        const size_t at = i * 16;
        buckets[i] =
            count > at ? buckets_of(values + at, count - at, bounds) : _mm512_set1_epi32(kOutside);
    }
    return bytes_of(buckets[0], buckets[1], buckets[2], buckets[3]);
}

// Counts by comparing a byte of each value with every bound: no increments that wait for each
// other.
template <typename U>
KERNEL void count_buckets(const U* values, size_t count, Extremes<U> within, unsigned shift,
                          int16_t* sums) {
    const U low = static_cast<U>(within.low);
    const BucketBounds bounds = {
        all_lanes(static_cast<U>(U{0} - low)),
        all_lanes(static_cast<U>(static_cast<U>(within.high) - low)),
        shift_of(shift),
    };
    __m512i buckets[4];
    for (size_t i = 0; i < 4; ++i) {
        const size_t at = i * 64;
        buckets[i] = count > at ? byte_buckets_of(values + at, count - at, bounds)
                                : _mm512_set1_epi8(kOutside);
    }
    sums[0] = 0;
    __m512i bound = _mm512_setzero_si512();
    for (size_t b = 1; b <= kBuckets; ++b) {
        bound = _mm512_add_epi8(bound, _mm512_set1_epi8(1));
        const auto below = _mm_popcnt_u64(_mm512_cmplt_epu8_mask(buckets[0], bound)) +
                           _mm_popcnt_u64(_mm512_cmplt_epu8_mask(buckets[1], bound)) +
                           _mm_popcnt_u64(_mm512_cmplt_epu8_mask(buckets[2], bound)) +
                           _mm_popcnt_u64(_mm512_cmplt_epu8_mask(buckets[3], bound));
        sums[b] = static_cast<int16_t>(below);
    }
    fill_up_sums(sums);
}

KERNEL uint32_t lanes_above(__m512i values, __m512i limit, uint32_t /*lane*/) {
    return _mm512_cmpgt_epu32_mask(values, limit);
}
KERNEL uint32_t lanes_above(__m512i values, __m512i limit, uint64_t /*lane*/) {
    return _mm512_cmpgt_epu64_mask(values, limit);
}

template <typename U>
KERNEL size_t find_above(const U* values, size_t count, U limit, uint8_t* positions) {
    constexpr size_t kLanes = 64 / sizeof(U);
    const __m512i limits = all_lanes(limit);
    size_t found = 0;
    for (size_t at = 0; at < count; at += kLanes) {
        uint32_t above = lanes_above(load_lanes(values + at, count - at), limits, U{});
        for (; above != 0; above &= above - 1) {
            positions[found++] = static_cast<uint8_t>(at + _tzcnt_u32(above));
        }
    }
    return found;
}

KERNEL size_t count_near_neighbours(const uint32_t* values, size_t count, uint32_t half) {
    int near = 0;
    for (size_t run = 0; run < kNeighbourRuns; ++run) {
        const uint32_t* const at = values + run * (count / kNeighbourRuns);
        const __m512i difference =
            _mm512_sub_epi32(_mm512_loadu_si512(at + 1), _mm512_loadu_si512(at));
        const __m512i beyond = _mm512_add_epi32(difference, all_lanes(half));
        near += _mm_popcnt_u32(_mm512_cmplt_epu32_mask(beyond, all_lanes(2 * half)));
    }
    return static_cast<size_t>(near);
}
KERNEL size_t count_near_neighbours(const uint64_t* values, size_t count, uint64_t half) {
    int near = 0;
    for (size_t run = 0; run < kNeighbourRuns; ++run) {
        const uint64_t* const at = values + run * (count / kNeighbourRuns);
        for (size_t i = 0; i < kNeighboursInRun; i += 8) {
            const __m512i difference =
                _mm512_sub_epi64(_mm512_loadu_si512(at + i + 1), _mm512_loadu_si512(at + i));
            const __m512i beyond = _mm512_add_epi64(difference, all_lanes(half));
            near += _mm_popcnt_u32(_mm512_cmplt_epu64_mask(beyond, all_lanes(2 * half)));
        }
    }
    return static_cast<size_t>(near);
}

// --- Sums ---

// Each lane and all before it.
KERNEL __m512i running_sums(__m512i x, uint32_t /*lane*/) {
    const __m512i zero = _mm512_setzero_si512();
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 15));
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 14));
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 12));
    return _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 8));
}
KERNEL __m512i running_sums(__m512i x, uint64_t /*lane*/) {
    const __m512i zero = _mm512_setzero_si512();
    x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 7));
    x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 6));
    return _mm512_add_epi64(x, _mm512_alignr_epi64(x, zero, 4));
}
KERNEL __m512i last_lane(__m512i x, uint32_t /*lane*/) {
    return _mm512_permutexvar_epi32(_mm512_set1_epi32(15), x);
}
KERNEL __m512i last_lane(__m512i x, uint64_t /*lane*/) {
    return _mm512_permutexvar_epi64(_mm512_set1_epi64(7), x);
}

template <typename U>
KERNEL void sum_up(const U* values, size_t count, U first, U base, U* out) {
    constexpr size_t kLanes = 64 / sizeof(U);
    out[0] = first;
    __m512i before = all_lanes(first);
    for (size_t at = 0; at < count; at += kLanes) {
        const __m512i lanes = add_lanes(load_lanes(values + at, count - at), all_lanes(base), U{});
        const __m512i sums = running_sums(lanes, U{});
        _mm512_storeu_si512(out + at + 1, add_lanes(sums, before, U{}));
        before = add_lanes(before, last_lane(sums, U{}), U{});
    }
}

// --- Packing ---

constexpr auto kDwordFields = make_field_places<32, 16>();
constexpr auto kQwordFields = make_field_places<64, 8>();

KERNEL __m512i dwords_of(const std::array<uint8_t, 16>& bytes) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data())));
}
KERNEL __m512i qwords_of(const std::array<uint8_t, 8>& bytes) {
    return _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes.data())));
}

// How the words of 64 bits of which the low `bits` are used (more than 32, the others are zero) and
// which lie 2^step apart are closed up: an output word is of up to three of them.
struct Closing {
    __m512i words[3];
    __m512i right;
    __m512i left;
    __m512i further_left;
};
constexpr auto kWordPlaces = make_word_places<8>();

KERNEL Closing make_closing(unsigned bits, unsigned step) {
    const __m512i word = qwords_of(kWordPlaces[bits].word);
    const __m512i next = _mm512_add_epi64(word, _mm512_set1_epi64(1));
    const __m512i last = _mm512_add_epi64(word, _mm512_set1_epi64(2));
    const __m128i steps = shift_of(step);
    Closing closing;
    closing.words[0] = _mm512_sll_epi64(word, steps);
    closing.words[1] = _mm512_sll_epi64(next, steps);
    closing.words[2] = _mm512_sll_epi64(last, steps);
    closing.right = qwords_of(kWordPlaces[bits].bit);
    closing.left = _mm512_sub_epi64(_mm512_set1_epi64(static_cast<int>(bits)), closing.right);
    closing.further_left =
        _mm512_add_epi64(closing.left, _mm512_set1_epi64(static_cast<int>(bits)));
    return closing;
}

KERNEL __m512i close_up(__m512i x, const Closing& closing) {
    const __m512i first =
        _mm512_srlv_epi64(_mm512_permutexvar_epi64(closing.words[0], x), closing.right);
    const __m512i second =
        _mm512_sllv_epi64(_mm512_permutexvar_epi64(closing.words[1], x), closing.left);
    const __m512i third =
        _mm512_sllv_epi64(_mm512_permutexvar_epi64(closing.words[2], x), closing.further_left);
    return _mm512_or_si512(_mm512_or_si512(first, second), third);
}

// Sixteen values of 1 to 32 bits become 2 * width bytes, at the front of what is returned.
// Neighbours are joined until a word has more than 32 bits (or there is only one word).
struct DwordPacking {
    unsigned width;
    Closing closing;
};

KERNEL DwordPacking make_dword_packing(unsigned width) {
    const unsigned step = width > 16 ? 0 : width > 8 ? 1 : 2;
    DwordPacking packing;
    packing.width = width;
    packing.closing = make_closing((2 * width) << step, step);
    return packing;
}

KERNEL __m512i pack_dwords(__m512i x, const DwordPacking& packing) {
    const unsigned width = packing.width;
    const __m512i even = _mm512_and_si512(x, _mm512_set1_epi64(0xFFFFFFFF));
    x = _mm512_or_si512(even, _mm512_sll_epi64(_mm512_srli_epi64(x, 32), shift_of(width)));
    if (width <= 16) {
        x = _mm512_or_si512(x, _mm512_sll_epi64(_mm512_bsrli_epi128(x, 8), shift_of(2 * width)));
    }
    if (width <= 8) {
        const __m512i next = _mm512_alignr_epi64(x, x, 2);
        x = _mm512_or_si512(x, _mm512_sll_epi64(next, shift_of(4 * width)));
    }
    if (width <= 4) {
        const __m512i next = _mm512_alignr_epi64(x, x, 4);
        return _mm512_or_si512(x, _mm512_sll_epi64(next, shift_of(8 * width)));
    }
    return close_up(x, packing.closing);
}

KERNEL void pack(const uint32_t* values, size_t count, unsigned width, std::byte* out) {
    if (width == 0) {
        return;
    }
    const DwordPacking packing = make_dword_packing(width);
    for (size_t at = 0; at < count; at += 16) {
        _mm512_storeu_si512(out, pack_dwords(load_lanes(values + at, count - at), packing));
        out += size_t{2} * width;
    }
}

// Sixteen qwords, of which the low halves are used.
KERNEL __m512i load_low_halves(const uint64_t* values, size_t count) {
    const __m512i first = load_lanes(values, count);
    const __m512i second = count > 8 ? load_lanes(values + 8, count - 8) : _mm512_setzero_si512();
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(first)),
                              _mm512_cvtepi64_epi32(second), 1);
}

KERNEL void pack(const uint64_t* values, size_t count, unsigned width, std::byte* out) {
    if (width == 0) {
        return;
    }
    if (width <= 32) {
        const DwordPacking packing = make_dword_packing(width);
        for (size_t at = 0; at < count; at += 16) {
            _mm512_storeu_si512(out,
                                pack_dwords(load_low_halves(values + at, count - at), packing));
            out += size_t{2} * width;
        }
        return;
    }
    const Closing closing = make_closing(width, 0);
    for (size_t at = 0; at < count; at += 8) {
        _mm512_storeu_si512(out, close_up(load_lanes(values + at, count - at), closing));
        out += width;
    }
}

// Where sixteen values of up to 32 bits are in the 2 * width bytes of them.
struct DwordUnpacking {
    __m512i words[2];
    __m512i right;
    __m512i left;
    __m512i mask;
};
KERNEL DwordUnpacking make_dword_unpacking(unsigned width) {
    const auto& places = kDwordFields[width];
    DwordUnpacking unpacking;
    unpacking.words[0] = dwords_of(places.word);
    unpacking.words[1] = _mm512_add_epi32(unpacking.words[0], _mm512_set1_epi32(1));
    unpacking.right = dwords_of(places.bit);
    unpacking.left = _mm512_sub_epi32(_mm512_set1_epi32(32), unpacking.right);
    unpacking.mask = all_lanes(static_cast<uint32_t>(low_mask(width)));
    return unpacking;
}
KERNEL __m512i unpack_dwords(__m512i bytes, const DwordUnpacking& unpacking) {
    const __m512i low =
        _mm512_srlv_epi32(_mm512_permutexvar_epi32(unpacking.words[0], bytes), unpacking.right);
    const __m512i high =
        _mm512_sllv_epi32(_mm512_permutexvar_epi32(unpacking.words[1], bytes), unpacking.left);
    return _mm512_and_si512(_mm512_or_si512(low, high), unpacking.mask);
}

KERNEL void unpack(const std::byte* in, size_t count, unsigned width, uint32_t* out) {
    const DwordUnpacking unpacking = make_dword_unpacking(width);
    size_t left = (count * width + 7) / 8;
    for (size_t at = 0; at < count; at += 16) {
        _mm512_storeu_si512(out + at, unpack_dwords(load_bytes(in, left), unpacking));
        in += size_t{2} * width;
        left -= count - at > 16 ? size_t{2} * width : left;
    }
}

// Eight values of more than 32 bits in `width` bytes.
KERNEL void unpack_wide(const std::byte* in, size_t count, unsigned width, uint64_t* out) {
    const auto& places = kQwordFields[width];
    const __m512i first = qwords_of(places.word);
    const __m512i second = _mm512_add_epi64(first, _mm512_set1_epi64(1));
    const __m512i right = qwords_of(places.bit);
    const __m512i left = _mm512_sub_epi64(_mm512_set1_epi64(64), right);
    const __m512i mask = all_lanes(low_mask(width));
    size_t bytes_left = (count * width + 7) / 8;
    for (size_t at = 0; at < count; at += 8) {
        const __m512i bytes = load_bytes(in, bytes_left);
        const __m512i low = _mm512_srlv_epi64(_mm512_permutexvar_epi64(first, bytes), right);
        const __m512i high = _mm512_sllv_epi64(_mm512_permutexvar_epi64(second, bytes), left);
        _mm512_storeu_si512(out + at, _mm512_and_si512(_mm512_or_si512(low, high), mask));
        in += width;
        bytes_left -= count - at > 8 ? width : bytes_left;
    }
}

KERNEL void unpack(const std::byte* in, size_t count, unsigned width, uint64_t* out) {
    if (width > 32) {
        unpack_wide(in, count, width, out);
        return;
    }
    const DwordUnpacking unpacking = make_dword_unpacking(width);
    size_t left = (count * width + 7) / 8;
    for (size_t at = 0; at < count; at += 16) {
        const __m512i values = unpack_dwords(load_bytes(in, left), unpacking);
        _mm512_storeu_si512(out + at, _mm512_cvtepu32_epi64(_mm512_castsi512_si256(values)));
        _mm512_storeu_si512(out + at + 8,
                            _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(values, 1)));
        in += size_t{2} * width;
        left -= count - at > 16 ? size_t{2} * width : left;
    }
}

template <typename U>
constexpr WordKernels<U> kWordKernels = {
    .or_all = or_all<U>,
    .extremes = extremes<U>,
    .images = images<U>,
    .words_of_images = words_of_images<U>,
    .differences = differences<U>,
    .sum_up = sum_up<U>,
    .count_within = count_within<U>,
    .count_near_neighbours = count_near_neighbours,
    .count_buckets = count_buckets<U>,
    .subtract = subtract<U>,
    .add = add<U>,
    .find_above = find_above<U>,
    .pack = pack,
    .unpack = unpack,
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

}  // namespace stepdb::avx512

#endif
