// Where the bytes of a log come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

namespace stepdb {

// Fills the front of the buffer with the next bytes of the input; 0 at its end.
using ByteSource = std::function<Result<size_t>(MutableBytes)>;

// A file from byte `begin` on, as if it ended after `bytes_max` bytes, counted from its begin; one
// that gzip or zstd has compressed as it was before (unpacked_source.h), both counting what comes
// out. kNotFound and kIoError naming it.
Result<ByteSource> open_file(const std::string& path, uint64_t bytes_max = UINT64_MAX,
                             uint64_t begin = 0);

// When the file was last changed, in microseconds since the Unix epoch; for rows that have no time.
int64_t modification_time_us(const std::string& path);

// Whether it begins as gzip's and zstd's files do; false if it cannot be read.
bool is_compressed(const std::string& path);

}  // namespace stepdb
