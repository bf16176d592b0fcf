#include "tools/token_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace stepdb::token_access_test {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class HandClock : public Clock {
  public:
    int64_t now_us() const override { return now; }
    int64_t now = 1'000'000;
};

class TokenAccessTest : public ::testing::Test {
  protected:
    TokenAccessTest() {
        std::string name = ::testing::TempDir() + "stepdb-access-XXXXXX";
        CHECK(mkdtemp(name.data()) != nullptr, "{}", name);
        directory_ = name;
    }
    ~TokenAccessTest() override { std::filesystem::remove_all(directory_); }

    // A token that may read `name`.
    std::string add(const std::string& name, int64_t expires_us = 0, uint64_t connections = 0) {
        std::string secret = make_secret().value();
        const Status added = change_token_file(directory_, [&](Tokens& tokens) -> Status {
            AccessToken token(name);
            token.hash = hash_secret(secret);
            token.expires_us = expires_us;
            token.connections_max = connections;
            token.rights.grant(Right::kRead, name);
            tokens.push_back(std::move(token));
            return {};
        });
        CHECK(added.has_value(), "{}", added.error().message());
        return secret;
    }
    void revoke(const std::string& name) {
        const Status changed = change_token_file(directory_, [&](Tokens& tokens) -> Status {
            std::erase_if(tokens, [&](const AccessToken& token) { return token.name == name; });
            return {};
        });
        CHECK(changed.has_value(), "{}", changed.error().message());
    }
    std::string why_not(const std::string& secret) {
        const auto admitted = access_->admit(secret);
        CHECK(!admitted.has_value(), "it was let in");
        EXPECT_THAT(admitted.error().message(), Not(HasSubstr("stepdb_")));
        return admitted.error().message();
    }

    HandClock clock_;
    std::string directory_;
    std::vector<std::string> told_;
    std::optional<TokenAccess> access_;

    void open() {
        access_.emplace(directory_, clock_,
                        [this](const LogEvent& event) { told_.push_back(event.name); });
        ASSERT_TRUE(access_->open().has_value());
    }
};

TEST_F(TokenAccessTest, WithoutTokensEverybodyMayDoEverything) {
    open();
    EXPECT_FALSE(access_->asks_for_tokens());
    const Admission admission = access_->admit("").value();
    EXPECT_EQ(admission.rights, nullptr);
    EXPECT_TRUE(access_->admit("stepdb_whatever").has_value());
    EXPECT_TRUE(access_->check(admission).has_value());
}

TEST_F(TokenAccessTest, ATokenOpensWhatItMay) {
    const std::string one = add("one");
    const std::string two = add("two");
    open();
    EXPECT_TRUE(access_->asks_for_tokens());
    EXPECT_EQ(access_->usable_tokens(), 2U);
    const Admission admission = access_->admit(two).value();
    EXPECT_EQ(admission.token, "two");
    EXPECT_TRUE(admission.rights->may(Right::kRead, "two"));
    EXPECT_FALSE(admission.rights->may(Right::kRead, "one"));
    EXPECT_TRUE(access_->check(admission).has_value());
    EXPECT_THAT(why_not(""), HasSubstr("STEPDB_TOKEN"));
    EXPECT_THAT(why_not(one + "0"), HasSubstr("does not know this token"));
    EXPECT_THAT(why_not(one.substr(0, one.size() - 1)), HasSubstr("does not know this token"));
}

TEST_F(TokenAccessTest, TakesUpWhatChangesWithoutARestart) {
    open();
    const Admission early = access_->admit("").value();
    const std::string one = add("one");
    EXPECT_TRUE(access_->admit(one).has_value());  // at once
    EXPECT_THAT(access_->check(early).error().message(), HasSubstr("asks for tokens from now on"));
    const Admission admission = access_->admit(one).value();
    const std::string two = add("two");
    access_->look();
    EXPECT_TRUE(access_->check(admission).has_value());
    revoke("one");
    access_->look();
    EXPECT_THAT(access_->check(admission).error().message(), HasSubstr("'one' was revoked"));
    why_not(one);
    const std::string again = add("one");
    access_->look();
    EXPECT_FALSE(access_->check(admission).has_value()) << "another token of the same name";
    EXPECT_TRUE(access_->admit(again).has_value());
    EXPECT_THAT(told_, Each("tokens_changed"));
}

TEST_F(TokenAccessTest, AStoreThatHadTokensIsNotOpenedByLosingThem) {
    const std::string one = add("one");
    open();
    const Admission admission = access_->admit(one).value();
    std::filesystem::remove(token_file_path(directory_));
    access_->look();
    access_->look();
    EXPECT_THAT(told_, ElementsAre("tokens_gone"));
    why_not("");
    why_not(one);
    EXPECT_FALSE(access_->check(admission).has_value());
    add("two");
    revoke("two");
    open();
    EXPECT_TRUE(access_->asks_for_tokens()) << "the file is there, without a token";
    EXPECT_EQ(access_->usable_tokens(), 0U);
    why_not("");
}

TEST_F(TokenAccessTest, AFileThatCannotBeReadLeavesWhatThereWas) {
    const std::string one = add("one");
    open();
    const Admission admission = access_->admit(one).value();
    std::filesystem::permissions(token_file_path(directory_), std::filesystem::perms::all);
    access_->look();
    access_->look();
    EXPECT_THAT(told_, ElementsAre("tokens_unread"));
    EXPECT_TRUE(access_->admit(one).has_value());
    EXPECT_TRUE(access_->check(admission).has_value());
}

TEST_F(TokenAccessTest, AnUnreadableFileThatAppearsOpensNothing) {
    open();
    add("one");
    std::filesystem::permissions(token_file_path(directory_), std::filesystem::perms::all);
    why_not("");
}

TEST_F(TokenAccessTest, TokensExpire) {
    const std::string one = add("one", 5'000'000);
    open();
    const Admission admission = access_->admit(one).value();
    clock_.now = 4'999'999;
    EXPECT_TRUE(access_->check(admission).has_value());
    clock_.now = 5'000'000;
    EXPECT_THAT(access_->check(admission).error().message(),
                HasSubstr("'one' expired at 1970-01-01T00:00:05Z"));
    EXPECT_THAT(why_not(one), HasSubstr("expired"));
    EXPECT_EQ(access_->usable_tokens(), 0U);
}

TEST_F(TokenAccessTest, ATokenHasSoManyConnectionsAtATime) {
    const std::string few = add("few", 0, 2);
    const std::string other = add("other");
    open();
    access_->set_connections_max(3);
    std::vector<Admission> in;
    in.push_back(access_->admit(few).value());
    in.push_back(access_->admit(few).value());
    const auto third = access_->admit(few);
    EXPECT_EQ(third.error().code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(third.error().message(), HasSubstr("'few' has 2 connections"));
    in.push_back(access_->admit(other).value());
    in.push_back(access_->admit(other).value());
    in.push_back(access_->admit(other).value());
    EXPECT_FALSE(access_->admit(other).has_value());
    add("unrelated");
    access_->look();  // what is in is still counted
    EXPECT_FALSE(access_->admit(few).has_value());
    in.erase(in.begin());
    EXPECT_TRUE(access_->admit(few).has_value());
}

}  // namespace stepdb::token_access_test
