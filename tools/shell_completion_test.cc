#include "tools/shell_completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb {
namespace {

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
        {"train/loss @ own(gpt/r", Kind::kRun, "gpt/r"},
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

TEST(ShellCompletion, KnowsTheWordsOfTheLanguage) {
    EXPECT_THAT(known_words(Kind::kStage, "s"), ElementsAre("steps", "summary"));
    EXPECT_THAT(known_words(Kind::kBucketField, "last"), ElementsAre("last", "last_x"));
    EXPECT_THAT(known_words(Kind::kStart, "r"), ElementsAre("runs"));
    EXPECT_THAT(known_words(Kind::kCommand, "\\w"), ElementsAre("\\watch"));
    EXPECT_THAT(known_words(Kind::kMetric, ""), IsEmpty());
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

}  // namespace
}  // namespace stepdb
