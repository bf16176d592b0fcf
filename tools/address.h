// HOST:PORT and sizes, as people type them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

inline constexpr std::string_view kDefaultAddress = "127.0.0.1:7420";

struct Address {
    std::string host;  // without brackets
    uint16_t port = 0;
    bool tls = false;  // stepdbs://

    // Only this machine can reach it.
    bool is_loopback() const;
};

// "127.0.0.1:7420", "localhost:0", "[::1]:7420"; "stepdb://" may stand before it, and "stepdbs://"
// asks for TLS.
Result<Address> parse_address(std::string_view text);
std::string format_address(std::string_view host, uint16_t port);

// The least that a server gets by with.
inline constexpr uint64_t kMemoryMin = 256U << 20U;

// The value of --memory: a size of kMemoryMin and more. Errors name the option.
Result<uint64_t> parse_memory(std::string_view text);
// What a server is given without the option ("") too: a quarter of the machine's memory, or of what
// a control group leaves of it.
Result<uint64_t> memory_budget(std::string_view asked);

// Bytes: "1073741824", "512M", "4G", "1.5GiB"; k, M, G and T are powers of 1024, in either case.
Result<uint64_t> parse_size(std::string_view text);

}  // namespace stepdb
