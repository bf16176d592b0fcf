// Times as people write them.
#pragma once

#include <cstdint>
#include <string>

namespace stepdb {

// "2026-11-23T17:23:13.000250Z"; the fraction has 0, 3 or 6 digits, as many as it needs. Years
// outside 0000..9999 are written with their sign.
std::string format_time(int64_t time_us);

}  // namespace stepdb
