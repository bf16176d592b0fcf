// Which files an import means, and the ids of their runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace stepdb {

struct FoundFile {
    std::string path;
    std::string run;  // id by default
};

// The files named, and of directories those within, to any depth, whose name ends in `suffix`; in
// natural order of their paths. kNotFound for what is not there, and for a directory without any.
Result<std::vector<FoundFile>> find_files(const std::vector<std::string>& paths,
                                          std::string_view suffix);

// A run's id from a path: `/` as `.`, bytes that ids may not have as `_`.
std::string run_id_of(std::string_view relative_path);

}  // namespace stepdb
