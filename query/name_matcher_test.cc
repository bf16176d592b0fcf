#include "query/name_matcher.h"

#include <gtest/gtest.h>

#include "query/parser.h"

namespace stepdb::name_matcher_test {

NameMatcher matcher_of(const std::string& pattern) {
    const std::string text = pattern + " @ a/b";
    const Result<Query> query = parse_query(text);
    const auto& series = std::get<SeriesQuery>(query.value().what);
    return NameMatcher::compile(*series.terms[0].pattern(), text).value();
}

bool matches(const std::string& pattern, std::string_view name) {
    return matcher_of(pattern).matches(name);
}

struct Case {
    const char* pattern;
    const char* name;
    bool want;
};

TEST(NameMatcher, MatchesAsTheLanguageSays) {
    const Case cases[] = {
        {"train/loss", "train/loss", true},
        {"train/loss", "train/losses", false},
        {"train/*", "train/loss", true},
        {"train/*", "train/a/b", false},
        {"train/*", "train/", true},
        {"*", "loss", true},
        {"*", "a/b", false},
        {"**", "a/b/c", true},
        {"a/**", "a/b/c", true},
        {"a/**", "a", false},
        {"**/loss", "loss", true},
        {"**/loss", "a/b/loss", true},
        {"**/loss", "a/bloss", false},
        {"a/**/z", "a/z", true},
        {"a/**/z", "a/b/c/z", true},
        {"a/**/z", "az", false},
        {"a**z", "a/b/z", true},
        {"l/{i}/w", "l/12/w", true},
        {"l/{i}/w", "l/1/2/w", false},
        {"l/{i}_{j}", "l/1_2", true},
        {"a.b*", "a.bc", true},
        {"a.b*", "axbc", false},
        {"a*z", "az", true},
        {"a*z", "aaz", true},
        {"a*a", "a", false},
        {"a*z", "a/z", false},
        {"*z", "z", true},
        {"a/**z", "a/b/z", true},
        {"a/**a", "a/", false},
        {"a**/z", "a/z", true},
        {"a**/z", "az", false},
        {"\"a*\"", "a*", true},
        {"\"a*\"", "ab", false},
        {"~\"os\"", "train/loss", true},
        {"~\"^os\"", "train/loss", false},
        {"~\"l.{2}s$\"", "train/loss", true},
        {"~'é+'", "caféé", true},
        {"é*", "éclair", true},
    };
    for (const Case& each : cases) {
        const NameMatcher matcher = matcher_of(each.pattern);
        EXPECT_EQ(matcher.matches(each.name), each.want) << each.pattern << " on " << each.name;
        if (each.want) {
            EXPECT_NE(std::string_view(each.name).find(matcher.literal()), std::string_view::npos)
                << each.pattern << " on " << each.name;
        }
    }
}

std::string prefix_of(const std::string& pattern) {
    return matcher_of(pattern).prefix();
}

TEST(NameMatcher, KnowsWhatNamesBeginWith) {
    EXPECT_EQ(prefix_of("train/loss"), "train/loss");
    EXPECT_EQ(prefix_of("train/l*s"), "train/l");
    EXPECT_EQ(prefix_of("l/{i}/w*"), "l/");
    EXPECT_EQ(prefix_of("a/**/z"), "a/");
    EXPECT_EQ(prefix_of("**"), "");
    EXPECT_EQ(prefix_of("~\"^train\""), "");
}

TEST(NameMatcher, KnowsWhatNamesHold) {
    EXPECT_EQ(matcher_of("train/loss").literal(), "train/loss");
    EXPECT_EQ(matcher_of("train/*").literal(), "train/");
    EXPECT_EQ(matcher_of("a/**loss").literal(), "loss");
    EXPECT_EQ(matcher_of("layers/{i}/attn*/w").literal(), "layers/");
    EXPECT_EQ(matcher_of("a/**/loss").literal(), "loss");
    EXPECT_EQ(matcher_of("~'layers/\\d*7/attn/[qk]/grad_norm$'").literal(), "/grad_norm");
    EXPECT_EQ(matcher_of("**").literal(), "");
    EXPECT_EQ(matcher_of("~'loss|norm'").literal(), "");
}

TEST(NameMatcher, RefusesARegexThatWouldTakeTooMuchMemory) {
    Pattern pattern;
    pattern.kind = PatternKind::kRegex;
    pattern.text = "((((a{100}){100}){100}){100}){100}";
    EXPECT_FALSE(NameMatcher::compile(pattern, pattern.text).has_value());
}

TEST(NameMatcher, IsLinearWhereBacktrackingWouldNotEnd) {
    EXPECT_FALSE(matches("~\"^(a+)+$\"", std::string(1000, 'a') + "b"));
    EXPECT_FALSE(matches("**a**a**a**a**a**a**a**b", std::string(1000, 'a')));
}

}  // namespace stepdb::name_matcher_test
