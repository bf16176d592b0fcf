// Where the ticks of a chart's axis go, and what they say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stepdb {

struct Tick {
    double at = 0;
    std::string label;
};

// At most `count_max` (at least 2) ticks inside [lo, hi] at multiples of 1, 2, 2.5 or 5 times a
// power of ten; labels with the decimals they need, with k, M, B, T where values are large.
std::vector<Tick> number_ticks(double lo, double hi, int count_max);

// Ticks of a logarithmic axis, 0 < lo < hi: at powers of ten, at every second or third of them and
// so on where they are many, and at 1, 2 and 5 times powers of ten where they are few. In a range
// too short for those, those of number_ticks.
std::vector<Tick> log_ticks(double lo, double hi, int count_max);

// The same as number_ticks for microseconds since the epoch, at round times in UTC: "17:23",
// "17:23:05.250", "11-23" where a day begins, "2026-11-23" for ticks of days.
std::vector<Tick> time_ticks(double lo_us, double hi_us, int count_max);

}  // namespace stepdb
