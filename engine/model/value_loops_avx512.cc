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

template <Term Of>
KERNEL __m512d add_term(__m512d sums, __m512d values, __m512d mean, __mmask8 lanes) {
    if constexpr (Of == Term::kSquare) {
        values = _mm512_sub_pd(values, mean);
        values = _mm512_mul_pd(values, values);
    }
    return _mm512_mask_add_pd(sums, lanes, sums, values);
}
template <Term Of>
KERNEL __m512d add_terms(__m512d sums, __m512i words, __m512d mean, __mmask16 lanes) {
    const __m256 low = _mm512_castps512_ps256(_mm512_castsi512_ps(words));
    const __m256 high = _mm512_extractf32x8_ps(_mm512_castsi512_ps(words), 1);
    sums = add_term<Of>(sums, _mm512_cvtps_pd(low), mean, static_cast<__mmask8>(lanes));
    return add_term<Of>(sums, _mm512_cvtps_pd(high), mean, static_cast<__mmask8>(lanes >> 8U));
}
template <Term Of>
KERNEL __m512d add_terms(__m512d sums, __m512i words, __m512d mean, __mmask8 lanes) {
    return add_term<Of>(sums, _mm512_castsi512_pd(words), mean, lanes);
}

KERNEL double joined(__m512d lanes) {
    const __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(lanes), _mm512_extractf64x4_pd(lanes, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

template <typename U>
KERNEL ImageRange<U> scan(const U* words, size_t count, double* sums) {
    constexpr auto kAll = static_cast<Mask<U>>(~0U);
    Images images = no_images(U{});
    const __m512d none = _mm512_setzero_pd();
    for (size_t at = 0; at < count; at += kPlainValues) {
        const size_t end = count - at < kPlainValues ? count : at + kPlainValues;
        __m512d sum = _mm512_setzero_pd();
        size_t i = at;
        for (; i + kWords<U> <= end; i += kWords<U>) {
            const __m512i some = _mm512_loadu_si512(words + i);
            take_in(images, some, kAll);
            sum = add_terms<Term::kValue>(sum, some, none, kAll);
        }
        if (i < end) {
            const Mask<U> lanes = first_lanes<U>(end - i);
            const __m512i some = load(words + i, lanes);
            take_in(images, some, lanes);
            sum = add_terms<Term::kValue>(sum, some, none, lanes);
        }
        *sums++ = joined(sum);
    }
    return range_of(images, U{});
}

template <typename U>
KERNEL void squares(const U* words, size_t count, double mean, double* sums) {
    constexpr auto kAll = static_cast<Mask<U>>(~0U);
    const __m512d means = _mm512_set1_pd(mean);
    for (size_t at = 0; at < count; at += kPlainValues) {
        const size_t end = count - at < kPlainValues ? count : at + kPlainValues;
        __m512d sum = _mm512_setzero_pd();
        size_t i = at;
        for (; i + kWords<U> <= end; i += kWords<U>) {
            sum = add_terms<Term::kSquare>(sum, _mm512_loadu_si512(words + i), means, kAll);
        }
        if (i < end) {
            const Mask<U> lanes = first_lanes<U>(end - i);
            sum = add_terms<Term::kSquare>(sum, load(words + i, lanes), means, lanes);
        }
        *sums++ = joined(sum);
    }
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
