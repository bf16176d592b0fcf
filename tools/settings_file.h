// A configuration file: TOML with a name and its value a line.
//
//   # a comment
//   data = "/var/lib/stepdb"
//   query-threads = 4            # behind a value, too
//
// A value is a text or a whole number from 0; tables, lists and everything else are refused by
// their line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace stepdb {

inline constexpr size_t kSettingsFileBytesMax = 64U << 10U;

struct Setting {
    std::string name;
    std::string value;  // as it would be written on the command line
    size_t line = 0;    // from 1
};

// What the text sets, in its order. kInvalidArgument naming the line.
Result<std::vector<Setting>> parse_settings(std::string_view text);

// The same of a file; its errors name the file, too.
Result<std::vector<Setting>> read_settings_file(const std::string& path);

}  // namespace stepdb
