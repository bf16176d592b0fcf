// Single cells as text, for people and for programs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdb {

// A number in about `digits` significant digits, for a place where width is dear: "0.0034",
// "12.5k", "3.2M". Suffixes k, M, B, T from 10,000 on; an exponent above and below 0.001.
std::string format_short(double value, int digits = 4);

// "12.500" as "12.5", "3.0" as "3"; text without a point as it is.
std::string without_trailing_zeros(std::string text);

// "1 row", "2400 rows".
std::string count_of(uint64_t count, std::string_view one);

// "a, b and 5 more".
std::string list_of(const std::vector<std::string>& names);

// For a terminal: as it is, unless it has control characters or is no UTF-8; then escaped.
std::string safe_text(std::string_view text);

// Columns that `text` takes on a terminal, one per code point.
size_t display_width(std::string_view text);

}  // namespace stepdb
