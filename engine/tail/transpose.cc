#include "engine/tail/transpose.h"

#include <immintrin.h>

#include <atomic>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace stepdb {

namespace {

// One by one, for what is left over at the edges of the tiles.
template <typename T>
void transpose_plain(const std::byte* from, size_t row_bytes, size_t rows, size_t columns, T* to,
                     size_t stride) {
    for (size_t column = 0; column < columns; ++column) {
        for (size_t row = 0; row < rows; ++row) {
            to[column * stride + row] = load_le<T>(from + row * row_bytes + column * sizeof(T));
        }
    }
}

__m128i load_four(const std::byte* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

void store_four(uint32_t* to, __m128i words) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), words);
}

// Four rows of four words, by interleaving them twice.
void transpose_tile(const std::byte* from, size_t row_bytes, uint32_t* to, size_t stride) {
    const __m128i a = load_four(from);
    const __m128i b = load_four(from + row_bytes);
    const __m128i c = load_four(from + 2 * row_bytes);
    const __m128i d = load_four(from + 3 * row_bytes);
    const __m128i ab_low = _mm_unpacklo_epi32(a, b);
    const __m128i cd_low = _mm_unpacklo_epi32(c, d);
    const __m128i ab_high = _mm_unpackhi_epi32(a, b);
    const __m128i cd_high = _mm_unpackhi_epi32(c, d);
    store_four(to, _mm_unpacklo_epi64(ab_low, cd_low));
    store_four(to + stride, _mm_unpackhi_epi64(ab_low, cd_low));
    store_four(to + 2 * stride, _mm_unpacklo_epi64(ab_high, cd_high));
    store_four(to + 3 * stride, _mm_unpackhi_epi64(ab_high, cd_high));
}

// Two rows of two doubles.
void transpose_pair(const std::byte* from, size_t row_bytes, double* to, size_t stride) {
    const auto* above = reinterpret_cast<const double*>(from);
    const auto* below = reinterpret_cast<const double*>(from + row_bytes);
    const __m128d a = _mm_loadu_pd(above);
    const __m128d b = _mm_loadu_pd(below);
    _mm_storeu_pd(to, _mm_unpacklo_pd(a, b));
    _mm_storeu_pd(to + stride, _mm_unpackhi_pd(a, b));
}

// Four rows at a time; what is left over one by one.
void transpose_words_sse2(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
                          uint32_t* to, size_t stride) {
    constexpr size_t kTile = 4;
    const size_t whole_columns = columns / kTile * kTile;
    size_t row = 0;
    for (; row + kTile <= rows; row += kTile) {
        const std::byte* at = from + row * row_bytes;
        for (size_t column = 0; column < whole_columns; column += kTile) {
            transpose_tile(at + column * sizeof(uint32_t), row_bytes, to + column * stride + row,
                           stride);
        }
    }
    transpose_plain(from + row * row_bytes, row_bytes, rows - row, whole_columns, to + row, stride);
    transpose_plain(from + whole_columns * sizeof(uint32_t), row_bytes, rows,
                    columns - whole_columns, to + whole_columns * stride, stride);
}

void transpose_doubles_sse2(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
                            double* to, size_t stride) {
    constexpr size_t kTile = 2;
    const size_t whole_columns = columns / kTile * kTile;
    size_t row = 0;
    for (; row + kTile <= rows; row += kTile) {
        const std::byte* at = from + row * row_bytes;
        for (size_t column = 0; column < whole_columns; column += kTile) {
            transpose_pair(at + column * sizeof(double), row_bytes, to + column * stride + row,
                           stride);
        }
    }
    transpose_plain(from + row * row_bytes, row_bytes, rows - row, whole_columns, to + row, stride);
    transpose_plain(from + whole_columns * sizeof(double), row_bytes, rows, columns - whole_columns,
                    to + whole_columns * stride, stride);
}

#define AVX512 [[gnu::target("avx512f")]] static inline

// Sixteen bytes each of four rows, `step` bytes apart.
AVX512 __m512i load_rows(const std::byte* from, size_t step) {
    __m512i rows = _mm512_castsi128_si512(load_four(from));
    rows = _mm512_inserti32x4(rows, load_four(from + step), 1);
    rows = _mm512_inserti32x4(rows, load_four(from + 2 * step), 2);
    return _mm512_inserti32x4(rows, load_four(from + 3 * step), 3);
}

