// LZ4 blocks, for cold metadata on disk and optionally for rows on the wire.
#pragma once

#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

namespace stepdb {

std::vector<std::byte> lz4_compress(Bytes raw);

// `raw_bytes` is what the compressed side declares; the caller has checked it against a limit.
// kInvalidArgument if the block is malformed or does not yield exactly that many bytes.
Result<std::vector<std::byte>> lz4_decompress(Bytes compressed, size_t raw_bytes);

}  // namespace stepdb
