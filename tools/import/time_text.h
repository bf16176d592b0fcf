// Times as other tools write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace stepdb {

// Microseconds since the Unix epoch. A number counts from the epoch in the unit that its size
// gives away: seconds below 1e11 (until the year 5138), else milliseconds below 1e14, else
// microseconds below 1e17, else nanoseconds. Otherwise a date as ISO-8601 has it:
//
//   2026-11-23   2026-11-23T17:23:05   2026/11/23 17:23:05.250   2026-11-23T17:23:05+02:00
//
// with `-` or `/` in the date, `T` or a blank before the time, up to nine digits of a fraction, and
// UTC unless a zone (`Z`, `+HH`, `+HHMM`, `+HH:MM`) says otherwise. Fractions of a microsecond are
// rounded. Nothing if it is no time or lies outside of what int64 microseconds hold.
std::optional<int64_t> parse_time(std::string_view text);

}  // namespace stepdb
