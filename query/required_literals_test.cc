#include "query/required_literals.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "query/regex.h"

namespace stepdb::required_literals_test {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RequiredLiterals, AreThePiecesThatMustBeThere) {
    EXPECT_THAT(required_literals("grad_norm$"), ElementsAre("grad_norm"));
    EXPECT_THAT(required_literals(R"(layers/\d*7/attn/[qk]/grad_norm$)"),
                ElementsAre("layers/", "7/attn/", "/grad_norm"));
    EXPECT_THAT(required_literals("^layers/1[0-9]/(mlp|attn)/x"),
                ElementsAre("layers/1", "/", "/x"));
    EXPECT_THAT(required_literals(R"(a\.bcd)"), ElementsAre("a.bcd"));
    EXPECT_THAT(required_literals("abc*de"), ElementsAre("ab", "de"));
    EXPECT_THAT(required_literals("abc+d"), ElementsAre("abc", "d"));
    EXPECT_THAT(required_literals("ab{2,3}cde"), ElementsAre("a", "cde"));
    EXPECT_THAT(required_literals("caf\xc3\xa9?s"), ElementsAre("caf", "s"));
    EXPECT_THAT(required_literals("(?:ab|cd)ef"), ElementsAre("ef"));
    EXPECT_THAT(required_literals("[^]a]bc"), ElementsAre("bc"));
}

TEST(RequiredLiterals, AreNoneWhereItTakesMoreToSee) {
    EXPECT_THAT(required_literals("loss|norm"), IsEmpty());
    EXPECT_THAT(required_literals("(?i)loss"), IsEmpty());
    EXPECT_THAT(required_literals(R"(\Qa.b\E)"), IsEmpty());
    EXPECT_THAT(required_literals(R"(\x41bc)"), IsEmpty());
    EXPECT_THAT(required_literals("[[:alpha:]]bc"), IsEmpty());
    EXPECT_THAT(required_literals("a{(b}c)d"), IsEmpty());
    EXPECT_THAT(required_literals(".*"), IsEmpty());
    EXPECT_THAT(required_literals(""), IsEmpty());
}

TEST(RequiredLiterals, AreInEveryTextInWhichTheRegexIsFound) {
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
        const std::vector<std::string> pieces_needed = required_literals(expression);
        if (!regex || pieces_needed.empty()) {
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
                EXPECT_TRUE(has_in_order(text, pieces_needed))
                    << expression << " is found in " << text << " without "
                    << fmt::format("{}", fmt::join(pieces_needed, " "));
            }
        }
    }
    EXPECT_GT(found, 1000U);
}

}  // namespace stepdb::required_literals_test
