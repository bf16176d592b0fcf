#include "engine/model/rights.h"

#include <gtest/gtest.h>

namespace stepdb::rights_test {

Rights with(Right right, std::string_view pattern) {
    Rights rights("token 'ci'");
    rights.grant(right, parse_project_pattern(pattern).value());
    return rights;
}

TEST(Rights, AreOfTheProjectsTheirPatternsNameAndNoOthers) {
    struct {
        std::string_view pattern;
        std::vector<std::string_view> covered;
        std::vector<std::string_view> others;
    } const cases[] = {
        {"gpt", {"gpt"}, {"gp", "gpt2", "xgpt", "GPT", ""}},
        {"gpt/*", {"gpt"}, {"gpt2", "gpt/run"}},
        {"gpt-*", {"gpt-", "gpt-2", "gpt-2-*"}, {"gpt", "xgpt-2"}},
        {"*-eval", {"-eval", "a-eval", "a-eval-eval"}, {"a-evals", "eval"}},
        {"a*b*c", {"abc", "aXbYc", "abbcbc"}, {"ab", "acb", "abcd"}},
        {"*", {"", "gpt", "a-b"}, {}},
    };
    for (const auto& [pattern, covered, others] : cases) {
        const Rights rights = with(Right::kRead, pattern);
        for (const std::string_view project : covered) {
            EXPECT_TRUE(rights.may(Right::kRead, project)) << pattern << " " << project;
        }
        for (const std::string_view project : others) {
            EXPECT_FALSE(rights.may(Right::kRead, project)) << pattern << " " << project;
        }
    }
}

TEST(Rights, OfOneKindAreNotThoseOfAnother) {
    for (const Right granted : kRights) {
        const Rights rights = with(granted, "gpt");
        for (const Right asked : kRights) {
            EXPECT_EQ(rights.may(asked, "gpt"), granted == asked || granted == Right::kAdmin);
            EXPECT_FALSE(rights.may(asked, "other"));
            EXPECT_FALSE(rights.may_everywhere(asked));
            EXPECT_EQ(with(granted, "*").may_everywhere(asked),
                      granted == asked || granted == Right::kAdmin);
        }
    }
}

TEST(Rights, RefuseNamingHolderRightProjectAndTheCommandThatHelps) {
    const Rights rights = with(Right::kRead, "gpt");
    EXPECT_TRUE(check_right(&rights, Right::kRead, "gpt").has_value());
    const Status refused = check_right(&rights, Right::kWrite, "gpt");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied);
    EXPECT_EQ(refused.error().message(),
              "token 'ci' has no write right for project gpt; `stepdb token create NAME "
              "--write=gpt` on the server's machine makes a token that has");
    EXPECT_EQ(check_store_right(&rights, Right::kAdmin, "back up the store").error().code(),
              ErrorCode::kPermissionDenied);
    EXPECT_EQ(check_right(&rights, Right::kRead, "a\nb").error().message().find('\n'),
              std::string::npos);
}

TEST(Rights, AreNotAskedOfWhoNeedsNone) {
    EXPECT_TRUE(check_right(nullptr, Right::kAdmin, "gpt").has_value());
    EXPECT_TRUE(check_store_right(nullptr, Right::kAdmin, "back up the store").has_value());
    EXPECT_TRUE(may_read(nullptr, "gpt"));
}

TEST(Rights, HaveOneKeyForThoseWhoReadTheSame) {
    Rights two("a");
    two.grant(Right::kRead, "x");
    two.grant(Right::kAdmin, "y");
    Rights same("b");
    same.grant(Right::kRead, "y");
    same.grant(Right::kRead, "x");
    same.grant(Right::kWrite, "z");
    EXPECT_EQ(two.reading_key(), same.reading_key());
    EXPECT_NE(two.reading_key(), with(Right::kRead, "x").reading_key());
    EXPECT_NE(with(Right::kWrite, "x").reading_key(), "");
    EXPECT_EQ(with(Right::kRead, "*").reading_key(), with(Right::kRead, "**").reading_key());
    EXPECT_NE(with(Right::kRead, "*").reading_key(), "");  // who may not see the statistics
    EXPECT_EQ(with(Right::kAdmin, "*").reading_key(), "");
}

TEST(Rights, ArePatternsOfIds) {
    for (const std::string_view wrong : {"", "/*", "gpt/run-1", "gpt/run-*", "a b", "a#", "a\"b"}) {
        const auto pattern = parse_project_pattern(wrong);
        ASSERT_FALSE(pattern.has_value()) << wrong;
        EXPECT_EQ(pattern.error().code(), ErrorCode::kInvalidArgument);
    }
    EXPECT_FALSE(parse_project_pattern(std::string(129, 'x')).has_value());
}

}  // namespace stepdb::rights_test
