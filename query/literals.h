// Numbers, durations and times as queries write them. Each function takes the whole word and says
// in its error what is wrong with it; the caller adds the place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

// A finite number with an optional suffix k, M, B or T (10^3, 10^6, 10^9, 10^12), rounded once:
// "1.1k" is 1100 exactly. No suffix after an exponent.
Result<double> parse_number(std::string_view text);

// A whole number from 1 to `max`; `what` names it in the error.
Result<uint64_t> parse_count(std::string_view what, std::string_view text, uint64_t max);

// Microseconds: one or more of number and unit, as in "90s", "1.5h", "1h30m". Units: us ms s m h d
// w. Rounded to the nearest microsecond.
Result<int64_t> parse_duration(std::string_view text);

// A moment in microseconds since the Unix epoch: an ISO 8601 date or time ("2026-03-01",
// "2026-03-01T12:30", "...:05.25", then "Z" or an offset such as "+01:00"; UTC if there is none),
// or a number with a unit ("1767225600s", "1767225600000ms").
Result<int64_t> parse_moment(std::string_view text);

// The inverse: "2026-03-01T12:30:05.25Z", without trailing zeros of the fraction; years beyond 9999
// or before 0 with a sign and as many digits as it takes.
std::string format_moment(int64_t time_us);

}  // namespace stepdb
