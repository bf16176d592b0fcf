#include "tools/address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "engine/base/text.h"
#include "tools/machine_memory.h"

namespace stepdb {

namespace {

constexpr std::string_view kPlainScheme = "stepdb://";
constexpr std::string_view kTlsScheme = "stepdbs://";
constexpr std::string_view kSizeLetters = "kmgt";

Error bad_size(std::string_view text) {
    return make_error(ErrorCode::kInvalidArgument,
                      "'{}' is no size; write bytes or a number with k, M, G or T, such as 512M",
                      printable(text));
}

}  // namespace

bool Address::is_loopback() const {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<Address> parse_address(std::string_view text) {
    const std::string_view whole = text;
    Address address;
    for (const std::string_view scheme : {kPlainScheme, kTlsScheme}) {
        if (text.starts_with(scheme)) {
            text.remove_prefix(scheme.size());
            address.tls = scheme == kTlsScheme;
            break;
        }
    }
    const size_t colon = text.rfind(':');
    if (colon != std::string_view::npos) {
        address.host = text.substr(0, colon);
        const std::string_view port = text.substr(colon + 1);
        const auto [end, code] =
            std::from_chars(port.data(), port.data() + port.size(), address.port);
        if (code == std::errc() && end == port.data() + port.size()) {
            std::string& host = address.host;
            const bool has_brackets =
                host.size() > 2 && host.starts_with('[') && host.ends_with(']');
            if (has_brackets) {
                host = host.substr(1, host.size() - 2);
            }
            const bool has_colons = host.find(':') != std::string::npos;
            if (!host.empty() && host != "[]" && has_brackets == has_colons) {
                return address;
            }
        }
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "'{}' is no address; write HOST:PORT, such as {} (IPv6 as [::1]:7420), with "
                      "stepdbs:// before it for TLS",
                      printable(whole), kDefaultAddress);
}

std::string format_address(std::string_view host, uint16_t port) {
    return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                    : fmt::format("[{}]:{}", host, port);
}

Result<uint64_t> parse_size(std::string_view text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (code != std::errc() || !(number >= 0)) {
        return bad_size(text);
    }
    std::string_view unit(stop, static_cast<size_t>(end - stop));
    if (unit.starts_with(' ')) {
        unit.remove_prefix(1);
    }
    if (!unit.empty()) {
        const char letter = static_cast<char>(unit.front() | 0x20);
        const size_t power = kSizeLetters.find(letter);
        if (power != std::string_view::npos) {
            number *= std::pow(1024.0, static_cast<double>(power + 1));
            unit.remove_prefix(1);
        }
        if (!unit.empty() && unit != "B" && unit != "iB") {
            return bad_size(text);
        }
    }
    if (number >= 0x1p63) {
        return bad_size(text);
    }
    return static_cast<uint64_t>(number);
}

Result<uint64_t> memory_budget(std::string_view asked) {
    if (!asked.empty()) {
        return parse_memory(asked);
    }
    return std::max(kMemoryMin, memory_of_machine() / 4);
}

Result<uint64_t> parse_memory(std::string_view text) {
    const Result<uint64_t> bytes = parse_size(text);
    if (!bytes) {
        return bytes.error().within("--memory");
    }
    if (*bytes < kMemoryMin) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--memory {} is too little; at least {} are needed", printable(text),
                          format_size(kMemoryMin));
    }
    return *bytes;
}

}  // namespace stepdb
