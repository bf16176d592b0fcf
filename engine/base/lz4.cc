#include "engine/base/lz4.h"

#include <lz4.h>

#include <limits>

namespace stepdb {

std::vector<std::byte> lz4_compress(Bytes raw) {
    CHECK(raw.size() <= LZ4_MAX_INPUT_SIZE, "{} bytes", raw.size());
    const int bound = LZ4_compressBound(static_cast<int>(raw.size()));
    std::vector<std::byte> compressed(static_cast<size_t>(bound));
    const int bytes = LZ4_compress_default(reinterpret_cast<const char*>(raw.data()),
                                           reinterpret_cast<char*>(compressed.data()),
                                           static_cast<int>(raw.size()), bound);
    CHECK(bytes > 0, "LZ4 failed on {} bytes", raw.size());
    compressed.resize(static_cast<size_t>(bytes));
    return compressed;
}

Result<std::vector<std::byte>> lz4_decompress(Bytes compressed, size_t raw_bytes) {
    if (compressed.size() > LZ4_MAX_INPUT_SIZE || raw_bytes > LZ4_MAX_INPUT_SIZE) {
        return make_error(ErrorCode::kInvalidArgument, "LZ4 block of {} bytes for {} is too large",
                          compressed.size(), raw_bytes);
    }
    std::vector<std::byte> raw(raw_bytes);
    const int bytes = LZ4_decompress_safe(
        reinterpret_cast<const char*>(compressed.data()), reinterpret_cast<char*>(raw.data()),
        static_cast<int>(compressed.size()), static_cast<int>(raw_bytes));
    if (bytes < 0 || static_cast<size_t>(bytes) != raw_bytes) {
        return make_error(ErrorCode::kInvalidArgument,
                          "LZ4 block of {} bytes does not unpack to the {} bytes declared",
                          compressed.size(), raw_bytes);
    }
    return raw;
}

}  // namespace stepdb
