#include "tools/address.h"

#include <gtest/gtest.h>

namespace stepdb::address_test {

TEST(ParseAddress, TakesHostsAndPorts) {
    const auto check = [](std::string_view text, std::string_view host, uint16_t port,
                          bool tls = false) {
        const Result<Address> address = parse_address(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->host, host);
        EXPECT_EQ(address->port, port);
        EXPECT_EQ(address->tls, tls);
    };
    check("127.0.0.1:7420", "127.0.0.1", 7420);
    check("localhost:0", "localhost", 0);
    check("[::1]:65535", "::1", 65535);
    check("stepdb://host:1", "host", 1);
    check("stepdbs://stepdb.example.org:7420", "stepdb.example.org", 7420, true);
    check("stepdbs://[::1]:7420", "::1", 7420, true);
}

TEST(ParseAddress, RefusesOthersByName) {
    for (const std::string_view text :
         {"", "localhost", ":7420", "host:", "host:port", "host:65536", "host:-1", "host:80x",
          "::1:7420", "[]:80", "stepdbs://", "stepdbs://host", "stepdbs://:1"}) {
        const Result<Address> address = parse_address(text);
        ASSERT_FALSE(address) << text;
        EXPECT_NE(address.error().message().find(fmt::format("'{}'", text)), std::string::npos);
    }
}

TEST(Address, KnowsLoopback) {
    for (const std::string_view text : {"127.0.0.1:1", "127.8.9.1:1", "localhost:1", "[::1]:1"}) {
        EXPECT_TRUE(parse_address(text)->is_loopback()) << text;
    }
    for (const std::string_view text : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "host:1"}) {
        EXPECT_FALSE(parse_address(text)->is_loopback()) << text;
    }
}

TEST(ParseSize, TakesUnits) {
    EXPECT_EQ(*parse_size("0"), 0U);
    EXPECT_EQ(*parse_size("4096"), 4096U);
    EXPECT_EQ(*parse_size("512M"), 512U << 20U);
    EXPECT_EQ(*parse_size("512m"), 512U << 20U);
    EXPECT_EQ(*parse_size("1.5GiB"), 3ULL << 29U);
    EXPECT_EQ(*parse_size("2 kB"), 2048U);
    EXPECT_EQ(*parse_size("1T"), 1ULL << 40U);
}

TEST(ParseSize, RefusesOthers) {
    for (const std::string_view text : {"", "M", "-1", "1X", "1Mx", "1e3", "nan", "99999999T"}) {
        EXPECT_FALSE(parse_size(text)) << text;
    }
}

}  // namespace stepdb::address_test
