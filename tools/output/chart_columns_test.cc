#include "tools/output/chart_columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::chart_columns_test {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// "run step count mean": texts before the x, of which `lo`, `hi`, `step` and `x` are steps and
// `time` is one, counts by their names, and all else float64.
std::vector<ResultColumn> columns_of(const std::vector<std::string>& names) {
    std::vector<ResultColumn> columns;
    for (const std::string& name : names) {
        const bool is_step = name == "lo" || name == "hi" || name == "step" || name == "x";
        const bool is_count = name == "count" || name == "nan";
        const bool is_text = name == "run" || name == "metric" || name == "l";
        columns.emplace_back(name, is_step          ? ColumnType::kStep
                                   : name == "time" ? ColumnType::kTime
                                   : is_count       ? ColumnType::kUint64
                                   : is_text        ? ColumnType::kText
                                                    : ColumnType::kFloat64);
    }
    return columns;
}

ChartColumns found_in(const std::vector<std::string>& names) {
    const Result<ChartColumns> found = ChartColumns::find(columns_of(names));
    EXPECT_TRUE(found.has_value());
    return found ? *found : ChartColumns();
}

std::string shown_of(const std::vector<std::string>& values) {
    std::vector<std::string> names = {"lo", "hi", "count"};
    names.insert(names.end(), values.begin(), values.end());
    return found_in(names).shows;
}

std::string refusal_of(const std::vector<std::string>& names) {
    const Result<ChartColumns> found = ChartColumns::find(columns_of(names));
    EXPECT_FALSE(found.has_value());
    return found ? "" : found.error().message();
}

TEST(ChartColumns, OfPointsDrawTheirValues) {
    const ChartColumns found = found_in({"run", "metric", "x", "value"});
    EXPECT_THAT(found.label_names, ElementsAre("run", "metric"));
    EXPECT_FALSE(found.in_buckets());
    EXPECT_EQ(found.line, 3U);
    EXPECT_FALSE(found.has_band());
    EXPECT_EQ(found.x_name, "x");
    EXPECT_EQ(found_in({"run", "metric", "time", "value"}).x_name, "UTC");
}

TEST(ChartColumns, OfWhatIsCombinedAreLabelsLineAndBand) {
    const ChartColumns found = found_in({"config/lr", "l", "lo", "hi", "count", "std", "mean"});
    EXPECT_THAT(found.label_names, ElementsAre("config/lr", "l"));
    EXPECT_TRUE(found.in_buckets());
    EXPECT_TRUE(found.is_combined);
    EXPECT_EQ(found.line, 6U);
    EXPECT_EQ(found.deviation, 5U);
    EXPECT_EQ(found.shows, "mean ± std");
}

TEST(ChartColumns, ChooseLineAndBandAmongCombinations) {
    EXPECT_EQ(shown_of({"mean"}), "mean");
    EXPECT_EQ(shown_of({"min", "max", "std", "mean"}), "mean, min to max");
    EXPECT_EQ(shown_of({"median", "max", "min"}), "median, min to max");
    EXPECT_EQ(shown_of({"median", "std"}), "median");
    EXPECT_EQ(shown_of({"p95", "p5", "p25"}), "p25, p5 to p95");
    EXPECT_EQ(shown_of({"p90", "p50", "p10", "mean"}), "mean, p10 to p90");
    EXPECT_EQ(shown_of({"p50", "p99.5"}), "p50, p50 to p99.5");
    EXPECT_EQ(shown_of({"p10", "p90"}), "p10 to p90");
    EXPECT_EQ(shown_of({"p95"}), "p95");
    EXPECT_EQ(shown_of({"min", "max"}), "min to max");
    EXPECT_EQ(shown_of({"max"}), "max");
    EXPECT_EQ(shown_of({"std"}), "std");
    EXPECT_EQ(shown_of({}), "count");
}

TEST(ChartColumns, OfBucketsNeedNoWordsForMeanMinimumAndMaximum) {
    EXPECT_EQ(found_in({"run", "metric", "lo", "hi", "count", "min", "max", "mean"}).shows, "");
    EXPECT_EQ(found_in({"run", "metric", "lo", "hi", "min"}).shows, "min");
}

TEST(ChartColumns, KnowLabelsThatAreCalledAsXIs) {
    const ChartColumns found = found_in({"x", "step", "lo", "hi", "count", "mean"});
    EXPECT_THAT(found.label_names, ElementsAre("x", "step"));
}

TEST(ChartColumns, RefuseStepsBesideTimes) {
    EXPECT_THAT(refusal_of({"run", "metric", "step", "time", "value"}), HasSubstr("`| x time`"));
}

TEST(ChartColumns, RefuseTables) {
    EXPECT_THAT(refusal_of({}), HasSubstr("buckets 200"));
    EXPECT_THAT(refusal_of({"run", "value"}), HasSubstr("buckets 200"));
    EXPECT_THAT(refusal_of({"lo", "hi", "train/loss min", "train/loss max"}),
                AllOf(HasSubstr("leave `pivot` out"), HasSubstr("mean, min or max")));
}

}  // namespace stepdb::chart_columns_test
