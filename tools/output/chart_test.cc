#include "tools/output/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace stepdb::chart_test {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<ResultColumn> kColumns = {
    {"run", ColumnType::kText},    {"metric", ColumnType::kText},  {"lo", ColumnType::kStep},
    {"hi", ColumnType::kStep},     {"count", ColumnType::kUint64}, {"nan", ColumnType::kUint64},
    {"pinf", ColumnType::kUint64}, {"ninf", ColumnType::kUint64},  {"min", ColumnType::kFloat64},
    {"max", ColumnType::kFloat64}, {"mean", ColumnType::kFloat64}};

struct TestBucket {
    uint64_t count = 1;
    double min = 0;
    double max = 0;
    double mean = 0;
    uint64_t nan = 0;
    uint64_t pinf = 0;
};

// Buckets of `width` steps each from 0 on.
ResultBlock block_of(std::string_view metric, double width,
                     const std::vector<TestBucket>& buckets) {
    ResultBlock block(kColumns);
    double lo = 0;
    for (const TestBucket& bucket : buckets) {
        block.column(0).append_text("p/run");
        block.column(1).append_text(metric);
        block.column(2).append_double(lo);
        block.column(3).append_double(lo + width);
        block.column(4).append_uint64(bucket.count);
        block.column(5).append_uint64(bucket.nan);
        block.column(6).append_uint64(bucket.pinf);
        block.column(7).append_uint64(0);
        for (size_t column = 8; column < 11; ++column) {
            if (bucket.count == 0) {
                block.column(column).append_null();
            }
        }
        if (bucket.count > 0) {
            block.column(8).append_double(bucket.min);
            block.column(9).append_double(bucket.max);
            block.column(10).append_double(bucket.mean);
        }
        lo += width;
    }
    return block;
}

std::string draw(const std::vector<ResultBlock>& blocks, const ChartOptions& options) {
    Chart chart;
    EXPECT_TRUE(chart.begin(kColumns).has_value());
    for (const ResultBlock& block : blocks) {
        chart.block(block);
    }
    return chart.render(options);
}

ChartOptions size(int width, int height, bool color = false) {
    ChartOptions options;
    options.width = width;
    options.height = height;
    options.color = color;
    return options;
}

std::vector<TestBucket> flat(size_t count) {
    return std::vector<TestBucket>(count, {10, 1, 1, 1, 0, 0});
}

TEST(Chart, DrawsLineAxesAndLegend) {
    std::vector<TestBucket> rising;
    for (int i = 0; i < 40; ++i) {
        const double value = i * 0.25;
        rising.push_back({5, value, value, value, 0, 0});
    }
    EXPECT_EQ(draw({block_of("train/loss", 100, rising)}, size(46, 5)), R"(
━━ p/run · train/loss
   min 0   max 9.75   200 points
     │                                ⣀⣀⠤⠤⠒⠒⠉⠉
     │                        ⣀⣀⠤⠤⠒⠒⠉⠉
   5 ┤                ⣀⣀⠤⠤⠒⠒⠉⠉
     │        ⣀⣀⠤⠤⠒⠒⠉⠉
   0 ┤⣀⣀⠤⠤⠒⠒⠉⠉
     └┬───────────────────┬──────────────────┬
step  0                 2000              4000
)" + 1);
}

TEST(Chart, ShowsASpikeOfOnePointInManyBuckets) {
    // Ten times as many buckets as dot columns, and one point of one of them sticks out.
    std::vector<TestBucket> buckets = flat(800);
    buckets[333].max = 100;
    const std::string drawn = draw({block_of("m", 1, buckets)}, size(46, 6));
    const std::string calm = draw({block_of("m", 1, flat(800))}, size(46, 6));
    EXPECT_NE(drawn, calm);
    // It reaches the top row of the drawing, which is otherwise empty.
    const size_t row = drawn.find('\n') + 1;
    const std::string top = drawn.substr(row, drawn.find('\n', row) - row);
    EXPECT_THAT(top, HasSubstr("⢸")) << drawn;
    EXPECT_THAT(drawn, HasSubstr("max 100"));
}

