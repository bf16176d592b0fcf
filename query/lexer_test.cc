#include "query/lexer.h"

#include <gmock/gmock.h>

namespace stepdb::lexer_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> describe_all(std::string_view text) {
    const Result<std::vector<Token>> tokens = tokenize(text);
    std::vector<std::string> out;
    for (const Token& token : tokens.value()) {
        out.push_back(describe(token));
    }
    return out;
}

std::string error_of(std::string_view text) {
    const Result<std::vector<Token>> tokens = tokenize(text);
    return tokens ? "no error" : tokens.error().to_string();
}

TEST(Lexer, WordsRunToBlankCommaPipeParenthesisOrQuote) {
    EXPECT_THAT(
        describe_all("reward/mean@32,loss-scale|1day.ffr (a)b\"c\"d"),
        ElementsAre("'reward/mean@32'", "','", "'loss-scale'", "'|'", "'1day.ffr'", "'('", "'a'",
                    "')'", "'b'", "the literal \"c\"", "'d'", "the end of the query"));
}

TEST(Lexer, QuotesHoldAnythingAndDoubleToStandForThemselves) {
    EXPECT_THAT(
        describe_all(R"("a, b|c" 'it''s' "say ""x""" 'a"b')"),
        ElementsAre("the literal \"a, b|c\"", "the literal \"it's\"", "the literal \"say \"x\"\"",
                    "the literal \"a\"b\"", "the end of the query"));
}

TEST(Lexer, TildeAndQuoteOpenARegexInWhichBackslashesStay) {
    EXPECT_THAT(
        describe_all(R"(~"layers/\d+/norm" a~ ~b)"),
        ElementsAre(R"(the regex ~"layers/\d+/norm")", "'a~'", "'~b'", "the end of the query"));
}

TEST(Lexer, SpansAreBytesAsWritten) {
    const Result<std::vector<Token>> tokens = tokenize("é ~'x'");
    EXPECT_EQ(tokens.value()[0].span.bytes, 2U);
    EXPECT_EQ(tokens.value()[1].span.offset, 3U);
    EXPECT_EQ(tokens.value()[1].span.bytes, 4U);
}

TEST(Lexer, RefusesWhatIsNoText) {
    EXPECT_THAT(error_of("a \"b"), HasSubstr("column 3 (byte 2): expected a closing \""));
    EXPECT_THAT(error_of("a \x01"), HasSubstr("control character 0x01"));
    EXPECT_THAT(error_of("a \xff"), HasSubstr("not valid UTF-8"));
    EXPECT_THAT(error_of(std::string(70000, 'a')), HasSubstr("70000 bytes; at most 65536"));
}

TEST(Diagnostic, PointsAtTheCharacterOnItsLine) {
    const Error error = query_error("é @ a/b\n | steps x", {18, 1}, "bad");
    EXPECT_EQ(error.message(), "line 2, column 10 (byte 18): bad\n   | steps x\n           ^");
}

TEST(Diagnostic, ShowsAPieceOfALongLine) {
    const std::string text = std::string(300, 'a') + " !!";
    const std::string message = query_error(text, {301, 2}, "bad").message();
    EXPECT_THAT(message, HasSubstr("column 302 (byte 301): bad\n  ...aaa"));
    EXPECT_THAT(message, HasSubstr("aaa !!\n" + std::string(45, ' ') + "^^"));
}

TEST(Diagnostic, SuggestsSlipsOfThePenOnly) {
    const std::vector<std::string> names = {"buckets", "first", "last", "steps", "time"};
    EXPECT_EQ(nearest_spelling("bucket", names), "buckets");
    EXPECT_EQ(nearest_spelling("setps", names), "steps");
    EXPECT_EQ(nearest_spelling("frist", names), "first");
    EXPECT_EQ(nearest_spelling("wibble", names), std::nullopt);
    EXPECT_EQ(nearest_spelling("", names), std::nullopt);
}

}  // namespace stepdb::lexer_test
