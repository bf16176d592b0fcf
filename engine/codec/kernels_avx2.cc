// The kernels for processors with AVX2.
#ifdef __x86_64__

#include <immintrin.h>

#include "engine/codec/bit_packing.h"
#include "engine/codec/kernel_variants.h"

namespace stepdb::avx2 {

namespace {

#define KERNEL __attribute__((target("avx2"))) static
#include "engine/codec/kernel_loops.inc"

KERNEL __m256i load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
KERNEL void store(void* to, __m256i x) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), x);
}
KERNEL __m256i all_lanes(uint32_t value) {
    return _mm256_set1_epi32(static_cast<int>(value));
}
KERNEL __m256i all_lanes(uint64_t value) {
    return _mm256_set1_epi64x(static_cast<long long>(value));
}
KERNEL __m128i shift_of(unsigned bits) {
    return _mm_cvtsi32_si128(static_cast<int>(bits));
}

// --- Counting ---

constexpr size_t kByteLanes = 32;
constexpr uint32_t kOutside = 0x7F;

// Eight dwords, each the bucket of a value (of eight in some order), or kOutside.
KERNEL __m256i buckets_of(const uint32_t* values, __m256i low, __m256i range, __m128i shift) {
    const __m256i beyond = _mm256_sub_epi32(load(values), low);
    const __m256i inside = _mm256_cmpeq_epi32(_mm256_min_epu32(beyond, range), beyond);
    return _mm256_blendv_epi8(all_lanes(kOutside), _mm256_srl_epi32(beyond, shift), inside);
}
KERNEL __m256i four_buckets_of(const uint64_t* values, __m256i low, __m256i range, __m128i shift) {
    const __m256i sign = all_lanes(uint64_t{1} << 63U);
    const __m256i beyond = _mm256_sub_epi64(load(values), low);
    const __m256i outside =
        _mm256_cmpgt_epi64(_mm256_xor_si256(beyond, sign), _mm256_xor_si256(range, sign));
    return _mm256_blendv_epi8(_mm256_srl_epi64(beyond, shift), all_lanes(uint64_t{kOutside}),
                              outside);
}
KERNEL __m256i buckets_of(const uint64_t* values, __m256i low, __m256i range, __m128i shift) {
    const __m256 first = _mm256_castsi256_ps(four_buckets_of(values, low, range, shift));
    const __m256 second = _mm256_castsi256_ps(four_buckets_of(values + 4, low, range, shift));
    return _mm256_castps_si256(_mm256_shuffle_ps(first, second, 0x88));
}

// A byte for each of 32 values, in some order.
template <typename U>
KERNEL __m256i byte_buckets_of(const U* values, __m256i low, __m256i range, __m128i shift) {
    const __m256i a = buckets_of(values, low, range, shift);
    const __m256i b = buckets_of(values + 8, low, range, shift);
    const __m256i c = buckets_of(values + 16, low, range, shift);
    const __m256i d = buckets_of(values + 24, low, range, shift);
    return _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}

KERNEL int16_t sum_of_bytes(__m256i bytes) {
    const __m256i sums = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
    const __m128i halves =
        _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return static_cast<int16_t>(_mm_cvtsi128_si32(halves) + _mm_extract_epi16(halves, 4));
}

// Counts by comparing a byte of each value with every bound: no increments that wait for each
// other.
template <typename U>
KERNEL void count_buckets(const U* values, size_t count, Extremes<U> within, unsigned shift,
                          int16_t* sums) {
    const U low = static_cast<U>(within.low);
    const __m256i lows = all_lanes(low);
    const __m256i range = all_lanes(static_cast<U>(static_cast<U>(within.high) - low));
    __m256i buckets[8];
    size_t blocks = 0;
    const size_t whole = count / kByteLanes * kByteLanes;
    for (size_t at = 0; at < whole; at += kByteLanes) {
        buckets[blocks++] = byte_buckets_of(values + at, lows, range, shift_of(shift));
    }
    // The rest is filled up with `low`, which is inside and in bucket 0.
    const size_t filled = whole == count ? 0 : kByteLanes - (count - whole);
    if (filled != 0) {
        U rest[kByteLanes];
        for (size_t i = 0; i < kByteLanes; ++i) {
            rest[i] = whole + i < count ? values[whole + i] : low;
        }
        buckets[blocks++] = byte_buckets_of(rest, lows, range, shift_of(shift));
    }
    sums[0] = 0;
    for (size_t b = 1; b <= kBuckets; ++b) {
        const __m256i bound = _mm256_set1_epi8(static_cast<char>(b));
        __m256i below = _mm256_setzero_si256();
        for (size_t block = 0; block < blocks; ++block) {
            below = _mm256_sub_epi8(below, _mm256_cmpgt_epi8(bound, buckets[block]));
        }
        sums[b] = static_cast<int16_t>(sum_of_bytes(below) - static_cast<int16_t>(filled));
    }
    fill_up_sums(sums);
}

