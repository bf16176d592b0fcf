// Bytes of W&B transaction logs, for tests of what reads them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/checksum.h"
#include "tools/import/testing/proto_bytes.h"

namespace stepdb::testing {

inline std::string wandb_fragment(uint8_t type, std::string_view data) {
    const std::string body = static_cast<char>(type) + std::string(data);
    return little_endian(crc32(as_bytes(body))) +
           little_endian(static_cast<uint16_t>(data.size())) + body;
}

inline std::string wandb_bytes(const std::vector<std::string>& records) {
    constexpr size_t kBlockBytes = 32768;
    std::string bytes(":W&B\xe1\xbe\0", 7);
    for (const std::string& record : records) {
        std::string_view rest = record;
        for (bool is_first = true;; is_first = false) {
            size_t left = kBlockBytes - bytes.size() % kBlockBytes;
            if (left < 7) {
                bytes.append(left, '\0');
                left = kBlockBytes;
            }
            const std::string_view part = rest.substr(0, left - 7);
            rest.remove_prefix(part.size());
            const bool is_last = rest.empty();
            const int type = is_first ? (is_last ? 1 : 2) : (is_last ? 4 : 3);
            bytes += wandb_fragment(static_cast<uint8_t>(type), part);
            if (is_last) {
                break;
            }
        }
    }
    return bytes;
}

// An item of history, stats (key) or config.
inline std::string wandb_item(std::string_view key, std::string_view json) {
    return bytes_field(1, key) + bytes_field(16, json);
}

}  // namespace stepdb::testing
