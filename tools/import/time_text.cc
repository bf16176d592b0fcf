#include "tools/import/time_text.h"

#include <charconv>
#include <cmath>

#include "engine/base/float_bits.h"

namespace stepdb {

namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kNanosecondsMin = 100'000'000'000'000'000;  // a number from here on counts them
// Well inside int64 microseconds (9.2e18).
constexpr double kTimeUsMax = 9.0e18;

// Walks over the text of a date.
class DateReader {
  public:
    explicit DateReader(std::string_view text) : text_(text) {}

    bool at_end() const { return text_.empty(); }
    bool take(char c) {
        if (text_.empty() || text_.front() != c) {
            return false;
        }
        text_.remove_prefix(1);
        return true;
    }
    bool take_any(std::string_view set, char& taken) {
        if (text_.empty() || set.find(text_.front()) == std::string_view::npos) {
            return false;
        }
        taken = text_.front();
        text_.remove_prefix(1);
        return true;
    }
    // Exactly `digits` digits.
    bool number(size_t digits, int64_t& value) {
        if (text_.size() < digits || text_.front() == '-') {
            return false;
        }
        const char* const end = text_.data() + digits;
        const auto [stop, code] = std::from_chars(text_.data(), end, value);
        if (code != std::errc() || stop != end) {
            return false;
        }
        text_.remove_prefix(digits);
        return true;
    }
    // One to nine digits of a fraction of a second, rounded to microseconds.
    bool fraction(int64_t& us) {
        int64_t nanoseconds = 0;
        size_t digits = 0;
        for (int64_t digit = 0; digits < 9 && number(1, digit); ++digits) {
            nanoseconds = nanoseconds * 10 + digit;
        }
        if (digits == 0) {
            return false;
        }
        for (; digits < 9; ++digits) {
            nanoseconds *= 10;
        }
        us = (nanoseconds + 500) / 1000;
        return true;
    }

  private:
    std::string_view text_;
};

// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms", days_from_civil), for years from 0 on.
int64_t days_since_epoch(int64_t year, int64_t month, int64_t day) {
    year += 400 - (month <= 2 ? 1 : 0);
    const int64_t era = year / 400 - 1;
    const int64_t year_of_era = year % 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146'097 + day_of_era - 719'468;
}

bool is_day_of_month(int64_t year, int64_t month, int64_t day) {
    if (month < 1 || month > 12 || day < 1) {
        return false;
    }
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const bool is_short = month == 4 || month == 6 || month == 9 || month == 11;
    const int64_t days = month == 2 ? (leap ? 29 : 28) : (is_short ? 30 : 31);
    return day <= days;
}

bool read_time_of_day(DateReader& reader, int64_t& us) {
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t fraction_us = 0;
    if (!reader.number(2, hour) || !reader.take(':') || !reader.number(2, minute)) {
        return false;
    }
    if (reader.take(':')) {
        if (!reader.number(2, second)) {
            return false;
        }
        char point = 0;
        if (reader.take_any(".,", point) && !reader.fraction(fraction_us)) {
            return false;
        }
    }
    us = ((hour * 60 + minute) * 60 + second) * kSecondUs + fraction_us;
    return hour < 24 && minute < 60 && second <= 60;  // 60: a leap second
}

// What is to be added to local time; 0 without a zone.
bool read_zone(DateReader& reader, int64_t& us) {
    us = 0;
    char sign = 0;
    if (reader.at_end() || reader.take('Z') || reader.take('z')) {
        return true;
    }
    int64_t hours = 0;
    int64_t minutes = 0;
    if (!reader.take_any("+-", sign) || !reader.number(2, hours)) {
        return false;
    }
    const bool has_colon = reader.take(':');
    if ((has_colon || !reader.at_end()) && !reader.number(2, minutes)) {
        return false;
    }
    us = (hours * 60 + minutes) * 60 * kSecondUs * (sign == '+' ? -1 : 1);
    return hours < 24 && minutes < 60;
}

std::optional<int64_t> parse_date(std::string_view text) {
    DateReader reader(text);
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    char separator = 0;
    if (!reader.number(4, year) || !reader.take_any("-/", separator) || !reader.number(2, month) ||
        !reader.take(separator) || !reader.number(2, day) || !is_day_of_month(year, month, day)) {
        return std::nullopt;
    }
    int64_t of_day_us = 0;
    int64_t zone_us = 0;
    char between = 0;
    if (reader.take_any("Tt ", between) &&
        (!read_time_of_day(reader, of_day_us) || !read_zone(reader, zone_us))) {
        return std::nullopt;
    }
    if (!reader.at_end()) {
        return std::nullopt;
    }
    return days_since_epoch(year, month, day) * 86'400 * kSecondUs + of_day_us + zone_us;
}

double microseconds_of(double number) {
    const double size = std::fabs(number);
    if (size < 1e11) {
        return number * 1e6;
    }
    if (size < 1e14) {
        return number * 1e3;
    }
    return size < 1e17 ? number : number / 1e3;
}

}  // namespace

std::optional<int64_t> parse_time(std::string_view text) {
    const std::optional<double> number = parse_value(text);
    if (!number) {
        return parse_date(text);
    }
    // Nanoseconds of this century are beyond the integers that a double holds.
    int64_t integer = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (code == std::errc() && end == text.data() + text.size() && integer >= kNanosecondsMin) {
        return integer / 1000 + (integer % 1000 >= 500 ? 1 : 0);
    }
    const double us = microseconds_of(*number);
    if (!(std::fabs(us) < kTimeUsMax)) {
        return std::nullopt;
    }
    return std::llround(us);
}

}  // namespace stepdb
