#include "query/literals.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <string>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// Beyond this, adding two of them could leave int64.
constexpr double kMicrosecondsMax = 4.0e18;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// All of `text` as a finite decimal number.
std::optional<double> to_number(std::string_view text) {
    // from_chars would also read "inf" and "nan".
    if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) {
        return std::nullopt;
    }
    if (text.front() == '+') {
        text.remove_prefix(1);
        if (text.empty() || text.front() == '-') {
            return std::nullopt;
        }
    }
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::string_view suffix_exponent(char c) {
    switch (c) {
        case 'k':
            return "e3";
        case 'M':
            return "e6";
        case 'B':
            return "e9";
        case 'T':
            return "e12";
        default:
            return {};
    }
}

// Microseconds in a unit, 0 if it is none.
double unit_us(std::string_view unit) {
    if (unit == "us") {
        return 1;
    }
    if (unit == "ms") {
        return 1e3;
    }
    if (unit == "s") {
        return 1e6;
    }
    if (unit == "m") {
        return 60e6;
    }
    if (unit == "h") {
        return 3600e6;
    }
    if (unit == "d") {
        return 86400e6;
    }
    if (unit == "w") {
        return 7 * 86400e6;
    }
    return 0;
}

// How other programs spell our suffixes and units.
struct Spelling {
    std::string_view found;
    std::string_view ours;
};
constexpr Spelling kSuffixSpellings[] = {{"K", "k"}, {"m", "M"}, {"b", "B"},
                                         {"G", "B"}, {"g", "B"}, {"t", "T"}};
constexpr Spelling kUnitSpellings[] = {
    {"usec", "us"}, {"msec", "ms"},  {"millis", "ms"}, {"S", "s"},    {"sec", "s"},
    {"secs", "s"},  {"second", "s"}, {"seconds", "s"}, {"M", "m"},    {"min", "m"},
    {"mins", "m"},  {"minute", "m"}, {"minutes", "m"}, {"H", "h"},    {"hr", "h"},
    {"hrs", "h"},   {"hour", "h"},   {"hours", "h"},   {"D", "d"},    {"day", "d"},
    {"days", "d"},  {"W", "w"},      {"wk", "w"},      {"week", "w"}, {"weeks", "w"},
};

std::string_view our_spelling(std::string_view found, std::span<const Spelling> spellings) {
    for (const Spelling& spelling : spellings) {
        if (spelling.found == found) {
            return spelling.ours;
        }
    }
    return found;
}

// "; did you mean 'X'?" if X, `text` with our spellings, is another text that `parse` takes.
template <typename Parse>
std::string suggest(std::string_view text, const std::string& respelled, Parse parse) {
    return respelled != text && parse(respelled)
               ? fmt::format("; did you mean '{}'?", printable(respelled, 80))
               : std::string();
}

// A number with its suffix as we spell it, and without underscores between its digits.
std::string respell_number(std::string_view text) {
    std::string respelled;
    for (const char c : text) {
        respelled += c == '_' ? "" : std::string(1, c);
    }
    if (!respelled.empty()) {
        const std::string last(1, respelled.back());
        respelled.pop_back();
        respelled += our_spelling(last, kSuffixSpellings);
    }
    return respelled;
}

std::string respell_duration(std::string_view text) {
    std::string respelled;
    while (!text.empty()) {
        const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
        const size_t next = std::min(text.find_first_of("0123456789.", digits), text.size());
        respelled += text.substr(0, digits);
        respelled += our_spelling(text.substr(digits, next - digits), kUnitSpellings);
        text.remove_prefix(next);
    }
    return respelled;
}

// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Hinnant, "chrono-compatible
// low-level date algorithms").
int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2 ? 1 : 0;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct CivilDate {
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
};

// The inverse of days_from_civil, from the same source.
CivilDate civil_from_days(int64_t days) {
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted_month = (5 * day_of_year + 2) / 153;
    CivilDate date;
    date.day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    date.month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
    return date;
}

