// XXH3-64 for every byte of ours on disk and on the wire; CRC-32 (IEEE, as in zlib) for clients
// that have nothing better; SHA-256 to name schemas by content.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "engine/base/bytes.h"

namespace stepdb {

// 128 bits: ids of stores and writers, hashes of schemas. Compared and printed as bytes.
struct Id128 {
    std::array<std::byte, 16> bytes{};

    auto operator<=>(const Id128&) const = default;  // NOLINT(modernize-use-nullptr): its 0
    bool is_zero() const;
    std::string to_hex() const;
};

struct Id128Hash {
    size_t operator()(const Id128& id) const;
};

uint64_t xxh3(Bytes bytes, uint64_t seed = 0);

// Continues from `crc`, the value for the bytes before (0 at the start).
uint32_t crc32(Bytes bytes, uint32_t crc = 0);

// The first 128 bits of SHA-256.
Id128 sha256_128(Bytes bytes);

// The seed of every checksum in a file: a page that is intact but belongs to another store, another
// file or another offset must fail, so all three are in it.
uint64_t place_seed(const Id128& store, uint64_t file_id, uint64_t offset);

}  // namespace stepdb
