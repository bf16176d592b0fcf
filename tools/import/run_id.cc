#include "tools/import/run_id.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "engine/base/text.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

Status find_in_directory(const fs::path& directory, std::string_view suffix,
                         std::vector<FoundFile>& files) {
    const size_t before = files.size();
    std::error_code failed;
    fs::recursive_directory_iterator at(directory, failed);
    for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
        const fs::path& path = at->path();
        std::error_code ignored;
        if (path.native().ends_with(suffix) && at->is_regular_file(ignored)) {
            files.push_back(
                {path.native(), run_id_of(path.lexically_relative(directory).native())});
        }
    }
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot list {}: {}", directory.native(),
                          failed.message());
    }
    if (files.size() == before) {
        return make_error(ErrorCode::kNotFound, "there is no file *{} in {}", suffix,
                          directory.native());
    }
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end(),
              [](const FoundFile& a, const FoundFile& b) { return natural_less(a.path, b.path); });
    return {};
}

}  // namespace

std::string run_id_of(std::string_view relative_path) {
    const bool is_text = is_valid_utf8(relative_path);
    std::string id;
    for (const char c : relative_path) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_forbidden = byte <= 0x20 || byte == 0x7F || (byte >= 0x80 && !is_text) ||
                                  std::string_view("#*\"'").find(c) != std::string_view::npos;
        id += c == '/' ? '.' : is_forbidden ? '_' : c;
    }
    return id;
}

Result<std::vector<FoundFile>> find_files(const std::vector<std::string>& paths,
                                          std::string_view suffix) {
    std::vector<FoundFile> files;
    for (const std::string& path : paths) {
        std::error_code failed;
        const fs::file_status status = fs::status(path, failed);
        if (!fs::exists(status)) {
            return make_error(ErrorCode::kNotFound, "cannot open {}: {}", path,
                              failed ? failed.message() : "there is no such file");
        }
        if (fs::is_directory(status)) {
            TRY(find_in_directory(path, suffix, files));
        } else {
            files.push_back({path, run_id_of(fs::path(path).filename().native())});
        }
    }
    return files;
}

}  // namespace stepdb