KERNEL uint32_t lanes_above(const uint32_t* values, uint32_t limit) {
    const __m256i x = load(values);
    const __m256i most = _mm256_min_epu32(x, all_lanes(limit));
    const __m256i within = _mm256_cmpeq_epi32(most, x);
    return ~static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(within))) & 0xFFU;
}
KERNEL uint32_t lanes_above(const uint64_t* values, uint64_t limit) {
    const __m256i sign = all_lanes(uint64_t{1} << 63U);
    const __m256i above = _mm256_cmpgt_epi64(_mm256_xor_si256(load(values), sign),
                                             _mm256_xor_si256(all_lanes(limit), sign));
    return static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(above)));
}

template <typename U>
KERNEL size_t find_above(const U* values, size_t count, U limit, uint8_t* positions) {
    constexpr size_t kLanes = 32 / sizeof(U);
    size_t found = 0;
    size_t at = 0;
    for (; at + kLanes <= count; at += kLanes) {
        uint32_t above = lanes_above(values + at, limit);
        for (; above != 0; above &= above - 1) {
            positions[found++] =
                static_cast<uint8_t>(at + static_cast<size_t>(__builtin_ctz(above)));
        }
    }
    for (; at < count; ++at) {
        if (values[at] > limit) {
            positions[found++] = static_cast<uint8_t>(at);
        }
    }
    return found;
}

// --- Packing ---

constexpr auto kDwordFields = make_field_places<32, 8>();
constexpr auto kWordPlaces = make_word_places<4>();

KERNEL __m256i dwords_of(const std::array<uint8_t, 8>& bytes) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes.data())));
}
KERNEL __m256i qwords_of(const std::array<uint8_t, 4>& bytes) {
    int word = 0;
    __builtin_memcpy(&word, bytes.data(), sizeof(word));
    return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(word));
}

// Qword indexes as indexes of their dwords, for the one permutation by variables there is.
KERNEL __m256i dword_pairs(__m256i words) {
    const __m256i even = _mm256_slli_epi64(words, 1);
    const __m256i odd = _mm256_add_epi64(even, _mm256_set1_epi64x(1));
    return _mm256_or_si256(even, _mm256_slli_epi64(odd, 32));
}

// Eight values of 1 to 32 bits become `width` bytes, at the front of what is returned. Neighbours
// are joined until a word of 64 bits has more than 32 (or there is only one word); then up to three
// of them make an output word.
struct DwordPacking {
    unsigned width;
    __m256i words[3];
    __m256i right;
    __m256i left;
    __m256i further_left;
};

KERNEL DwordPacking make_dword_packing(unsigned width) {
    const unsigned step = width > 16 ? 0 : 1;
    const unsigned bits = (2 * width) << step;
    const __m256i word = qwords_of(kWordPlaces[bits].word);
    const __m256i one = _mm256_set1_epi64x(1);
    const __m256i next = _mm256_add_epi64(word, one);
    const __m256i last = _mm256_add_epi64(next, one);
    DwordPacking packing;
    packing.width = width;
    packing.words[0] = dword_pairs(_mm256_sll_epi64(word, shift_of(step)));
    packing.words[1] = dword_pairs(_mm256_sll_epi64(next, shift_of(step)));
    packing.words[2] = dword_pairs(_mm256_sll_epi64(last, shift_of(step)));
    packing.right = qwords_of(kWordPlaces[bits].bit);
    packing.left = _mm256_sub_epi64(_mm256_set1_epi64x(static_cast<int>(bits)), packing.right);
    packing.further_left =
        _mm256_add_epi64(packing.left, _mm256_set1_epi64x(static_cast<int>(bits)));
    return packing;
}