int64_t days_in_month(int64_t year, int64_t month) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    constexpr int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && leap ? 29 : kDays[month - 1];
}

// Reads an ISO 8601 time from the left. Every take_* leaves the rest, or fails for good.
class TimeReader {
  public:
    explicit TimeReader(std::string_view text) : rest_(text) {}

    // Exactly `digits` digits.
    int64_t take_digits(size_t digits) {
        int64_t value = 0;
        for (size_t i = 0; i < digits; ++i) {
            if (i >= rest_.size() || !is_digit(rest_[i])) {
                failed_ = true;
                return 0;
            }
            value = value * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(digits);
        return value;
    }
    bool take_if(char c) {
        if (rest_.empty() || rest_.front() != c) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }
    void take(char c) { failed_ = !take_if(c) || failed_; }
    // Up to six digits of a fraction of a second, as microseconds.
    int64_t take_fraction() {
        int64_t value = 0;
        int64_t unit = 100000;
        size_t digits = 0;
        while (digits < rest_.size() && is_digit(rest_[digits]) && unit > 0) {
            value += unit * (rest_[digits] - '0');
            unit /= 10;
            ++digits;
        }
        failed_ = failed_ || digits == 0;
        rest_.remove_prefix(digits);
        return value;
    }
    bool finished() const { return !failed_ && rest_.empty(); }
    bool at_end() const { return rest_.empty(); }

  private:
    std::string_view rest_;
    bool failed_ = false;
};

bool looks_like_date(std::string_view text) {
    return text.size() >= 5 && is_digit(text[0]) && is_digit(text[1]) && is_digit(text[2]) &&
           is_digit(text[3]) && text[4] == '-';
}

Result<int64_t> parse_date(std::string_view text) {
    TimeReader reader(text);
    const int64_t year = reader.take_digits(4);
    reader.take('-');
    const int64_t month = reader.take_digits(2);
    reader.take('-');
    const int64_t day = reader.take_digits(2);
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t fraction_us = 0;
    int64_t zone_minutes = 0;
    if (!reader.at_end()) {
        reader.take('T');
        hour = reader.take_digits(2);
        reader.take(':');
        minute = reader.take_digits(2);
        if (reader.take_if(':')) {
            second = reader.take_digits(2);
            fraction_us = reader.take_if('.') ? reader.take_fraction() : 0;
        }
        const bool east = reader.take_if('+');
        if (east || reader.take_if('-')) {
            const int64_t hours = reader.take_digits(2);
            reader.take(':');
            const int64_t minutes = reader.take_digits(2);
            zone_minutes = (hours * 60 + minutes) * (east ? 1 : -1);
        } else {
            reader.take_if('Z');
        }
    }
    if (!reader.finished()) {
        return invalid_argument(
            fmt::format("'{}' is not a time of the form 2026-03-01 or "
                        "2026-03-01T12:30:05.25Z (up to six decimals, then Z or +HH:MM)",
                        printable(text, 80)));
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59 || std::abs(zone_minutes) >= int64_t{24} * 60) {
        return invalid_argument(fmt::format("'{}' is not a time that exists", text));
    }
    const int64_t minutes =
        (days_from_civil(year, month, day) * 24 + hour) * 60 + minute - zone_minutes;
    return (minutes * 60 + second) * 1000000 + fraction_us;
}

}  // namespace

Result<double> parse_number(std::string_view text) {
    std::optional<double> value = to_number(text);
    if (!value && text.size() > 1) {
        const std::string_view exponent = suffix_exponent(text.back());
        const std::string_view digits = text.substr(0, text.size() - 1);
        if (!exponent.empty() && digits.find_first_of("eE") == std::string_view::npos &&
            to_number(digits)) {
            value = to_number(fmt::format("{}{}", digits, exponent));
        }
    }
    if (!value) {
        return invalid_argument(
            fmt::format("'{}' is not a number such as 500, 2.5, 1e6, 20k or 3M{}",
                        printable(text, 80), suggest(text, respell_number(text), parse_number)));
    }
    return *value;
}

