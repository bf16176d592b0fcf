// LEB128 varints (seven bits a byte, low bits first, bit 7 set on all but the last byte) and the
// zigzag image that makes small negative numbers short.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/coding.h"

namespace stepdb {

inline constexpr size_t kVarintBytesMax = 10;

constexpr uint64_t zigzag(int64_t value) {
    return (static_cast<uint64_t>(value) << 1U) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t unzigzag(uint64_t value) {
    return static_cast<int64_t>((value >> 1U) ^ (~(value & 1U) + 1));
}

constexpr size_t varint_bytes(uint64_t value) {
    return (static_cast<size_t>(std::bit_width(value | 1U)) + 6) / 7;
}

// Writes at most kVarintBytesMax bytes and returns the end.
inline std::byte* write_varint(std::byte* out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = static_cast<std::byte>(value | 0x80U);
        value >>= 7U;
    }
    *out++ = static_cast<std::byte>(value);
    return out;
}

inline void append_varint(std::vector<std::byte>& out, uint64_t value) {
    std::byte bytes[kVarintBytesMax];
    out.insert(out.end(), bytes, write_varint(bytes, value));
}

// False if it ends early or does not fit 64 bits.
inline bool read_varint(ByteReader& reader, uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const auto byte = static_cast<uint64_t>(reader.get<uint8_t>());
        if (reader.failed() || (shift == 63 && byte > 1)) {
            return false;
        }
        value |= (byte & 0x7FU) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

}  // namespace stepdb
