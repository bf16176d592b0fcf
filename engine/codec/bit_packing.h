// Unsigned integers of one width, packed without gaps: value i takes bits i * width to
// (i + 1) * width - 1 of the stream, bit b of the stream being bit b % 8 of byte b / 8.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"

namespace stepdb {

constexpr size_t packed_bytes(size_t count, unsigned width) {
    return (count * width + 7) / 8;
}

// U is uint32_t or uint64_t; `width` is at most its bits.

// Writes packed_bytes(count, width) bytes. Every value is below 2^width.
template <typename U>
void pack_bits(const U* values, size_t count, unsigned width, std::byte* out);

// Reads exactly packed_bytes(count, width) bytes from `in`.
template <typename U>
void unpack_bits(const std::byte* in, size_t count, unsigned width, U* out);

}  // namespace stepdb
