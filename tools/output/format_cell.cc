#include "tools/output/format_cell.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/float_bits.h"
#include "engine/base/text.h"

namespace stepdb {

std::string format_short(double value, int digits) {
    struct Suffix {
        double unit;
        std::string_view letter;
    };
    constexpr std::array<Suffix, 4> kSuffixes = {{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}};
    const double size = std::fabs(value);
    if (!std::isfinite(value) || size == 0) {
        return format_value(value);
    }
    if (size < 1e-3 || size >= 1e15) {
        return fmt::format("{:.{}g}", value, digits);
    }
    if (size < 9999.5) {
        const int whole_digits = static_cast<int>(std::floor(std::log10(size))) + 1;
        return without_trailing_zeros(
            fmt::format("{:.{}f}", value, std::max(0, digits - std::max(whole_digits, -2))));
    }
    for (const Suffix& suffix : kSuffixes) {
        // The next suffix is due where rounding would show four digits before the point.
        if (size >= suffix.unit * 0.9995) {
            const double scaled = value / suffix.unit;
            const int whole_digits =
                static_cast<int>(std::floor(std::log10(std::fabs(scaled)))) + 1;
            return without_trailing_zeros(
                       fmt::format("{:.{}f}", scaled, std::max(0, digits - whole_digits))) +
                   std::string(suffix.letter);
        }
    }
    return format_value(value);
}

std::string safe_text(std::string_view text) {
    if (is_valid_utf8(text) && !has_control_characters(text)) {
        return std::string(text);
    }
    return printable(text, text.size());
}

std::string without_trailing_zeros(std::string text) {
    if (text.find('.') == std::string::npos) {
        return text;
    }
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') {
        text.pop_back();
    }
    return text;
}

std::string count_of(uint64_t count, std::string_view one) {
    return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string list_of(const std::vector<std::string>& names) {
    constexpr size_t kNamed = 20;
    const size_t shown = std::min(names.size(), kNamed);
    std::string list = fmt::format(
        "{}", fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown), ", "));
    return shown == names.size() ? list : fmt::format("{} and {} more", list, names.size() - shown);
}

size_t display_width(std::string_view text) {
    size_t width = 0;
    for (const char byte : text) {
        width += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1U : 0U;
    }
    return width;
}

}  // namespace stepdb
