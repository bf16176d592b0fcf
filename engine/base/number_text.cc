#include "engine/base/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "engine/base/float_bits.h"

namespace stepdb {

std::optional<double> parse_logged_number(std::string_view text) {
    const std::optional<double> value = parse_value(text);
    if (value) {
        return value;
    }
    std::string_view number = text;
    if (number.size() > 1 && number[0] == '+' && number[1] != '-') {
        number.remove_prefix(1);
    }
    double ignored = 0;
    const char* const end = number.data() + number.size();
    const auto [stop, code] = std::from_chars(number.data(), end, ignored);
    if (code != std::errc::result_out_of_range || stop != end) {
        return std::nullopt;
    }
    // from_chars tells no more than that; strtod rounds. No program of ours sets a locale.
    return std::strtod(std::string(number).c_str(), nullptr);
}

std::optional<double> as_step(double number) {
    if (!std::isfinite(number)) {
        return std::nullopt;
    }
    return number == 0 ? 0.0 : number;
}

std::optional<double> parse_logged_step(std::string_view text) {
    const std::optional<double> step = parse_logged_number(text);
    return step ? as_step(*step) : std::nullopt;
}

}  // namespace stepdb
