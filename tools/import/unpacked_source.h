// The bytes of a file that was compressed by gzip or zstd, as they were before.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "tools/import/byte_source.h"

namespace stepdb {

// By the first bytes of a file, whatever its name.
enum class Packing : uint8_t { kNone, kGzip, kZstd };
Packing packing_of(Bytes head);

// If `source` begins as what gzip or zstd wrote, what was compressed, of members or frames that
// follow each other all; else `source` as it is. `path` is for messages. Checksums are verified.
// The source that is made gives everything up to where the file is damaged or ends too early, then
// kCorruption naming the byte of the compressed file, again and again. Takes some 100 KB, of zstd
// the window of the file besides, 128 MiB at most.
Result<ByteSource> unpack(ByteSource source, const std::string& path);

// A file's name without `.gz` or `.zst` at its end.
std::string_view without_packing_suffix(std::string_view name);

}  // namespace stepdb
