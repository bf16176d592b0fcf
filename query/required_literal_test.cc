#include "query/required_literal.h"

#include <gtest/gtest.h>

#include <random>

#include "query/regex.h"

namespace stepdb::required_literal_test {

TEST(RequiredLiteral, IsTheLongestPieceThatMustBeThere) {
    EXPECT_EQ(required_literal("grad_norm$"), "grad_norm");
    EXPECT_EQ(required_literal(R"(layers/\d*7/attn/[qk]/grad_norm$)"), "/grad_norm");
    EXPECT_EQ(required_literal("^layers/1[0-9]/(mlp|attn)/x"), "layers/1");
    EXPECT_EQ(required_literal(R"(a\.bcd)"), "a.bcd");
    EXPECT_EQ(required_literal("abc*de"), "ab");
    EXPECT_EQ(required_literal("abc+d"), "abc");
    EXPECT_EQ(required_literal("ab{2,3}cde"), "cde");
    EXPECT_EQ(required_literal("caf\xc3\xa9?s"), "caf");
    EXPECT_EQ(required_literal("(?:ab|cd)ef"), "ef");
    EXPECT_EQ(required_literal("[^]a]bc"), "bc");
}

TEST(RequiredLiteral, IsNothingWhereItTakesMoreToSee) {
    EXPECT_EQ(required_literal("loss|norm"), "");
    EXPECT_EQ(required_literal("(?i)loss"), "");
    EXPECT_EQ(required_literal(R"(\Qa.b\E)"), "");
    EXPECT_EQ(required_literal(R"(\x41bc)"), "");
    EXPECT_EQ(required_literal("[[:alpha:]]bc"), "");
    EXPECT_EQ(required_literal("a{(b}c)d"), "");
    EXPECT_EQ(required_literal(".*"), "");
    EXPECT_EQ(required_literal(""), "");
}

TEST(RequiredLiteral, IsInEveryTextInWhichTheRegexIsFound) {
    const uint64_t seed = std::random_device()();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](size_t end) {
        return std::uniform_int_distribution<size_t>(0, end - 1)(random);
    };
    const std::vector<std::string> pieces = {
        "a",   "b",   "ab",     "/",     ".",    "*",    "+",    "?",   "|",   "(",
        ")",   "(?:", "(?P<n>", "[ab]",  "[^b]", "^",    "$",    "\\d", "\\.", "\\b",
        "{2}", "{",   "}",      "{0,1}", "1",    "[]a]", "(?i)", "\\w", "*?",  "é"};
    size_t found = 0;
    for (int round = 0; round < 40'000; ++round) {
        std::string expression;
        for (size_t left = 1 + below(9); left > 0; --left) {
            expression += pieces[below(pieces.size())];
        }
        const Result<Regex> regex = Regex::compile(expression);
        const std::string literal = required_literal(expression);
        if (!regex || literal.empty()) {
            continue;
        }
        for (int texts = 0; texts < 20; ++texts) {
            std::string text;
            for (size_t left = below(8); left > 0; --left) {
                text += std::vector<std::string>{"a", "b", "/", "1", "A", ".", "é"}[below(7)];
            }
            std::vector<std::string_view> groups;
            if (regex->search(text, 0, groups)) {
                ++found;
                EXPECT_NE(text.find(literal), std::string::npos)
                    << expression << " is found in " << text << " without " << literal;
            }
        }
    }
    EXPECT_GT(found, 1000U);
}

}  // namespace stepdb::required_literal_test