TEST(Chart, MarksNonFinitePointsOnTheAxisAndCountsThem) {
    std::vector<TestBucket> buckets = flat(40);
    buckets[20].nan = 3;
    buckets[21].pinf = 1;
    EXPECT_THAT(draw({block_of("m", 1, flat(40))}, size(46, 4)), Not(HasSubstr("×")));
    const std::string drawn = draw({block_of("m", 1, buckets)}, size(46, 4));
    EXPECT_THAT(drawn, HasSubstr("──××─")) << drawn;
    EXPECT_THAT(drawn, HasSubstr("× 3 NaN, 1 Infinity"));
}

TEST(Chart, OfNothingButNanStillShowsWhere) {
    const std::string drawn = draw({block_of("m", 1, {{0, 0, 0, 0, 5, 0}})}, size(46, 4));
    EXPECT_THAT(drawn, HasSubstr("no finite points"));
    EXPECT_THAT(drawn, HasSubstr("× 5 NaN"));
}

TEST(Chart, TellsSeveralSeriesApartWithoutColours) {
    const std::string drawn =
        draw({block_of("a", 1, flat(10)), block_of("b", 1, {{1, 3, 3, 3, 0, 0}})}, size(60, 4));
    EXPECT_THAT(drawn, HasSubstr("1 ━━ p/run · a"));
    EXPECT_THAT(drawn, HasSubstr("2 ━━ p/run · b"));
    EXPECT_THAT(drawn, HasSubstr(" 1\n"));
    EXPECT_THAT(drawn, Not(HasSubstr("\x1b")));
}

TEST(Chart, UsesColoursWhenAsked) {
    EXPECT_THAT(draw({block_of("a", 1, flat(10))}, size(60, 4, true)), HasSubstr("\x1b[38;5;"));
}

TEST(Chart, NoLineIsWiderThanAsked) {
    const std::string drawn =
        draw({block_of("a", 12345, flat(1000)), block_of(std::string(100, 'b'), 1, flat(3))},
             size(72, 8));
    size_t start = 0;
    for (size_t end = drawn.find('\n', start); end != std::string::npos;
         end = drawn.find('\n', start)) {
        size_t width = 0;
        for (const char byte : drawn.substr(start, end - start)) {
            width += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1U : 0U;
        }
        EXPECT_LE(width, 72U) << drawn;
        start = end + 1;
    }
}

TEST(Chart, LeavesAPauseOpenAndBridgesSparsePoints) {
    std::vector<TestBucket> paused = flat(40);
    for (size_t i = 12; i < 28; ++i) {
        paused[i].count = 0;
    }
    std::vector<TestBucket> sparse = flat(40);
    for (size_t i = 0; i < sparse.size(); ++i) {
        sparse[i].count = i % 5 == 0 ? 1 : 0;
    }
    EXPECT_THAT(draw({block_of("m", 1, paused)}, size(46, 4)), HasSubstr("⠉                ⠉"));
    EXPECT_THAT(draw({block_of("m", 1, sparse)}, size(46, 4)), Not(HasSubstr("⠉ ")));
}

