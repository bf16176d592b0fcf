// Rows to columns: values of one size that lie side by side in rows, written side by side for each
// column. Strips of few columns at a time keep what is written to in the first cache (LIMITS.md
// section 4: the strided side is what costs).
#pragma once

#include <cstddef>
#include <cstdint>

namespace stepdb {

// `rows` rows, the first at `from`, `row_bytes` apart (any alignment); the first `columns` values
// of each go to to[column * stride + row].
void transpose_words(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
                     uint32_t* to, size_t stride);
void transpose_doubles(const std::byte* from, size_t row_bytes, size_t rows, size_t columns,
                       double* to, size_t stride);

// Whether this processor can do it in wide registers, as it then does.
bool can_transpose_wide();
// For tests: from now on so or not so, in all threads.
void use_wide_transposition(bool wide);

}  // namespace stepdb
