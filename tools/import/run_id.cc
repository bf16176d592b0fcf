#include "tools/import/run_id.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "engine/base/text.h"
#include "engine/model/schema.h"
#include "tools/import/unpacked_source.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

bool fits(std::string_view name, const LogFilePattern& pattern) {
    name = without_packing_suffix(name);
    const auto ends = [&](std::string_view suffix) { return name.ends_with(suffix); };
    const auto has = [&](std::string_view part) {
        return name.find(part) != std::string_view::npos;
    };
    return std::any_of(pattern.suffixes.begin(), pattern.suffixes.end(), ends) ||
           std::any_of(pattern.fragments.begin(), pattern.fragments.end(), has);
}

// The name of a directory, also where it was named "." or "x/..".
std::string own_name(const fs::path& directory) {
    std::error_code ignored;
    const fs::path whole = fs::weakly_canonical(directory, ignored);
    return (whole.has_filename() ? whole : whole.parent_path()).filename().native();
}

// A file below `directory`.
FoundFile found_in(const fs::path& directory, const fs::path& path, bool directory_is_run) {
    if (!directory_is_run) {
        const fs::path relative = path.lexically_relative(directory);
        return {path.native(), run_id_of(without_packing_suffix(relative.native())), path.native()};
    }
    const fs::path parent = path.parent_path();
    const fs::path relative = parent.lexically_relative(directory);
    if (!relative.empty() && relative != ".") {
        return {path.native(), run_id_of(relative.native()), parent.native()};
    }
    // The directory named holds logs itself.
    return {path.native(), run_id_of(own_name(directory)), parent.native()};
}

// The directories below `directory` that are runs, or itself.
Result<std::vector<fs::path>> list_run_directories(const fs::path& directory,
                                                   const LogFilePattern& pattern) {
    std::vector<fs::path> paths;
    if (pattern.is_run_directory(directory.native())) {
        paths.push_back(directory);
        return paths;
    }
    std::error_code failed;
    fs::recursive_directory_iterator at(directory, failed);
    for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
        std::error_code ignored;
        if (!at->is_directory(ignored)) {
            continue;
        }
        const bool is_run = pattern.is_run_directory(at->path().native());
        if (is_run) {
            paths.push_back(at->path());
        }
        if (is_run || at->path().filename().native().starts_with('.')) {
            at.disable_recursion_pending();
        }
    }
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot list {}: {}", directory.native(),
                          failed.message());
    }
    return paths;
}

Status find_run_directories(const fs::path& directory, const LogFilePattern& pattern,
                            std::vector<FoundFile>& files) {
    TRY_ASSIGN(std::vector<fs::path> paths, list_run_directories(directory, pattern));
    if (paths.empty()) {
        return make_error(ErrorCode::kNotFound, "there is no {} in {}", pattern.shown,
                          directory.native());
    }
    std::ranges::sort(paths, [](const fs::path& a, const fs::path& b) {
        return natural_less(a.native(), b.native());
    });
    for (const fs::path& path : paths) {
        const fs::path relative = path.lexically_relative(directory);
        const std::string name = relative == "." ? own_name(directory) : relative.native();
        files.push_back({path.native(), run_id_of(name), path.native()});
    }
    return {};
}

Status find_in_directory(const fs::path& directory, const LogFilePattern& pattern,
                         std::vector<FoundFile>& files) {
    std::vector<fs::path> paths;
    std::error_code failed;
    fs::recursive_directory_iterator at(directory, failed);
    for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
        std::error_code ignored;
        if (fits(at->path().filename().native(), pattern) && at->is_regular_file(ignored)) {
            paths.push_back(at->path());
        }
    }
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot list {}: {}", directory.native(),
                          failed.message());
    }
    if (paths.empty()) {
        return make_error(ErrorCode::kNotFound, "there is no file {} in {}", pattern.shown,
                          directory.native());
    }
    std::sort(paths.begin(), paths.end(), [](const fs::path& a, const fs::path& b) {
        return natural_less(a.native(), b.native());
    });
    for (const fs::path& path : paths) {
        files.push_back(found_in(directory, path, pattern.directory_is_run));
    }
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

FoundFiles find_files(const std::vector<std::string>& paths, const LogFilePattern& pattern) {
    FoundFiles found;
    std::vector<FoundFile> files;
    for (const std::string& path : paths) {
        std::error_code failed;
        const fs::file_status status = fs::status(path, failed);
        if (!fs::exists(status)) {
            found.errors.push_back(make_error(ErrorCode::kNotFound, "cannot open {}: {}", path,
                                              failed ? failed.message() : "there is no such file"));
        } else if (fs::is_directory(status)) {
            const Status listed = pattern.is_run_directory != nullptr
                                      ? find_run_directories(path, pattern, files)
                                      : find_in_directory(path, pattern, files);
            if (!listed) {
                found.errors.push_back(listed.error());
            }
        } else {
            const std::string name = fs::path(path).filename().native();
            files.push_back({path, run_id_of(without_packing_suffix(name)), path});
        }
    }
    std::set<fs::path> seen;
    for (FoundFile& file : files) {
        std::error_code ignored;
        if (seen.insert(fs::absolute(file.path, ignored).lexically_normal()).second) {
            found.files.push_back(std::move(file));
        }
    }
    return found;
}

Result<std::vector<RunFiles>> group_by_run(const std::vector<FoundFile>& files,
                                           const std::string& run) {
    std::vector<RunFiles> runs;
    std::map<std::string, std::pair<size_t, std::string>> known;  // place in runs, origin
    for (const FoundFile& file : files) {
        const std::string& id = run.empty() ? file.run : run;
        const Status valid = check_id("run", id);
        if (!valid) {
            return run.empty()
                       ? valid.error().within(fmt::format("{}: name the run by --run", file.path))
                       : valid.error();
        }
        const auto [at, is_new] = known.emplace(id, std::make_pair(runs.size(), file.origin));
        if (is_new) {
            runs.push_back({id, {}, {}});
        } else if (run.empty() && at->second.second != file.origin) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{} and {} would both become run {}; import them apart, with --run",
                              at->second.second, file.origin, id);
        }
        runs[at->second.first].paths.push_back(file.path);
        runs[at->second.first].parts.push_back(file.part);
    }
    return runs;
}

}  // namespace stepdb