TEST(Chart, TakesTimesAndAnswersWithoutMean) {
    std::vector<ResultColumn> columns = {{"lo", ColumnType::kTime},
                                         {"hi", ColumnType::kTime},
                                         {"min", ColumnType::kFloat64},
                                         {"max", ColumnType::kFloat64}};
    ResultBlock block(columns);
    block.column(0).append_time(1'795'454'593'000'000);
    block.column(1).append_time(1'795'454'693'000'000);
    block.column(2).append_double(1);
    block.column(3).append_double(2);
    Chart chart;
    ASSERT_TRUE(chart.begin(columns).has_value());
    chart.block(block);
    const std::string drawn = chart.render(size(80, 4));
    EXPECT_THAT(drawn, HasSubstr("UTC  "));
    EXPECT_THAT(drawn, HasSubstr("11-23 17:24"));
    EXPECT_THAT(drawn, HasSubstr("min 1   max 2"));
    EXPECT_THAT(drawn, HasSubstr("⢕⢕")) << "no mean, no line: " << drawn;
}

TEST(Chart, OfAMinimumAloneDrawsItsLine) {
    const std::vector<ResultColumn> columns = {
        {"lo", ColumnType::kStep}, {"hi", ColumnType::kStep}, {"min", ColumnType::kFloat64}};
    ResultBlock block(columns);
    for (int i = 0; i < 3; ++i) {
        block.column(0).append_double(i);
        block.column(1).append_double(i + 1);
        block.column(2).append_double(i);
    }
    Chart chart;
    ASSERT_TRUE(chart.begin(columns).has_value());
    chart.block(block);
    EXPECT_THAT(chart.render(size(80, 4)), HasSubstr("min from 0 to 2"));
}

using Points = std::vector<std::pair<double, double>>;

const std::vector<ResultColumn> kPointColumns = {{"run", ColumnType::kText},
                                                 {"metric", ColumnType::kText},
                                                 {"step", ColumnType::kStep},
                                                 {"value", ColumnType::kFloat64}};

std::string draw_points(const std::vector<Points>& series, const ChartOptions& options) {
    Chart chart;
    EXPECT_TRUE(chart.begin(kPointColumns).has_value());
    std::string metric = "a";
    for (const Points& points : series) {
        ResultBlock block(kPointColumns);
        for (const auto& [step, value] : points) {
            block.column(0).append_text("p/run");
            block.column(1).append_text(metric);
            block.column(2).append_double(step);
            block.column(3).append_double(value);
        }
        chart.block(block);
        ++metric.front();
    }
    return chart.render(options);
}

TEST(Chart, DrawsPointsAsALine) {
    EXPECT_EQ(draw_points({{{1, 0}, {2, 4}, {4, 0}, {8, 4}}}, size(46, 5)), R"(
━━ p/run · a   min 0   max 4   4 points
   4 ┤    ⢠⠊⠑⢄                            ⣀⡠⠔⠊
     │   ⡠⠃   ⠉⠢⡀                    ⢀⡠⠤⠒⠉
   2 ┤  ⡰⠁      ⠈⠒⢄             ⢀⣀⠤⠒⠊⠁
     │ ⡔⠁          ⠑⠤⡀      ⣀⠤⠔⠊⠁
   0 ┤⡜              ⠈⠢⣀⡠⠔⠒⠉
     └──────────────────────┬─────────────────
step                        5
)" + 1);
}

TEST(Chart, LosesNoExtremeAmongManyPointsInAnyOrder) {
    Points points;
    for (int i = 0; i < 300'000; ++i) {
        points.emplace_back(i, i == 123'456 ? 100 : 1);
    }
    const std::string drawn = draw_points({points}, size(60, 6));
    EXPECT_THAT(drawn, HasSubstr("min 1   max 100   300k points"));
    const size_t row = drawn.find('\n') + 1;
    EXPECT_THAT(drawn.substr(row, drawn.find('\n', row) - row),
                ::testing::AnyOf(HasSubstr("⢸"), HasSubstr("⡇")))
        << drawn;
    std::ranges::reverse(points);
    EXPECT_EQ(draw_points({points}, size(60, 6)), drawn);
}

TEST(Chart, MarksPointsThatAreNotFiniteAndBreaksTheLineThere) {
    const std::string drawn = draw_points(
        {{{0, 1}, {10, 1}, {20, NAN}, {21, INFINITY}, {22, -INFINITY}, {30, 1}, {40, 1}}},
        size(46, 4));
    EXPECT_THAT(drawn, HasSubstr("4 points"));
    EXPECT_THAT(drawn, HasSubstr("× 1 NaN, 1 Infinity, 1 -Infinity"));
    EXPECT_THAT(drawn, HasSubstr("──×××─")) << drawn;
    EXPECT_THAT(drawn, HasSubstr("⠉⠁          ")) << drawn;
}

TEST(Chart, TakesTheNameOfXFromTheQuery) {
    ChartOptions options = size(60, 4);
    options.x_name = "x";
    EXPECT_THAT(draw({block_of("a", 1, flat(10))}, options), HasSubstr("\n   x  0"));
}

// Rows of `config/lr`, lo, hi, count, mean and `last` in buckets of which the edges are powers
// of 10.
std::string draw_combined(const std::string& last, double lr) {
    const std::vector<ResultColumn> columns = {
        {"config/lr", ColumnType::kFloat64}, {"l", ColumnType::kText},
        {"lo", ColumnType::kStep},           {"hi", ColumnType::kStep},
        {"count", ColumnType::kUint64},      {"mean", ColumnType::kFloat64},
        {last, ColumnType::kFloat64}};
    ResultBlock block(columns);
    for (int power = 0; power < 4; ++power) {
        block.column(0).append_double(lr);
        block.column(1).append_null();
        block.column(2).append_double(std::pow(10, power));
        block.column(3).append_double(std::pow(10, power + 1));
        block.column(4).append_uint64(static_cast<uint64_t>(power) + 2);
        block.column(5).append_double(4);
        block.column(6).append_double(1);
    }
    Chart chart;
    EXPECT_TRUE(chart.begin(columns).has_value());
    chart.block(block);
    return chart.render(size(80, 4));
}

TEST(Chart, NamesWhatSeriesWereCombinedBy) {
    const std::string drawn = draw_combined("std", 0.001);
    EXPECT_THAT(drawn,
                HasSubstr("━━ config/lr=0.001, no l   mean ± std from 3 to 5   2 to 5 series"));
    EXPECT_THAT(draw_combined("var", 0.01), HasSubstr("mean 4 "));
}

TEST(Chart, IsLogarithmicWhereEdgesAre) {
    const std::string drawn = draw_combined("std", 0.001);
    EXPECT_THAT(drawn,
                HasSubstr("step  1                10                 100              1000 "))
        << drawn;
    EXPECT_THAT(drawn, HasSubstr("10k"));
}

TEST(Chart, OfAllSeriesSaysSo) {
    const std::vector<ResultColumn> columns = {{"step", ColumnType::kStep},
                                               {"count", ColumnType::kUint64},
                                               {"p10", ColumnType::kFloat64},
                                               {"p90", ColumnType::kFloat64}};
    ResultBlock block(columns);
    for (int i = 0; i < 3; ++i) {
        block.column(0).append_double(i);
        block.column(1).append_uint64(i == 1 ? 0U : 3U);
        for (size_t column = 2; column < 4; ++column) {
            if (i == 1) {
                block.column(column).append_null();
            } else {
                block.column(column).append_double(static_cast<double>(column));
            }
        }
    }
    Chart chart;
    ASSERT_TRUE(chart.begin(columns).has_value());
    chart.block(block);
    const std::string drawn = chart.render(size(50, 4));
    EXPECT_THAT(drawn, HasSubstr("⢕⢕ all series   p10 to p90 from 2 to 3   3 series"));
    EXPECT_THAT(drawn, HasSubstr("⢕⢕⢕⢕⢕⢕⢕⢕⢕⢕")) << "a band from point to point: " << drawn;
}

TEST(Chart, SaysWhatToAskForInstead) {
    EXPECT_FALSE(Chart::is_of_buckets(kPointColumns));
    EXPECT_TRUE(Chart::is_of_buckets(kColumns));
    Chart chart;
    EXPECT_THAT(chart.begin({}).error().message(), HasSubstr("buckets 200"));
}

}  // namespace stepdb::chart_test
