#include "engine/base/checksum.h"

#include <fmt/format.h>
#include <openssl/sha.h>
#include <xxhash.h>
// Behind it: the variant for this processor takes the place of the one for any.
#include <xxh_x86dispatch.h>

#include <cstring>

#include "engine/base/coding.h"

namespace stepdb {

namespace {

constexpr std::array<uint32_t, 256> make_crc32_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0xEDB88320U : crc >> 1U;
        }
        table[i] = crc;
    }
    return table;
}

constexpr std::array<uint32_t, 256> kCrc32Table = make_crc32_table();

}  // namespace

bool Id128::is_zero() const {
    return *this == Id128{};
}

std::string Id128::to_hex() const {
    std::string text;
    for (const std::byte byte : bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    }
    return text;
}

size_t Id128Hash::operator()(const Id128& id) const {
    return xxh3(id.bytes);
}

uint64_t xxh3(Bytes bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint32_t crc32(Bytes bytes, uint32_t crc) {
    crc = ~crc;
    for (const std::byte byte : bytes) {
        crc = (crc >> 8U) ^ kCrc32Table[(crc ^ static_cast<uint32_t>(byte)) & 0xFFU];
    }
    return ~crc;
}

Id128 sha256_128(Bytes bytes) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
    Id128 id;
    std::memcpy(id.bytes.data(), digest.data(), id.bytes.size());
    return id;
}

uint64_t place_seed(const Id128& store, uint64_t file_id, uint64_t offset) {
    std::array<std::byte, 32> place{};
    std::memcpy(place.data(), store.bytes.data(), 16);
    store_le(place.data() + 16, file_id);
    store_le(place.data() + 24, offset);
    return xxh3(place);
}

}  // namespace stepdb