Result<uint64_t> parse_count(std::string_view what, std::string_view text, uint64_t max) {
    const Result<double> number = parse_number(text);
    const double value = number ? *number : 0;
    if (!number || value < 1 || value != std::floor(value) || value > static_cast<double>(max)) {
        const auto parse = [&](std::string_view respelled) {
            return parse_count(what, respelled, max).has_value();
        };
        const std::string suggestion =
            number ? std::string() : suggest(text, respell_number(text), parse);
        return invalid_argument(
            fmt::format("expected {} as a whole number from 1 to {}, found '{}'{}", what, max,
                        printable(text, 80), suggestion));
    }
    return static_cast<uint64_t>(value);
}

Result<int64_t> parse_duration(std::string_view text) {
    double total = 0;
    std::string_view rest = text;
    bool good = !rest.empty();
    while (good && !rest.empty()) {
        const size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
        const size_t next = rest.find_first_of("0123456789.", digits);
        const std::string_view unit = rest.substr(digits, std::min(next, rest.size()) - digits);
        const std::optional<double> number = to_number(rest.substr(0, digits));
        good = number.has_value() && unit_us(unit) > 0;
        if (good) {
            total += *number * unit_us(unit);
            rest.remove_prefix(digits + unit.size());
        }
    }
    if (!good) {
        return invalid_argument(fmt::format(
            "'{}' is not a duration such as 90s, 1.5h or 1h30m; units are "
            "us ms s m h d w{}",
            printable(text, 80), suggest(text, respell_duration(text), parse_duration)));
    }
    if (total > kMicrosecondsMax) {
        return invalid_argument(
            fmt::format("'{}' is longer than 100,000 years", printable(text, 80)));
    }
    return std::llround(total);
}

namespace {

// 1970 to 2199: hardly seconds since 1970.
bool is_year(std::string_view text) {
    return text.size() == 4 && text >= "1970" && text <= "2199" &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<int64_t> parse_moment(std::string_view text) {
    if (looks_like_date(text)) {
        return parse_date(text);
    }
    if (is_year(text)) {
        return invalid_argument(fmt::format(
            "a year alone is no time: write {}-01-01, or {}s for seconds since 1970", text, text));
    }
    if (to_number(text)) {
        return invalid_argument(
            fmt::format("the time '{}' needs a unit, as in {}s (seconds since 1970) or {}us", text,
                        text, text));
    }
    const bool negative = !text.empty() && text.front() == '-';
    const Result<int64_t> since_epoch = parse_duration(text.substr(negative ? 1 : 0));
    if (!since_epoch) {
        return invalid_argument(
            fmt::format("'{}' is not a time such as 2026-03-01, 2026-03-01T12:30:05Z, "
                        "1767225600s or now-1h{}",
                        printable(text, 80), suggest(text, respell_duration(text), parse_moment)));
    }
    return negative ? -*since_epoch : *since_epoch;
}

std::string format_moment(int64_t time_us) {
    constexpr int64_t kSecond = 1000000;
    constexpr int64_t kDay = 86400 * kSecond;
    const int64_t day_us = (time_us % kDay + kDay) % kDay;
    const CivilDate date = civil_from_days(time_us / kDay - (time_us % kDay < 0 ? 1 : 0));
    const int64_t second = day_us / kSecond;
    std::string fraction = day_us % kSecond == 0 ? "" : fmt::format(".{:06}", day_us % kSecond);
    while (!fraction.empty() && fraction.back() == '0') {
        fraction.pop_back();
    }
    const std::string year = date.year >= 0 && date.year <= 9999 ? fmt::format("{:04}", date.year)
                                                                 : fmt::format("{:+05}", date.year);
    return fmt::format("{}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z", year, date.month, date.day,
                       second / 3600, second / 60 % 60, second % 60, fraction);
}

}  // namespace stepdb
