#include "engine/base/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace stepdb {

namespace {

unsigned byte_at(std::string_view text, size_t at) {
    return static_cast<unsigned char>(text[at]);
}

// Length of the well-formed sequence at `at`, 0 if there is none (Unicode 15, table 3-7).
size_t utf8_sequence(std::string_view text, size_t at) {
    const unsigned lead = byte_at(text, at);
    if (lead < 0x80) {
        return 1;
    }
    size_t length = 0;
    unsigned second_min = 0x80;
    unsigned second_max = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        second_min = lead == 0xE0 ? 0xA0 : 0x80;
        second_max = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        second_min = lead == 0xF0 ? 0x90 : 0x80;
        second_max = lead == 0xF4 ? 0x8F : 0xBF;
    }
    if (length == 0 || at + length > text.size()) {
        return 0;
    }
    const unsigned second = byte_at(text, at + 1);
    if (second < second_min || second > second_max) {
        return 0;
    }
    for (size_t i = 2; i < length; ++i) {
        if ((byte_at(text, at + i) & 0xC0U) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The run of digits at `at`, without leading zeros.
std::string_view digits_at(std::string_view text, size_t at) {
    size_t end = at;
    while (end < text.size() && is_digit(text[end])) {
        ++end;
    }
    while (at + 1 < end && text[at] == '0') {
        ++at;
    }
    return text.substr(at, end - at);
}

size_t skip_digits(std::string_view text, size_t at) {
    while (at < text.size() && is_digit(text[at])) {
        ++at;
    }
    return at;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t length = utf8_sequence(text, at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

bool has_control_characters(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
        const unsigned byte = byte_at(text, i);
        if (byte < 0x20 || byte == 0x7F) {
            return true;
        }
        // U+0080..U+009F are C2 80..9F.
        if (byte == 0xC2 && i + 1 < text.size() && byte_at(text, i + 1) < 0xA0) {
            return true;
        }
    }
    return false;
}

std::string_view trim(std::string_view text, std::string_view blanks) {
    const size_t begin = text.find_first_not_of(blanks);
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::string printable(std::string_view text, size_t bytes_max) {
    std::string out;
    size_t at = 0;
    while (at < text.size() && at < bytes_max) {
        const size_t length = utf8_sequence(text, at);
        if (length == 0 || has_control_characters(text.substr(at, length))) {
            out += fmt::format("\\x{:02x}", byte_at(text, at));
            ++at;
        } else {
            out += text.substr(at, length);
            at += length;
        }
    }
    if (at < text.size()) {
        out += "...";
    }
    return out;
}

bool natural_less(std::string_view a, std::string_view b) {
    size_t i = 0;
    size_t j = 0;
    while (i < a.size() && j < b.size()) {
        if (is_digit(a[i]) && is_digit(b[j])) {
            const std::string_view x = digits_at(a, i);
            const std::string_view y = digits_at(b, j);
            if (x != y) {
                return x.size() != y.size() ? x.size() < y.size() : x < y;
            }
            i = skip_digits(a, i);
            j = skip_digits(b, j);
        } else if (a[i] != b[j]) {
            return byte_at(a, i) < byte_at(b, j);
        } else {
            ++i;
            ++j;
        }
    }
    if (i < a.size() || j < b.size()) {
        return i == a.size();
    }
    return a < b;
}

std::string format_size(uint64_t bytes) {
    static constexpr std::array<std::string_view, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    auto number = static_cast<double>(bytes);
    size_t unit = 0;
    while (number >= 1024 && unit + 1 < kUnits.size()) {
        number /= 1024;
        ++unit;
    }
    return number < 10 && unit > 0 ? fmt::format("{:.1f} {}", number, kUnits.at(unit))
                                   : fmt::format("{:.0f} {}", number, kUnits.at(unit));
}

}  // namespace stepdb
