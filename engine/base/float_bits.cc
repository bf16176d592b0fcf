#include "engine/base/float_bits.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace stepdb {

namespace {

constexpr uint64_t kDoubleExponent = 0x7FF0000000000000ULL;
constexpr uint64_t kDoubleFraction = 0x000FFFFFFFFFFFFFULL;
constexpr uint64_t kCanonicalNan = 0x7FF8000000000000ULL;

std::optional<double> parse_special(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    const double infinity = std::numeric_limits<double>::infinity();
    if (lower == "nan") {
        return std::bit_cast<double>(kCanonicalNan);
    }
    if (lower == "inf" || lower == "+inf" || lower == "infinity" || lower == "+infinity") {
        return infinity;
    }
    if (lower == "-inf" || lower == "-infinity") {
        return -infinity;
    }
    if (lower.starts_with("nan:")) {
        uint64_t bits = 0;
        const char* end = lower.data() + lower.size();
        const auto [stop, error] = std::from_chars(lower.data() + 4, end, bits, 16);
        const bool is_nan =
            (bits & kDoubleExponent) == kDoubleExponent && (bits & kDoubleFraction) != 0;
        if (error == std::errc() && stop == end && is_nan) {
            return std::bit_cast<double>(bits);
        }
    }
    return std::nullopt;
}

}  // namespace

double widen(uint32_t float_bits) {
    const bool is_nan =
        (float_bits & 0x7F800000U) == 0x7F800000U && (float_bits & 0x007FFFFFU) != 0;
    if (!is_nan) {
        return static_cast<double>(std::bit_cast<float>(float_bits));
    }
    const uint64_t sign = static_cast<uint64_t>(float_bits >> 31U) << 63U;
    const uint64_t payload = static_cast<uint64_t>(float_bits & 0x007FFFFFU) << 29U;
    return std::bit_cast<double>(sign | kDoubleExponent | payload);
}

std::optional<uint32_t> narrow(double value) {
    const uint64_t bits = bits_of(value);
    const bool is_nan =
        (bits & kDoubleExponent) == kDoubleExponent && (bits & kDoubleFraction) != 0;
    uint32_t narrowed = 0;
    if (is_nan) {
        narrowed = static_cast<uint32_t>(bits >> 63U) << 31U | 0x7F800000U |
                   static_cast<uint32_t>((bits & kDoubleFraction) >> 29U);
    } else {
        narrowed = bits_of(static_cast<float>(value));
    }
    if (bits_of(widen(narrowed)) != bits) {
        return std::nullopt;
    }
    return narrowed;
}

std::string format_value(double value) {
    const uint64_t bits = bits_of(value);
    if (std::isnan(value)) {
        return bits == kCanonicalNan ? "NaN" : fmt::format("nan:{:016x}", bits);
    }
    if (std::isinf(value)) {
        return value > 0 ? "Infinity" : "-Infinity";
    }
    return fmt::format("{}", value);
}

std::optional<double> parse_value(std::string_view text) {
    std::string_view number = text;
    if (number.size() > 1 && number[0] == '+' && number[1] != '-') {
        number.remove_prefix(1);
    }
    const char* end = number.data() + number.size();
    double value = 0;
    const auto [stop, error] = std::from_chars(number.data(), end, value);
    if (error == std::errc() && stop == end && std::isfinite(value)) {
        return value;
    }
    return parse_special(text);
}

}  // namespace stepdb
