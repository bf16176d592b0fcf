#include "tools/output/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "engine/base/civil_time.h"
#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

constexpr double kSecondUs = 1e6;
constexpr double kMinuteUs = 60 * kSecondUs;
constexpr double kHourUs = 60 * kMinuteUs;
constexpr double kDayUs = 24 * kHourUs;

// The smallest distance 1, 2, 2.5 or 5 times a power of ten with at most `count_max` ticks.
double nice_distance(double lo, double hi, int count_max) {
    const double least = (hi - lo) / std::max(1, count_max - 1);
    const double power = std::pow(10.0, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
        if (factor * power >= least) {
            return factor * power;
        }
    }
    return 10 * power;
}

double nice_time_distance(double lo_us, double hi_us, int count_max) {
    constexpr std::array<double, 19> kDistances = {
        kSecondUs,      2 * kSecondUs,  5 * kSecondUs, 10 * kSecondUs, 15 * kSecondUs,
        30 * kSecondUs, kMinuteUs,      2 * kMinuteUs, 5 * kMinuteUs,  10 * kMinuteUs,
        15 * kMinuteUs, 30 * kMinuteUs, kHourUs,       2 * kHourUs,    3 * kHourUs,
        6 * kHourUs,    12 * kHourUs,   kDayUs,        2 * kDayUs};
    const double least = (hi_us - lo_us) / std::max(1, count_max - 1);
    if (least <= kSecondUs / 2) {
        return std::max(1.0, nice_distance(lo_us, hi_us, count_max));
    }
    for (const double distance : kDistances) {
        if (distance >= least) {
            return distance;
        }
    }
    return std::ceil(nice_distance(lo_us / kDayUs, hi_us / kDayUs, count_max)) * kDayUs;
}

// Multiples of `distance` inside [lo, hi], at most `count_max`: in a range so narrow that multiples
// differ by rounding only, some would come twice.
std::vector<double> multiples(double lo, double hi, double distance, int count_max) {
    std::vector<double> places;
    const double first = std::ceil(lo / distance);
    for (int i = 0; i < count_max; ++i) {
        const double place = (first + i) * distance;
        if (!(place <= hi)) {
            break;
        }
        if (places.empty() || place != places.back()) {
            places.push_back(place);
        }
    }
    return places;
}

// Decimals that tell multiples of `distance` apart.
int decimals_of(double distance) {
    for (int decimals = 0; decimals < 12; ++decimals) {
        const double scaled = distance * std::pow(10.0, decimals);
        if (std::fabs(scaled - std::round(scaled)) < 1e-6 * scaled) {
            return decimals;
        }
    }
    return 12;
}

std::string number_label(double place, double distance, double largest) {
    struct Unit {
        double size;
        std::string_view letter;
    };
    constexpr std::array<Unit, 4> kUnits = {{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}};
    if (place == 0) {
        return "0";
    }
    if (largest >= 1e15 || largest < 1e-4) {
        return fmt::format("{:.4g}", place);
    }
    if (largest < 1e4) {
        return fmt::format("{:.{}f}", place, decimals_of(distance));
    }
    for (const Unit& unit : kUnits) {
        if (std::fabs(place) >= unit.size) {
            const int decimals = std::min(6, decimals_of(distance / unit.size));
            return without_trailing_zeros(fmt::format("{:.{}f}", place / unit.size, decimals)) +
                   std::string(unit.letter);
        }
    }
    return without_trailing_zeros(fmt::format("{:.{}f}", place, decimals_of(distance)));
}

std::string time_label(double place, double distance, bool first) {
    const std::string iso = format_time(static_cast<int64_t>(place));  // 2026-11-23T17:23:13Z
    const size_t split = iso.find('T');
    if (split == std::string::npos || distance >= kDayUs) {
        return iso.substr(0, split);
    }
    const std::string date = iso.substr(0, split);
    std::string clock = iso.substr(split + 1, iso.size() - split - 2);
    if (distance >= kMinuteUs) {
        clock.resize(5);
    }
    const bool midnight = std::fmod(place, kDayUs) == 0;
    return midnight || first ? date.substr(date.size() - 5) + " " + clock : clock;
}

}  // namespace

std::vector<Tick> number_ticks(double lo, double hi, int count_max) {
    std::vector<Tick> ticks;
    constexpr double kRangeMin = 1e-300;  // below, powers of ten are no longer exact
    if (!(hi - lo > kRangeMin) || !std::isfinite(hi - lo)) {
        return {{lo, format_short(lo)}};
    }
    const double distance = nice_distance(lo, hi, count_max);
    const double largest = std::max(std::fabs(lo), std::fabs(hi));
    for (const double place : multiples(lo, hi, distance, count_max)) {
        ticks.push_back({place, number_label(place, distance, largest)});
    }
    return ticks;
}

std::vector<Tick> log_ticks(double lo, double hi, int count_max) {
    const int first = static_cast<int>(std::floor(std::log10(lo)));
    const int last = static_cast<int>(std::floor(std::log10(hi)));
    const int room = std::max(2, count_max);
    const auto ticks_at = [&](std::initializer_list<double> factors, int stride) {
        std::vector<Tick> ticks;
        for (int power = first; power <= last; ++power) {
            for (const double factor : factors) {
                const double place = factor * std::pow(10.0, power);
                if (power % stride == 0 && place >= lo && place <= hi) {
                    ticks.push_back({place, format_short(place)});
                }
            }
        }
        return ticks;
    };
    std::vector<Tick> ticks = ticks_at({1, 2, 5}, 1);
    if (ticks.size() > static_cast<size_t>(room)) {
        ticks = ticks_at({1}, (last - first + room) / room);
    }
    constexpr size_t kTicksMin = 2;
    return ticks.size() < kTicksMin ? number_ticks(lo, hi, count_max) : ticks;
}

std::vector<Tick> time_ticks(double lo_us, double hi_us, int count_max) {
    std::vector<Tick> ticks;
    if (!(lo_us < hi_us)) {
        return {{lo_us, format_time(static_cast<int64_t>(lo_us))}};
    }
    const double distance = nice_time_distance(lo_us, hi_us, count_max);
    for (const double place : multiples(lo_us, hi_us, distance, count_max)) {
        ticks.push_back({place, time_label(place, distance, ticks.empty())});
    }
    return ticks;
}

}  // namespace stepdb
