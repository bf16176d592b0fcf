#include "tools/import/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <memory>
#include <system_error>

namespace stepdb {

Result<ByteSource> open_file(const std::string& path, uint64_t bytes_max) {
    // Shared, since functions are copied.
    const auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
    if (!*file) {
        const int number = errno;
        return make_error(number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
                          "cannot open {}: {}", path, std::generic_category().message(number));
    }
    return ByteSource([=, left = bytes_max](MutableBytes into) mutable -> Result<size_t> {
        const uint64_t wanted = std::min<uint64_t>(into.size(), left);
        file->read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(wanted));
        if (file->bad()) {
            return make_error(ErrorCode::kIoError, "cannot read {}", path);
        }
        const auto got = static_cast<size_t>(file->gcount());
        left -= got;
        return got;
    });
}

}  // namespace stepdb
