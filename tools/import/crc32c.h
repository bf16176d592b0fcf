// CRC-32C (Castagnoli), as record files of TensorFlow have it.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"

namespace stepdb {

// Continues from `crc`, the value for the bytes before (0 at the start).
uint32_t crc32c(Bytes bytes, uint32_t crc = 0);

// What is written in place of a CRC: a CRC over data with CRCs in it says little.
constexpr uint32_t mask_crc(uint32_t crc) {
    return (crc >> 15U | crc << 17U) + 0xA282EAD8U;
}

}  // namespace stepdb
