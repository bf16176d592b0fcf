#include "engine/base/civil_time.h"

#include <fmt/format.h>

namespace stepdb {

namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDayUs = 86'400 * kSecondUs;

struct CivilDate {
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", civil_from_days).
CivilDate civil_date(int64_t days) {
    days += 719'468;
    const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
    const int64_t day_of_era = days - era * 146'097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted_month = (5 * day_of_year + 2) / 153;
    const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
            day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

}  // namespace

std::string format_time(int64_t time_us) {
    int64_t days = time_us / kDayUs;
    int64_t rest = time_us % kDayUs;
    if (rest < 0) {
        rest += kDayUs;
        --days;
    }
    const CivilDate date = civil_date(days);
    const int64_t seconds = rest / kSecondUs;
    const int64_t fraction = rest % kSecondUs;
    const bool plain_year = date.year >= 0 && date.year <= 9999;
    std::string text =
        fmt::format("{}-{:02}-{:02}T{:02}:{:02}:{:02}",
                    plain_year ? fmt::format("{:04}", date.year) : fmt::format("{:+}", date.year),
                    date.month, date.day, seconds / 3600, seconds / 60 % 60, seconds % 60);
    if (fraction % 1000 != 0) {
        text += fmt::format(".{:06}", fraction);
    } else if (fraction != 0) {
        text += fmt::format(".{:03}", fraction / 1000);
    }
    return text + "Z";
}

}  // namespace stepdb
