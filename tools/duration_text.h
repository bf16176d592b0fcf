// Spans of time, as people type them.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

// Microseconds of a number with us, ms, s, m or h behind it, from 0 to a day. Errors name `option`,
// whose value it is.
Result<int64_t> parse_duration(std::string_view option, std::string_view text);

}  // namespace stepdb
