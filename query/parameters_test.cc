#include "query/parameters.h"

#include <gmock/gmock.h>

#include "query/parser.h"

namespace stepdb::parameters_test {

using ::testing::HasSubstr;

using Pairs = std::vector<std::pair<std::string, std::string>>;

QueryParameters make(const Pairs& pairs) {
    QueryParameters parameters;
    for (const auto& [name, value] : pairs) {
        const Status added = parameters.add(name, value);
        CHECK(added.has_value(), "{}", added.error().to_string());
    }
    return parameters;
}

SeriesQuery parse(std::string_view text, const Pairs& pairs) {
    Result<Query> query = parse_query(text, make(pairs));
    CHECK(query.has_value(), "{}", query.error().to_string());
    return std::get<SeriesQuery>(std::move(query->what));
}

std::string error_of(std::string_view text, const Pairs& pairs) {
    const Result<Query> query = parse_query(text, make(pairs));
    return query ? "no error" : query.error().message();
}

TEST(Parameters, KnowTheirNames) {
    QueryParameters parameters;
    for (const std::string good : {"a", "_", "lr2", "A_9"}) {
        EXPECT_TRUE(parameters.add(good, "1").has_value()) << good;
    }
    for (const std::string bad : {"", "2", "a-b", "a/b", "$a", "\xc3\xa4"}) {
        EXPECT_FALSE(parameters.add(bad, "1").has_value()) << bad;
        EXPECT_FALSE(parameter_name("$" + bad).has_value()) << bad;
    }
    EXPECT_EQ(parameter_name("$lr_2"), "lr_2");
    EXPECT_FALSE(parameter_name("lr").has_value());
}

TEST(Parameters, AreLimited) {
    QueryParameters parameters;
    for (size_t i = 0; i < kQueryParametersMax; ++i) {
        ASSERT_TRUE(parameters.add(fmt::format("p{}", i), "").has_value());
    }
    EXPECT_THAT(parameters.add("more", "").error().message(), HasSubstr("$more is too much"));
}

TEST(Parameters, AreNamesWherePatternsStand) {
    const SeriesQuery query =
        parse("$metric, a* @ $run | first $n",
              {{"metric", "a* | where \"b\""}, {"run", "gpt/r#3"}, {"n", "2k"}});
    EXPECT_EQ(query.terms[0].pattern()->kind, PatternKind::kExact);
    EXPECT_EQ(query.terms[0].pattern()->text, "a* | where \"b\"");
    EXPECT_EQ(query.runs[0].path.text, "gpt/r");
    EXPECT_EQ(query.runs[0].attempt, 3U);
    EXPECT_EQ(std::get<FirstStage>(query.then.stages[0].what).points, 2000U);
    // Within a word, a literal and a regex a dollar sign is one.
    EXPECT_EQ(parse("a$b, \"$c\", ~\"$d\" @ gpt/r", {}).terms[0].pattern()->text, "a$b");
}

TEST(Parameters, AreEndsOfRanges) {
    const auto range_of = [](std::string_view text, const Pairs& pairs) {
        return std::get<StepsStage>(parse(text, pairs).then.stages[0].what).range;
    };
    const Range both = range_of("a @ b/c | steps $a..$b", {{"a", "1k"}, {"b", "end-5"}});
    EXPECT_EQ(both.from.step, 1000);
    EXPECT_EQ(both.to.anchor, RangeEnd::Anchor::kEnd);
    EXPECT_EQ(both.to.step, -5);
    EXPECT_EQ(range_of("a @ b/c | steps $a..", {{"a", "-2"}}).from.step, -2);
    EXPECT_EQ(range_of("a @ b/c | steps 3..$a", {{"a", "3"}}).to.step, 3);

    EXPECT_THAT(error_of("a @ b/c | steps $a..$b", {{"a", "1"}, {"b", "two"}}),
                HasSubstr("column 21 (byte 20): parameter $b: expected start, end, fork or a step, "
                          "found 'two'\n  a @ b/c | steps $a..$b\n                      ^^"));
    EXPECT_THAT(error_of("a @ b/c | time $a..", {{"a", ""}}),
                HasSubstr("parameter $a: it is empty"));
    EXPECT_THAT(error_of("a @ b/c | time $a..", {{"a", "1..2"}}),
                HasSubstr("parameter $a: '1..2' is not a time"));
    EXPECT_THAT(error_of("a @ b/c | steps $a..$b", {{"a", "2"}, {"b", "1"}}),
                HasSubstr("the range '$a..$b' ends before it starts: it is '2..1'"));
}

TEST(Parameters, AreValuesInExpressions) {
    const auto root_of = [](std::string_view text, const Pairs& pairs) {
        const Expression condition = std::move(*parse(text, pairs).where);
        return std::get<OperatorTerm>(condition.nodes[condition.root].what);
    };
    const auto right_of = [](std::string_view text, const Pairs& pairs) {
        const Expression condition = std::move(*parse(text, pairs).where);
        const auto& root = std::get<OperatorTerm>(condition.nodes[condition.root].what);
        return condition.nodes[root.operands[1]].what;
    };
    const auto literal = std::get<LiteralTerm>(right_of("a @ b/c where x = $v", {{"v", "a*"}}));
    EXPECT_EQ(literal.text, "a*");
    EXPECT_FALSE(literal.quoted);
    // Not a keyword, and not a name where it is compared with.
    EXPECT_EQ(std::get<LiteralTerm>(right_of("a @ b/c where x = $v", {{"v", "state"}})).text,
              "state");
    EXPECT_EQ(std::get<LiteralTerm>(right_of("a @ b/c where 3 < $v", {{"v", "5"}})).text, "5");
    EXPECT_EQ(std::get<OperatorTerm>(right_of("a @ b/c where x = $v * 2", {{"v", "5"}})).op,
              Operator::kMultiply);
    // On the left it is a name, if it is no number.
    EXPECT_EQ(root_of("a @ b/c where $v = 1", {{"v", "not"}}).op, Operator::kEqual);
    EXPECT_EQ(root_of("a @ b/c where tag $v", {{"v", "x*"}}).pattern.kind, PatternKind::kExact);
    EXPECT_EQ(root_of("a @ b/c where x in ($v, $w)", {{"v", "1"}, {"w", "2"}}).operands.size(), 2U);
}

TEST(Parameters, AreNoKeywords) {
    EXPECT_THAT(error_of("$q gpt/*", {{"q", "runs"}}), HasSubstr("expected ',' or '@'"));
    EXPECT_THAT(error_of("a @ b/c | $s 5", {{"s", "last"}}), HasSubstr("expected a stage"));
    EXPECT_THAT(error_of("a @ b/c | $s 5", {{"s", "last"}}),
                HasSubstr("found parameter $s ('last')"));
    EXPECT_THAT(error_of("a $at b/c", {{"at", "@"}}), HasSubstr("found parameter $at ('@')"));
    EXPECT_THAT(error_of("a @ b/c | steps $r", {{"r", "1..2"}}),
                HasSubstr("found parameter $r ('1..2')"));
}

TEST(Parameters, ThatAreMissingOrUnusedAreNamed) {
    EXPECT_THAT(
        error_of("a @ b/c | last $max", {{"n", "5"}, {"may", "1"}}),
        HasSubstr("column 16 (byte 15): parameter $max is not given; did you mean '$may'?"));
    EXPECT_THAT(error_of("a @ b/c | last $m", {}),
                HasSubstr("parameter $m is not given; no parameter"));
    EXPECT_THAT(error_of("a @ b/c | last $run", {{"run", "5"}, {"runs", "1"}}),
                HasSubstr("does not use what is given beside it: $runs; it uses $run"));
    EXPECT_THAT(
        error_of("a @ b/c | last $n", {{"n", "0"}}),
        HasSubstr("column 16 (byte 15): parameter $n: expected a number of points as a whole "
                  "number from 1 to 4194304, found '0'"));
}

}  // namespace stepdb::parameters_test
