#include "tools/import/byte_source.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include "tools/import/unpacked_source.h"

namespace stepdb {

namespace {

Status skip_bytes(const ByteSource& source, uint64_t count) {
    std::vector<std::byte> dropped(std::min<uint64_t>(count, 1U << 20U));
    while (count > 0) {
        TRY_ASSIGN(const size_t got,
                   source(MutableBytes(dropped).first(std::min<uint64_t>(count, dropped.size()))));
        if (got == 0) {
            return {};
        }
        count -= got;
    }
    return {};
}

}  // namespace

Result<ByteSource> open_file(const std::string& path, uint64_t bytes_max, uint64_t begin) {
    // Shared, since functions are copied.
    const auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
    if (!*file) {
        const int number = errno;
        return make_error(number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
                          "cannot open {}: {}", path, std::generic_category().message(number));
    }
    const ByteSource raw = [=](MutableBytes into) -> Result<size_t> {
        file->read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(into.size()));
        if (file->bad()) {
            return make_error(ErrorCode::kIoError, "cannot read {}", path);
        }
        return static_cast<size_t>(file->gcount());
    };
    ByteSource source = raw;
    if (begin > 0 && !is_compressed(path)) {
        file->seekg(static_cast<std::streamoff>(begin));
    } else {
        TRY_ASSIGN(source, unpack(raw, path));
        TRY(skip_bytes(source, begin));
    }
    return ByteSource([source = std::move(source), left = bytes_max - std::min(begin, bytes_max)](
                          MutableBytes into) mutable -> Result<size_t> {
        const auto wanted = static_cast<size_t>(std::min<uint64_t>(into.size(), left));
        TRY_ASSIGN(const size_t got,
                   wanted == 0 ? Result<size_t>(size_t{0}) : source(into.first(wanted)));
        left -= got;
        return got;
    });
}

int64_t modification_time_us(const std::string& path) {
    std::error_code ignored;
    const auto at = std::filesystem::last_write_time(path, ignored);
    const auto system = std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::file_clock::to_sys(at));
    return system.time_since_epoch().count();
}

bool is_compressed(const std::string& path) {
    std::array<std::byte, 4> head = {};
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
    return packing_of(Bytes(head).first(static_cast<size_t>(file.gcount()))) != Packing::kNone;
}

}  // namespace stepdb
