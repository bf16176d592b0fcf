// Which files an import means, and the ids of their runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_part.h"

namespace stepdb {

// Which files of a directory are logs of a format.
struct LogFilePattern {
    LogFilePattern() = default;

    std::string_view shown;                   // "*.csv"
    std::vector<std::string_view> suffixes;   // of the name, `.gz` or `.zst` behind them or not
    std::vector<std::string_view> fragments;  // anywhere in the name
    bool directory_is_run = false;            // else each file is one
    // Set: a run is a directory that it holds for one, whatever is in it; hidden ones are none.
    bool (*is_run_directory)(const std::string& directory) = nullptr;
};

struct FoundFile {
    std::string path;
    std::string run;     // id by default
    std::string origin;  // what the run was named after: the file, or its directory
    std::optional<LogPart> part = std::nullopt;  // of the file; unset: all of it
};

struct FoundFiles {
    FoundFiles() = default;

    std::vector<FoundFile> files;
    std::vector<Error> errors;  // of paths: what is not there, and directories without any
};

// The ids of files leave out `.gz` and `.zst`.
//
// The files (or run directories) named, and of directories those within, to any depth, that fit the
// pattern; in natural order of their paths. A file that is named twice comes once, where it was
// named first.
FoundFiles find_files(const std::vector<std::string>& paths, const LogFilePattern& pattern);

// A run's id from a path: `/` as `.`, bytes that ids may not have as `_`.
std::string run_id_of(std::string_view relative_path);

// Files that go into one run.
struct RunFiles {
    std::string run;
    std::vector<std::string> paths;
    std::vector<std::optional<LogPart>> parts;  // of each
};

// The files by run, in the order of first appearance; all in one run if `run` names it.
// kInvalidArgument if two that were not meant for one run would come together in it.
Result<std::vector<RunFiles>> group_by_run(const std::vector<FoundFile>& files,
                                           const std::string& run);

}  // namespace stepdb
