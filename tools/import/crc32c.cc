#include "tools/import/crc32c.h"

#include <array>

#include "engine/base/coding.h"

namespace stepdb {

namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // reflected
constexpr size_t kSlices = 8;                 // bytes taken at a time

using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

// [k][b]: what byte b does to the CRC when k bytes follow it.
constexpr Tables make_tables() {
    Tables tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? crc >> 1U ^ kPolynomial : crc >> 1U;
        }
        tables[0][byte] = crc;
    }
    for (size_t slice = 1; slice < kSlices; ++slice) {
        for (size_t byte = 0; byte < 256; ++byte) {
            const uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = before >> 8U ^ tables[0][before & 0xFFU];
        }
    }
    return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c(Bytes bytes, uint32_t crc) {
    crc = ~crc;
    for (; bytes.size() >= kSlices; bytes = bytes.subspan(kSlices)) {
        const uint64_t eight = load_le<uint64_t>(bytes.data()) ^ crc;
        crc = 0;
        for (size_t at = 0; at < kSlices; ++at) {
            crc ^= kTables[kSlices - 1 - at][eight >> 8 * at & 0xFFU];
        }
    }
    for (const std::byte byte : bytes) {
        crc = crc >> 8U ^ kTables[0][(crc ^ static_cast<uint32_t>(byte)) & 0xFFU];
    }
    return ~crc;
}

}  // namespace stepdb
