// Text that comes from outside: validity, ids, sizes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/bytes.h"

namespace stepdb {

// Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text);

// True if any code point is a control character (U+0000..1F, U+007F..9F). Needs valid UTF-8.
bool has_control_characters(std::string_view text);

// `text` for an error message: control and non-UTF-8 bytes as \xNN, cut after `bytes_max` bytes.
std::string printable(std::string_view text, size_t bytes_max = 200);

// Blank space within a line that may end in CR LF.
inline constexpr std::string_view kLineBlanks = " \t\r";

// Without `blanks` at either end.
std::string_view trim(std::string_view text, std::string_view blanks = " \t");

// Natural order, in which layer 2 comes before layer 10: runs of digits compare by their number,
// everything else by bytes; ties by bytes.
bool natural_less(std::string_view a, std::string_view b);

// For people: "256 MiB", "1.5 GiB", "17 bytes".
std::string format_size(uint64_t bytes);

}  // namespace stepdb
