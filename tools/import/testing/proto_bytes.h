// Protocol buffers and records of bytes, for tests of what reads them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/byte_source.h"
#include "tools/import/crc32c.h"

namespace stepdb::testing {

template <typename T>
std::string little_endian(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
}

inline std::string varint(uint64_t value) {
    std::string bytes;
    for (; value > 127; value >>= 7U) {
        bytes += static_cast<char>((value & 127U) | 128U);
    }
    return bytes + static_cast<char>(value);
}

inline std::string number_field(uint32_t number, uint64_t value) {
    return varint(number << 3U) + varint(value);
}
inline std::string bytes_field(uint32_t number, std::string_view bytes) {
    return varint(number << 3U | 2U) + varint(bytes.size()) + std::string(bytes);
}
inline std::string float_field(uint32_t number, float value) {
    return varint(number << 3U | 5U) + little_endian(value);
}
inline std::string double_field(uint32_t number, double value) {
    return varint(number << 3U | 1U) + little_endian(value);
}

// A Summary.Value.
inline std::string simple_value(std::string_view tag, float value) {
    return bytes_field(1, tag) + float_field(2, value);
}
inline std::string tensor_value(std::string_view tag, std::string_view tensor) {
    return bytes_field(1, tag) + bytes_field(8, tensor);
}
// An Event.
inline std::string event(double time, int64_t step, const std::vector<std::string>& values) {
    std::string summary;
    for (const std::string& value : values) {
        summary += bytes_field(1, value);
    }
    return double_field(1, time) + number_field(2, static_cast<uint64_t>(step)) +
           bytes_field(5, summary);
}

inline std::string record_of(std::string_view data) {
    const std::string head = little_endian(uint64_t{data.size()});
    return head + little_endian(mask_crc(crc32c(as_bytes(head)))) + std::string(data) +
           little_endian(mask_crc(crc32c(as_bytes(data))));
}

// Hands out `text` in pieces.
inline ByteSource source_of(std::string text, size_t piece = 7) {
    return [text = std::move(text), at = size_t{0},
            piece](MutableBytes into) mutable -> Result<size_t> {
        const size_t bytes = std::min({into.size(), piece, text.size() - at});
        std::memcpy(into.data(), text.data() + at, bytes);
        at += bytes;
        return bytes;
    };
}

}  // namespace stepdb::testing
