#include "engine/tail/transpose.h"

#include <emmintrin.h>

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

}  // namespace

void transpose_words(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
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

void transpose_doubles(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
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

}  // namespace stepdb
