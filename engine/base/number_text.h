// Numbers as logs write them.
#pragma once

#include <optional>
#include <string_view>

namespace stepdb {

// The double nearest to the number (ties to even), whatever its size: 2^53 + 1 is 2^53, 1e999 is
// infinity, 1e-999 is 0. NaN and infinities in the usual spellings. Nothing if it is no number.
std::optional<double> parse_logged_number(std::string_view text);

// A finite step; -0 becomes +0.
std::optional<double> parse_logged_step(std::string_view text);
// The same of a number.
std::optional<double> as_step(double number);

}  // namespace stepdb