KERNEL __m256i pack_dwords(__m256i x, const DwordPacking& packing) {
    const unsigned width = packing.width;
    const __m256i even = _mm256_and_si256(x, _mm256_set1_epi64x(0xFFFFFFFF));
    x = _mm256_or_si256(even, _mm256_sll_epi64(_mm256_srli_epi64(x, 32), shift_of(width)));
    if (width <= 16) {
        x = _mm256_or_si256(x, _mm256_sll_epi64(_mm256_srli_si256(x, 8), shift_of(2 * width)));
    }
    if (width <= 8) {
        const __m256i next = _mm256_permute4x64_epi64(x, 0x4E);
        return _mm256_or_si256(x, _mm256_sll_epi64(next, shift_of(4 * width)));
    }
    const __m256i first =
        _mm256_srlv_epi64(_mm256_permutevar8x32_epi32(x, packing.words[0]), packing.right);
    const __m256i second =
        _mm256_sllv_epi64(_mm256_permutevar8x32_epi32(x, packing.words[1]), packing.left);
    const __m256i third =
        _mm256_sllv_epi64(_mm256_permutevar8x32_epi32(x, packing.words[2]), packing.further_left);
    return _mm256_or_si256(_mm256_or_si256(first, second), third);
}

KERNEL __m256i load_dwords(const uint32_t* values) {
    return load(values);
}
// The low halves of eight qwords.
KERNEL __m256i load_dwords(const uint64_t* values) {
    const __m256 first = _mm256_castsi256_ps(load(values));
    const __m256 second = _mm256_castsi256_ps(load(values + 4));
    return _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(first, second, 0x88)),
                                    0xD8);
}

template <typename U>
KERNEL void pack(const U* values, size_t count, unsigned width, std::byte* out) {
    if (width == 0) {
        return;
    }
    if (width > 32) {
        pack_bits(values, count, width, out);
        return;
    }
    const DwordPacking packing = make_dword_packing(width);
    size_t at = 0;
    for (; at + 8 <= count; at += 8) {
        store(out, pack_dwords(load_dwords(values + at), packing));
        out += width;
    }
    if (at < count) {
        U rest[8];
        for (size_t i = 0; i < 8; ++i) {
            rest[i] = at + i < count ? values[at + i] : U{0};
        }
        store(out, pack_dwords(load_dwords(rest), packing));
    }
}

struct DwordUnpacking {
    __m256i words[2];
    __m256i right;
    __m256i left;
    __m256i mask;
};
KERNEL DwordUnpacking make_dword_unpacking(unsigned width) {
    const auto& places = kDwordFields[width];
    DwordUnpacking unpacking;
    unpacking.words[0] = dwords_of(places.word);
    unpacking.words[1] = _mm256_add_epi32(unpacking.words[0], _mm256_set1_epi32(1));
    unpacking.right = dwords_of(places.bit);
    unpacking.left = _mm256_sub_epi32(_mm256_set1_epi32(32), unpacking.right);
    unpacking.mask = all_lanes(static_cast<uint32_t>((uint64_t{1} << width) - 1));
    return unpacking;
}
KERNEL __m256i unpack_dwords(__m256i bytes, const DwordUnpacking& unpacking) {
    const __m256i low =
        _mm256_srlv_epi32(_mm256_permutevar8x32_epi32(bytes, unpacking.words[0]), unpacking.right);
    const __m256i high =
        _mm256_sllv_epi32(_mm256_permutevar8x32_epi32(bytes, unpacking.words[1]), unpacking.left);
    return _mm256_and_si256(_mm256_or_si256(low, high), unpacking.mask);
}

KERNEL void store_dwords(uint32_t* out, __m256i x) {
    store(out, x);
}
KERNEL void store_dwords(uint64_t* out, __m256i x) {
    store(out, _mm256_cvtepu32_epi64(_mm256_castsi256_si128(x)));
    store(out + 4, _mm256_cvtepu32_epi64(_mm256_extracti128_si256(x, 1)));
}

template <typename U>
KERNEL void unpack(const std::byte* in, size_t count, unsigned width, U* out) {
    if (width > 32) {
        unpack_bits(in, count, width, out);
        return;
    }
    const DwordUnpacking unpacking = make_dword_unpacking(width);
    constexpr size_t kLoad = 32;
    size_t left = (count * width + 7) / 8;
    size_t at = 0;
    for (; at < count && left >= kLoad; at += 8) {
        store_dwords(out + at, unpack_dwords(load(in), unpacking));
        in += width;
        left -= count - at > 8 ? width : left;
    }
    if (at >= count) {
        return;
    }
    // What a load would read beyond the end of, from a copy.
    std::byte rest[2 * kLoad] = {};
    __builtin_memcpy(rest, in, left);
    for (size_t from = 0; at < count; at += 8) {
        store_dwords(out + at, unpack_dwords(load(rest + from), unpacking));
        from += width;
    }
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

}  // namespace stepdb::avx2

#endif
