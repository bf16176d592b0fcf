#include "tools/shell_completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::shell_completion_test {

using Kind = CompletionPoint::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Case {
    const char* text;
    Kind kind;
    const char* word;
};

TEST(ShellCompletion, FindsWhatStandsAtTheCursor) {
    const Case cases[] = {
        {"", Kind::kStart, ""},
        {"tra", Kind::kStart, "tra"},
        {"\\wa", Kind::kCommand, "\\wa"},
        {"explain tra", Kind::kStart, "tra"},
        {"train/loss, va", Kind::kMetric, "va"},
        {"metrics lay", Kind::kMetric, "lay"},
        {"train/loss @ gp", Kind::kRun, "gp"},
        {"train/loss ", Kind::kBehindMetrics, ""},
        {"train/loss, ", Kind::kMetric, ""},
        {"metrics ", Kind::kMetric, ""},
        {"train/loss @ own(gpt/r", Kind::kRunAlone, "gpt/r"},
        {"train/loss @ own(gpt/r) ", Kind::kBehindRuns, ""},
        {"train/loss @ gpt/a ", Kind::kBehindRuns, ""},
        {"runs ", Kind::kRun, ""},
        {"runs gpt/* ", Kind::kBehindRuns, ""},
        {"runs gpt/* where conf", Kind::kExpression, "conf"},
        {"runs gpt/* where tag good and last(tra", Kind::kMetric, "tra"},
        {"runs gpt/* | sh", Kind::kTableStage, "sh"},
        {"runs gpt/* | show config/lr, min(val/loss) as v, ", Kind::kExpression, ""},
        {"runs gpt/* | sort la", Kind::kExpression, "la"},
        {"metrics ** @ gpt/a | ", Kind::kTableStage, ""},
        {"metrics ** @ gpt/a where metr", Kind::kOfSeries, "metr"},
        {"runs where state = r", Kind::kState, "r"},
        {"runs where config/lr > ", Kind::kNothing, ""},
        {"x @ gpt/a | when value > ", Kind::kNothing, ""},
        {"train/loss @ gpt/a | when va", Kind::kPoint, "va"},
        {"\\format c", Kind::kSetting, "c"},
        {"train/loss @ gpt/a, gpt/", Kind::kRun, "gpt/"},
        {"runs gp", Kind::kRun, "gp"},
        {"explain attributes ", Kind::kRun, ""},
        {"train/loss @ gpt/a | bu", Kind::kStage, "bu"},
        {"train/loss @ gpt/a | steps 5..", Kind::kNothing, "5.."},
        {"train/loss @ gpt/a | buckets 2", Kind::kNothing, "2"},
        {"train/loss @ gpt/a | buckets 200 mi", Kind::kBucketField, "mi"},
        {"train/loss @ gpt/a | steps 5.. | summary min, ma", Kind::kSummaryField, "ma"},
        {"train/loss @ gpt/a|", Kind::kStage, ""},
        {"\"my loss", Kind::kNothing, ""},
        {"\"my | loss\" @ g", Kind::kRun, "g"},
    };
    for (const Case& each : cases) {
        const CompletionPoint point = find_completion_point(each.text);
        EXPECT_EQ(point.kind, each.kind) << each.text;
        EXPECT_EQ(point.word, each.word) << each.text;
    }
}

std::vector<std::string> known(const char* text) {
    return known_words(find_completion_point(text));
}

TEST(ShellCompletion, KnowsTheWordsOfTheLanguage) {
    EXPECT_THAT(known("x @ p/r | s"), ElementsAre("sort", "stamped", "steps", "summary"));
    EXPECT_THAT(known("runs | s"), ElementsAre("show", "sort"));
    EXPECT_THAT(known("x @ p/r | buckets 9 last"), ElementsAre("last", "last_x"));
    EXPECT_THAT(known("r"), ElementsAre("runs"));
    EXPECT_THAT(known("x "), ElementsAre("@"));
    EXPECT_THAT(known("x @ p/r "), ElementsAre("where", "|"));
    EXPECT_THAT(known("x @ o"), ElementsAre("own("));
    EXPECT_THAT(known("runs | show la"), ElementsAre("last("));
    EXPECT_THAT(known("runs where sta"), ElementsAre("state"));
    EXPECT_THAT(known("runs where state = f"), ElementsAre("failed", "finished"));
    EXPECT_THAT(known("metrics ** @ p/r where ax"), ElementsAre("axis"));
    EXPECT_THAT(known("\\w"), ElementsAre("\\watch"));
    EXPECT_THAT(known("\\chart o"), ElementsAre("off", "on"));
    EXPECT_THAT(known("x, "), IsEmpty());
}

TEST(ShellCompletion, GoesSegmentBySegmentInNaturalOrder) {
    const std::vector<std::string> names = {"layers/10/norm", "layers/2/norm", "layers/2/rank",
                                            "loss", "lr"};
    EXPECT_THAT(next_segments(names, "l"), ElementsAre("layers/", "loss", "lr"));
    EXPECT_THAT(next_segments(names, "layers/"), ElementsAre("layers/2/", "layers/10/"));
    EXPECT_THAT(next_segments(names, "layers/2/"), ElementsAre("layers/2/norm", "layers/2/rank"));
    EXPECT_THAT(next_segments(names, "x"), IsEmpty());
}

TEST(ShellCompletion, TheCommonPrefixEndsBetweenCharacters) {
    EXPECT_EQ(common_prefix({}), "");
    EXPECT_EQ(common_prefix({"loss"}), "loss");
    EXPECT_EQ(common_prefix({"train/loss", "train/lr"}), "train/l");
    EXPECT_EQ(common_prefix({"\xC3\xA4", "\xC3\xB6"}), "");
}

}  // namespace stepdb::shell_completion_test
