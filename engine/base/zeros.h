// Bytes that should all be zero: reserved ones and padding.
#pragma once

#include <algorithm>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/base/coding.h"

namespace stepdb {

// Where the first one is that is not.
inline std::optional<size_t> find_nonzero(Bytes bytes) {
    size_t at = 0;
    while (at + sizeof(uint64_t) <= bytes.size() && load_le<uint64_t>(bytes.data() + at) == 0) {
        at += sizeof(uint64_t);
    }
    const auto rest = bytes.subspan(at);
    const auto found = std::ranges::find_if(rest, [](std::byte b) { return b != std::byte{0}; });
    if (found == rest.end()) {
        return std::nullopt;
    }
    return at + static_cast<size_t>(found - rest.begin());
}

inline bool is_blank(Bytes bytes) {
    return !find_nonzero(bytes);
}

}  // namespace stepdb
