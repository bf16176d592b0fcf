#include "tools/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace stepdb::token_file_test {

using ::testing::HasSubstr;
using ::testing::Not;

class TokenFileTest : public ::testing::Test {
  protected:
    TokenFileTest() {
        std::string name = ::testing::TempDir() + "stepdb-tokens-XXXXXX";
        CHECK(mkdtemp(name.data()) != nullptr, "{}", name);
        directory_ = name;
    }
    ~TokenFileTest() override { std::filesystem::remove_all(directory_); }

    std::string path() const { return token_file_path(directory_); }
    std::string text() const {
        std::ifstream file(path());
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    Status add(const std::string& name) {
        return change_token_file(directory_, [&](Tokens& tokens) -> Status {
            tokens.emplace_back(name);
            tokens.back().hash = hash_secret(name);
            return {};
        });
    }

    std::string directory_;
};

AccessToken full_token() {
    AccessToken token("all-of-it");
    token.hash = hash_secret("stepdb_x");
    token.created_us = 1'700'000'000'000'000;
    token.expires_us = 1'800'000'000'000'000;
    token.connections_max = 17;
    token.rows_per_second = 10'000;
    token.queries_per_second = 20;
    token.rights.grant(Right::kRead, "a*");
    token.rights.grant(Right::kRead, "b,c=d");
    token.rights.grant(Right::kWrite, "größe");
    token.rights.grant(Right::kAdmin, "*");
    token.rights.grant(Right::kMetrics, "*");
    return token;
}

TEST_F(TokenFileTest, HoldsEverythingButTheSecret) {
    const std::string encoded = encode_tokens({full_token(), AccessToken("plain")});
    EXPECT_THAT(encoded, Not(HasSubstr("stepdb_x")));
    const Tokens tokens = decode_tokens(encoded, "tokens").value();
    ASSERT_EQ(tokens.size(), 2U);
    const AccessToken wanted = full_token();
    EXPECT_EQ(tokens[0].name, wanted.name);
    EXPECT_EQ(tokens[0].hash, wanted.hash);
    EXPECT_EQ(tokens[0].created_us, wanted.created_us);
    EXPECT_EQ(tokens[0].expires_us, wanted.expires_us);
    EXPECT_EQ(tokens[0].connections_max, 17U);
    EXPECT_EQ(tokens[0].rows_per_second, 10'000U);
    EXPECT_EQ(tokens[0].queries_per_second, 20U);
    for (const Right right : kRights) {
        EXPECT_EQ(tokens[0].rights.patterns(right), wanted.rights.patterns(right));
        EXPECT_TRUE(tokens[1].rights.patterns(right).empty());
    }
    EXPECT_EQ(tokens[1].expires_us, 0);
    EXPECT_EQ(encode_tokens(tokens), encoded);
}

TEST_F(TokenFileTest, NoChangedByteIsBelieved) {
    const std::string encoded = encode_tokens({full_token()});
    for (size_t at = 0; at < encoded.size(); ++at) {
        std::string changed = encoded;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        const auto tokens = decode_tokens(changed, "DIR/tokens");
        ASSERT_FALSE(tokens.has_value()) << at;
        EXPECT_THAT(tokens.error().message(), HasSubstr("DIR/tokens"));
    }
    for (size_t bytes = 0; bytes < encoded.size(); ++bytes) {
        EXPECT_FALSE(decode_tokens(encoded.substr(0, bytes), "DIR/tokens").has_value()) << bytes;
    }
    EXPECT_EQ(decode_tokens("stepdb tokens 2\n", "t").error().code(),
              ErrorCode::kUnsupportedVersion);
}

TEST_F(TokenFileTest, SecretsAreRandomAndLong) {
    const std::string one = make_secret().value();
    EXPECT_EQ(one.size(), kTokenPrefix.size() + 64);
    EXPECT_TRUE(one.starts_with(kTokenPrefix));
    EXPECT_NE(one, make_secret().value());
    EXPECT_NE(hash_secret(one), hash_secret(one + " "));
}

TEST_F(TokenFileTest, IsItsOwnersAloneAndReplacedAsAWhole) {
    EXPECT_FALSE(read_token_file(directory_)->has_value());
    EXPECT_FALSE(look_at_token_file(directory_).has_value());
    ASSERT_TRUE(add("one").has_value());
    const auto first = look_at_token_file(directory_);
    struct stat status = {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    // What an interrupted change left is in nobody's way.
    std::ofstream(path() + ".new") << "half";
    ASSERT_TRUE(add("two").has_value());
    EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
    const auto file = read_token_file(directory_).value();
    ASSERT_TRUE(file.has_value());
    EXPECT_EQ(file->tokens.size(), 2U);
    EXPECT_EQ(file->stamp, *look_at_token_file(directory_));
    EXPECT_NE(file->stamp, *first);
}

TEST_F(TokenFileTest, AChangeThatIsRefusedChangesNothing) {
    ASSERT_TRUE(add("one").has_value());
    const std::string before = text();
    const Status refused = change_token_file(directory_, [](Tokens& tokens) -> Status {
        tokens.clear();
        return Error(ErrorCode::kNotFound, "no");
    });
    EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
    EXPECT_EQ(text(), before);
}

TEST_F(TokenFileTest, WhatOthersMayReadIsRefused) {
    ASSERT_TRUE(add("one").has_value());
    ASSERT_EQ(chmod(path().c_str(), 0640), 0);
    const auto file = read_token_file(directory_);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(file.error().message(), HasSubstr("chmod 600 " + path()));
}

}  // namespace stepdb::token_file_test
