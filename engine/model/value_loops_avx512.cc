// The loops of value_loops.cc in AVX-512: twice as fast as what the compiler makes of the plain
// ones, of float32 values. They add in the same order.
#include "engine/model/value_loop_variants.h"

#ifdef __x86_64__

#include <immintrin.h>

#include <limits>
#include <type_traits>

#define KERNEL [[gnu::target("avx512f,avx512vl,avx512dq")]] static inline

namespace stepdb::avx512 {

namespace {

template <typename U>
constexpr size_t kWords = 64 / sizeof(U);
template <typename U>
using Mask = std::conditional_t<sizeof(U) == 4, __mmask16, __mmask8>;

template <typename U>
KERNEL Mask<U> first_lanes(size_t count) {
    return static_cast<Mask<U>>((1U << count) - 1);
}

KERNEL __m512i load(const uint32_t* words, __mmask16 lanes) {
    return _mm512_maskz_loadu_epi32(lanes, words);
}
KERNEL __m512i load(const uint64_t* words, __mmask8 lanes) {
    return _mm512_maskz_loadu_epi64(lanes, words);
}

// Least and largest images, lane by lane.
struct Images {
    __m512i min;
    __m512i max;
};
KERNEL Images no_images(uint32_t /*word*/) {
    return {_mm512_set1_epi32(std::numeric_limits<int32_t>::max()),
            _mm512_set1_epi32(std::numeric_limits<int32_t>::min())};
}
KERNEL Images no_images(uint64_t /*word*/) {
    return {_mm512_set1_epi64(std::numeric_limits<int64_t>::max()),
            _mm512_set1_epi64(std::numeric_limits<int64_t>::min())};
}
KERNEL void take_in(Images& images, __m512i words, __mmask16 lanes) {
    const __m512i magnitude = _mm512_set1_epi32(std::numeric_limits<int32_t>::max());
    const __m512i image =
        _mm512_xor_si512(words, _mm512_and_si512(_mm512_srai_epi32(words, 31), magnitude));
    images.min = _mm512_mask_min_epi32(images.min, lanes, images.min, image);
    images.max = _mm512_mask_max_epi32(images.max, lanes, images.max, image);
}
KERNEL void take_in(Images& images, __m512i words, __mmask8 lanes) {
    const __m512i magnitude = _mm512_set1_epi64(std::numeric_limits<int64_t>::max());
    const __m512i image =
        _mm512_xor_si512(words, _mm512_and_si512(_mm512_srai_epi64(words, 63), magnitude));
    images.min = _mm512_mask_min_epi64(images.min, lanes, images.min, image);
    images.max = _mm512_mask_max_epi64(images.max, lanes, images.max, image);
}
KERNEL ImageRange<uint32_t> range_of(const Images& images, uint32_t /*word*/) {
    return {_mm512_reduce_min_epi32(images.min), _mm512_reduce_max_epi32(images.max)};
}
KERNEL ImageRange<uint64_t> range_of(const Images& images, uint64_t /*word*/) {
    return {_mm512_reduce_min_epi64(images.min), _mm512_reduce_max_epi64(images.max)};
}

// Eight sums each.
struct Sums {
    __m512d low;
    __m512d high;
};
KERNEL Sums no_sums() {
    return {_mm512_setzero_pd(), _mm512_setzero_pd()};
}

template <Addend Of>
KERNEL __m512d add_term(__m512d sums, __m512d values, __m512d mean, uint32_t lanes) {
    if constexpr (Of == Addend::kSquare) {
        values = _mm512_sub_pd(values, mean);
        values = _mm512_mul_pd(values, values);
    }
    return _mm512_mask_add_pd(sums, static_cast<__mmask8>(lanes), sums, values);
}

KERNEL __m512d numbers_of(__m512i words, bool high) {
    const __m512 floats = _mm512_castsi512_ps(words);
    return _mm512_cvtps_pd(high ? _mm512_extractf32x8_ps(floats, 1)
                                : _mm512_castps512_ps256(floats));
}

// Takes in sixteen values, or those of `lanes`.
template <Addend Of>
KERNEL void take_in(const uint32_t* words, uint32_t lanes, __m512d mean, Sums& sums,
                    Images* images) {
    const __m512i some = load(words, static_cast<__mmask16>(lanes));
    if (images != nullptr) {
        take_in(*images, some, static_cast<__mmask16>(lanes));
    }
    sums.low = add_term<Of>(sums.low, numbers_of(some, false), mean, lanes);
    sums.high = add_term<Of>(sums.high, numbers_of(some, true), mean, lanes >> 8U);
}
template <Addend Of>
KERNEL void take_in(const uint64_t* words, uint32_t lanes, __m512d mean, Sums& sums,
                    Images* images) {
    const auto low_lanes = static_cast<__mmask8>(lanes);
    const auto high_lanes = static_cast<__mmask8>(lanes >> 8U);
    const __m512i low = load(words, low_lanes);
    const __m512i high = load(words + 8, high_lanes);
    if (images != nullptr) {
        take_in(*images, low, low_lanes);
        take_in(*images, high, high_lanes);
    }
    sums.low = add_term<Of>(sums.low, _mm512_castsi512_pd(low), mean, lanes);
    sums.high = add_term<Of>(sums.high, _mm512_castsi512_pd(high), mean, lanes >> 8U);
}

KERNEL double joined(const Sums& sums) {
    const __m512d eight = _mm512_add_pd(sums.low, sums.high);
    const __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// Of each part a sum; `images` may be null.
template <Addend Of, typename U>
KERNEL void sum_parts(const U* words, size_t count, double mean, double* sums, Images* images) {
    constexpr size_t kStep = 16;
    constexpr uint32_t kAll = 0xFFFF;
    const __m512d means = _mm512_set1_pd(mean);
    for (size_t at = 0; at < count; at += kPlainValues) {
        const size_t end = count - at < kPlainValues ? count : at + kPlainValues;
        Sums part = no_sums();
        size_t i = at;
        for (; i + kStep <= end; i += kStep) {
            take_in<Of>(words + i, kAll, means, part, images);
        }
        if (i < end) {
            take_in<Of>(words + i, (1U << (end - i)) - 1, means, part, images);
        }
        *sums++ = joined(part);
    }
}

template <typename U>
KERNEL ImageRange<U> scan(const U* words, size_t count, double* sums) {
    Images images = no_images(U{});
    sum_parts<Addend::kValue>(words, count, 0, sums, &images);
    return range_of(images, U{});
}

template <typename U>
KERNEL void squares(const U* words, size_t count, double mean, double* sums) {
    sum_parts<Addend::kSquare>(words, count, mean, sums, nullptr);
}

KERNEL uint32_t equal_lanes(__m512i words, uint32_t wanted) {
    return _mm512_cmpeq_epi32_mask(words, _mm512_set1_epi32(static_cast<int32_t>(wanted)));
}
KERNEL uint32_t equal_lanes(__m512i words, uint64_t wanted) {
    return _mm512_cmpeq_epi64_mask(words, _mm512_set1_epi64(static_cast<int64_t>(wanted)));
}

template <typename U>
KERNEL size_t find(const U* words, size_t count, U wanted) {
    size_t at = 0;
    for (; at + kWords<U> <= count; at += kWords<U>) {
        const uint32_t found = equal_lanes(_mm512_loadu_si512(words + at), wanted);
        if (found != 0) {
            return at + static_cast<size_t>(__builtin_ctz(found));
        }
    }
    const Mask<U> lanes = first_lanes<U>(count - at);
    const uint32_t found = equal_lanes(load(words + at, lanes), wanted) & lanes;
    return found != 0 ? at + static_cast<size_t>(__builtin_ctz(found)) : count;
}

}  // namespace

extern const ValueLoops<uint32_t> kLoops32;
const ValueLoops<uint32_t> kLoops32 = {scan<uint32_t>, squares<uint32_t>, find<uint32_t>};
extern const ValueLoops<uint64_t> kLoops64;
const ValueLoops<uint64_t> kLoops64 = {scan<uint64_t>, squares<uint64_t>, find<uint64_t>};

}  // namespace stepdb::avx512

#endif