// Sixteen rows of four words: rows four apart lie side by side in a register, so that interleaving
// within its quarters puts all in their place.
AVX512 void transpose_tall_tile(const std::byte* from, size_t row_bytes, uint32_t* to,
                                size_t stride) {
    const __m512i a = load_rows(from, 4 * row_bytes);
    const __m512i b = load_rows(from + row_bytes, 4 * row_bytes);
    const __m512i c = load_rows(from + 2 * row_bytes, 4 * row_bytes);
    const __m512i d = load_rows(from + 3 * row_bytes, 4 * row_bytes);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d);
    const __m512i ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_high = _mm512_unpackhi_epi32(c, d);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi64(ab_low, cd_low));
    _mm512_storeu_si512(to + stride, _mm512_unpackhi_epi64(ab_low, cd_low));
    _mm512_storeu_si512(to + 2 * stride, _mm512_unpacklo_epi64(ab_high, cd_high));
    _mm512_storeu_si512(to + 3 * stride, _mm512_unpackhi_epi64(ab_high, cd_high));
}

[[gnu::target("avx512f")]] void transpose_words_avx512(const std::byte* from, size_t row_bytes,
                                                       size_t rows, size_t columns, uint32_t* to,
                                                       size_t stride) {
    constexpr size_t kRows = 16;
    constexpr size_t kColumns = 4;
    const size_t whole_columns = columns / kColumns * kColumns;
    const size_t whole_rows = rows / kRows * kRows;
    for (size_t row = 0; row < whole_rows; row += kRows) {
        const std::byte* const at = from + row * row_bytes;
        for (size_t column = 0; column < whole_columns; column += kColumns) {
            transpose_tall_tile(at + column * sizeof(uint32_t), row_bytes,
                                to + column * stride + row, stride);
        }
    }
    transpose_words_sse2(from + whole_rows * row_bytes, row_bytes, rows - whole_rows, whole_columns,
                         to + whole_rows, stride);
    transpose_plain(from + whole_columns * sizeof(uint32_t), row_bytes, rows,
                    columns - whole_columns, to + whole_columns * stride, stride);
}

// The same of eight rows of two doubles.
[[gnu::target("avx512f")]] void transpose_doubles_avx512(const std::byte* from, size_t row_bytes,
                                                         size_t rows, size_t columns, double* to,
                                                         size_t stride) {
    constexpr size_t kRows = 8;
    constexpr size_t kColumns = 2;
    const size_t whole_columns = columns / kColumns * kColumns;
    const size_t whole_rows = rows / kRows * kRows;
    for (size_t row = 0; row < whole_rows; row += kRows) {
        for (size_t column = 0; column < whole_columns; column += kColumns) {
            const std::byte* const at = from + row * row_bytes + column * sizeof(double);
            const __m512i even = load_rows(at, 2 * row_bytes);
            const __m512i odd = load_rows(at + row_bytes, 2 * row_bytes);
            double* const into = to + column * stride + row;
            _mm512_storeu_si512(into, _mm512_unpacklo_epi64(even, odd));
            _mm512_storeu_si512(into + stride, _mm512_unpackhi_epi64(even, odd));
        }
    }
    transpose_doubles_sse2(from + whole_rows * row_bytes, row_bytes, rows - whole_rows,
                           whole_columns, to + whole_rows, stride);
    transpose_plain(from + whole_columns * sizeof(double), row_bytes, rows, columns - whole_columns,
                    to + whole_columns * stride, stride);
}

struct Transposes {
    void (*words)(const std::byte*, size_t, size_t, size_t, uint32_t*, size_t);
    void (*doubles)(const std::byte*, size_t, size_t, size_t, double*, size_t);
};
constexpr Transposes kSse2 = {transpose_words_sse2, transpose_doubles_sse2};
constexpr Transposes kAvx512 = {transpose_words_avx512, transpose_doubles_avx512};

std::atomic<const Transposes*>& in_use() {
    static std::atomic<const Transposes*> best = can_transpose_wide() ? &kAvx512 : &kSse2;
    return best;
}

}  // namespace

bool can_transpose_wide() {
    return __builtin_cpu_supports("avx512f") != 0;
}

void use_wide_transposition(bool wide) {
    CHECK(!wide || can_transpose_wide(), "this processor has no AVX-512");
    in_use().store(wide ? &kAvx512 : &kSse2, std::memory_order_relaxed);
}

void transpose_words(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
                     uint32_t* to, size_t stride) {
    in_use().load(std::memory_order_relaxed)->words(from, row_bytes, rows, columns, to, stride);
}

void transpose_doubles(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
                       double* to, size_t stride) {
    in_use().load(std::memory_order_relaxed)->doubles(from, row_bytes, rows, columns, to, stride);
}

}  // namespace stepdb
