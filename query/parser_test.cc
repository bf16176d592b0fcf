#include "query/parser.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <random>

#include "query/lexer.h"

namespace stepdb::parser_test {

using ::testing::AnyOf;
using ::testing::HasSubstr;

const char* const kGood[] = {
    "train/loss @ gpt/run-17",
    "train/loss, \"my loss\", layers/{l}/*/norm, ~\"a\\d+\" @ gpt/*, ~\"gpt/.*\", \"gpt/x\"",
    "train/loss @ gpt/run-17#0, gpt/run-17 | steps 40k..42k",
    "train/loss @ gpt/r18 | steps fork-500..fork+2k | first 3 | last 1k",
    "** @ ** | time 2026-03-01..now-1h | buckets 1k",
    "a @ b/c | time start+1s..end | buckets 500 min, max_x, mean",
    "runs",
    "runs gpt/*, gpt/run-1",
    "metrics ** @ gpt/run-17",
    "metrics a, b @ gpt/run-17",
    "explain train/loss @ gpt/run-17 | steps .. | buckets 4",
    "explain runs gpt/*",
    "projects",
    "explain projects",
    "projects, runs @ gpt/run-1",
    "runs @ gpt/run-1",
    "metrics, explain @ gpt/run-1",
    "a @ gpt/* where config/lr >= 3e-4 and (tag sweep or not state = failed) | first 1",
    "runs where run in (gpt/*, \"lm/a\") and tags not contains x and attr(\"a b\") ~\"c+\"",
    "runs | show min(val/loss when value < 5 and step >= 10).step as s, a - 2 * b | sort s desc",
    "runs | show at(val/loss, tokens = 10B), at(a, time = now-1h).time | limit 5",
    "metrics ** @ gpt/* where min = max and last is not nan | show count, last.step | sort metric",
    "a @ gpt/* | steps 5.. | when value > 6 or step >= 10 | first 1 | buckets 5",
    "attributes gpt/* where config/lr exists or x is missing",
};

std::string error_of(std::string_view text) {
    const Result<Query> query = parse_query(text);
    return query ? "no error" : query.error().to_string();
}

const SeriesQuery& series_of(const Result<Query>& query) {
    return std::get<SeriesQuery>(query.value().what);
}

TEST(Parser, ReadsMetricsAndRuns) {
    const Result<Query> query =
        parse_query("train/loss, \"a*b\", l/*/x, ~\"q\" @ gpt/run#3, gpt/*");
    const SeriesQuery& series = series_of(query);
    ASSERT_EQ(series.terms.size(), 4U);
    EXPECT_EQ(series.terms[0].pattern()->kind, PatternKind::kExact);
    EXPECT_EQ(series.terms[1].pattern()->kind, PatternKind::kExact);
    EXPECT_EQ(series.terms[1].pattern()->text, "a*b");
    EXPECT_EQ(series.terms[2].pattern()->kind, PatternKind::kGlob);
    EXPECT_EQ(series.terms[3].pattern()->kind, PatternKind::kRegex);
    ASSERT_EQ(series.runs.size(), 2U);
    EXPECT_EQ(series.runs[0].path.text, "gpt/run");
    EXPECT_EQ(series.runs[0].attempt, 3U);
    EXPECT_EQ(series.runs[1].attempt, std::nullopt);
}

TEST(Parser, ReadsRanges) {
    const Result<Query> query = parse_query(
        "a @ b/c | steps fork-500..2.5k | time now-1h30m.. | first 5 | buckets 7 max, min");
    const auto& stages = series_of(query).then.stages;
    const auto& steps = std::get<StepsStage>(stages[0].what).range;
    EXPECT_EQ(steps.from.anchor, RangeEnd::Anchor::kFork);
    EXPECT_EQ(steps.from.step, -500);
    EXPECT_EQ(steps.to.anchor, RangeEnd::Anchor::kValue);
    EXPECT_EQ(steps.to.step, 2500);
    const auto& time = std::get<TimeStage>(stages[1].what).range;
    EXPECT_EQ(time.from.anchor, RangeEnd::Anchor::kNow);
    EXPECT_EQ(time.from.time_us, -5400000000);
    EXPECT_EQ(time.to.anchor, RangeEnd::Anchor::kOpen);
    EXPECT_EQ(std::get<FirstStage>(stages[2].what).points, 5U);
    const auto& buckets = std::get<BucketsShape>(series_of(query).then.shape);
    EXPECT_EQ(buckets.buckets, 7U);
    EXPECT_THAT(buckets.statistics, testing::ElementsAre(Statistic::kMax, Statistic::kMin));
}

TEST(Parser, KeywordsAreKeywordsOnlyWhereExpected) {
    EXPECT_EQ(series_of(parse_query("runs @ gpt/r")).terms[0].pattern()->text, "runs");
    EXPECT_EQ(series_of(parse_query("metrics, steps @ gpt/r")).terms[1].pattern()->text, "steps");
    EXPECT_EQ(series_of(parse_query("now @ gpt/r | first 1")).terms[0].pattern()->text, "now");
    EXPECT_TRUE(
        std::holds_alternative<MetricsQuery>(parse_query("metrics runs @ gpt/r").value().what));
    EXPECT_TRUE(parse_query("explain explain @ gpt/r").value().explain);
}

TEST(Parser, AcceptsEveryGoodQuery) {
    for (const char* text : kGood) {
        EXPECT_EQ(error_of(text), "no error") << text;
    }
}

struct Wrong {
    const char* text;
    const char* column;
    const char* message;
};

TEST(Parser, SaysWhereWhatWasExpectedAndTheNearestSpelling) {
    const Wrong cases[] = {
        {"", "column 1 ", "expected a metric such as train/loss"},
        {"train/loss", "column 11 ", "expected ',' or '@' and runs, found the end of the query"},
        {"train/loss@gpt/r", "column 17 ", "`@` needs a blank on both sides"},
        {"train/loss @gpt/r", "column 12 ", "`@` needs a blank on both sides"},
        {"a b @ c/d", "column 3 ", "expected ',' or '@' and runs, found 'b'"},
        {"a, @ c/d", "column 4 ", "expected a metric such as train/loss or \"my loss\", found '@'"},
        {"a + @ c/d", "column 5 ",
         "expected a metric such as train/loss or \"my loss\", found '@'"},
        {"1 + 2 @ c/d", "column 1 ", "numbers alone have no points"},
        {"a - (b @ c/d", "column 13 ", "expected ')' of what is in parentheses"},
        {"(a @ c/d) - (b @ e/f) @ g/h", "column 23 ", "have runs of their own"},
        {"(a @ c/d | buckets 5) - b @ c/d", "column 12 ", "put it behind the parentheses"},
        {"mean(a) @ c/d", "column 1 ", "found 'mean('; `mean(METRIC)` stands in `where`"},
        {"hol(a) @ c/d", "column 1 ", "found 'hol('; did you mean 'hold'?"},
        {"a as @ c/d", "column 6 ", "expected a name behind `as`"},
        {"a @", "column 4 ", "expected a run such as gpt/run-1 or gpt/*, found the end"},
        {"a @ run-1", "column 5 ", "expected a run as PROJECT/RUN with one slash, found 'run-1'"},
        {"a @ a/b/c", "column 5 ", "one slash"},
        {"a @ *", "column 5 ", "write */* or **"},
        {"a @ a/b#x", "column 5 ", "number of an attempt after '#'"},
        {"a @ a/b#99999999999", "column 5 ", "number of an attempt after '#'"},
        {"a @ a/b were x = 1", "column 9 ", "found 'were'; did you mean 'where'?"},
        {"a @ a/b where x = 1 x", "column 21 ", "expected 'and', 'or', '|' or the end"},
        {"a @ a/b where", "column 14 ", "expected a name, a number or a statistic"},
        {"runs | show", "column 12 ", "expected a name, a number or a statistic"},
        {"runs | limit 5 | show x", "column 18 ", "the order is show, sort, limit"},
        {"a @ a/b |", "column 10 ", "expected a stage (across, bottom, buckets, "},
        {"a @ a/b | bucket 5", "column 11 ", "found 'bucket'; did you mean 'buckets'?"},
        {"a @ a/b | buckets", "column 18 ", "expected a number of buckets, found the end"},
        {"a @ a/b | buckets 0", "column 19 ", "whole number from 1 to 1048576, found '0'"},
        {"a @ a/b | buckets 2M", "column 19 ", "whole number from 1 to 1048576, found '2M'"},
        {"a @ a/b | buckets 5 men", "column 21 ", "found 'men'; did you mean 'min'?"},
        {"a @ a/b | buckets 5 min, min", "column 26 ", "the statistic 'min' is named twice"},
        {"a @ a/b | buckets 5 min,", "column 25 ", "expected a statistic such as"},
        {"a @ a/b | buckets 5 | first 1", "column 23 ",
         "`first` cannot follow `buckets`; put it before"},
        {"a @ a/b | steps 5", "column 17 ", "expected a range of steps such as"},
        {"a @ a/b | steps strat..", "column 17 ", "found 'strat'; did you mean 'start'?"},
        {"a @ a/b | steps 5..x", "column 20 ", "expected start, end, fork or a step, found 'x'"},
        {"a @ a/b | steps 5K..", "column 17 ", "'5K' is not a number"},
        {"a @ a/b | steps now..", "column 17 ", "`now` is a time, not a step"},
        {"a @ a/b | steps end*2..", "column 20 ", "expected +, - or the end of the range"},
        {"a @ a/b | steps end-..", "column 20 ", "expected a number or duration after the sign"},
        {"a @ a/b | steps 5..4", "column 17 ", "ends before it starts"},
        {"a @ a/b | time 5..", "column 16 ", "needs a unit, as in 5s"},
        {"a @ a/b | time now-5..", "column 19 ", "not a duration"},
        {"a @ a/b | first x", "column 17 ", "found 'x'"},
        {"a @ a/b | last 1T", "column 16 ", "whole number"},
        {"\"\" @ a/b", "column 1 ", "an empty name"},
        {"runs gpt/a#1", "column 6 ", "whole runs"},
        {"metrics", "column 8 ", "expected a metric"},
        {"explain", "column 8 ", "expected a metric"},
        {"projects gpt", "column 10 ", "expected the end of the query, found 'gpt'"},
        {"projects | last 1", "column 10 ", "`projects` takes no stages"},
    };
    for (const Wrong& wrong : cases) {
        const std::string error = error_of(wrong.text);
        EXPECT_THAT(error, HasSubstr(wrong.column)) << wrong.text;
        EXPECT_THAT(error, HasSubstr(wrong.message)) << wrong.text;
        EXPECT_THAT(error, HasSubstr("^")) << wrong.text;
    }
}

// The contract for any text: a query, or an error that says where.
void check_answer(const std::string& text) {
    const Result<Query> query = parse_query(text);
    if (!query) {
        EXPECT_EQ(query.error().code(), ErrorCode::kInvalidArgument);
        EXPECT_THAT(query.error().message(),
                    AnyOf(HasSubstr("column "), HasSubstr("not valid UTF-8")))
            << text;
    }
}

const char* const kJunk[] = {"",    "(",    ")",      ",",       "|",      "@",     "\"",    "\"\"",
                             "''",  "~",    "~\"(",   "..",      "...",    "#",     "a/b#",  "{",
                             "*",   "**",   "+",      "-",       "end+",   "1e999", "é",     "\xff",
                             "\n",  "\t",   "where",  "buckets", "steps",  "now",   "5",     "5..",
                             "-..", "=",    "nan",    "x{y}z",   "\x01\n", "fork-", "1h",    "and",
                             "not", "show", "min(a)", "sort",    "in",     "is",    "~\"a\""};

TEST(Parser, BrokenAtEveryTokenAnswersWithAnError) {
    for (const std::string good : kGood) {
        const Result<std::vector<Token>> tokens = tokenize(good);
        for (const Token& token : tokens.value()) {
            const std::string before = good.substr(0, token.span.offset);
            const std::string after = good.substr(token.span.offset + token.span.bytes);
            for (const char* junk : kJunk) {
                check_answer(before + junk + after);
                check_answer(fmt::format("{}{} {}", before, junk, good.substr(token.span.offset)));
            }
            check_answer(before + after);
        }
        for (size_t cut = 0; cut < good.size(); ++cut) {
            check_answer(good.substr(0, cut));
            check_answer(good.substr(cut));
        }
    }
}

TEST(Parser, SurvivesRandomTexts) {
    const char* given = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (auto parts = random() % 8; parts > 0; --parts) {
            if (random() % 2 == 0) {
                text += kJunk[random() % std::size(kJunk)];
            } else {
                const std::string good = kGood[random() % std::size(kGood)];
                text += good.substr(random() % good.size(), random() % 12);
            }
            text += random() % 3 == 0 ? " " : "";
        }
        check_answer(text);
    }
}

}  // namespace stepdb::parser_test
