#include "tools/output/heat_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace stepdb::heat_map_test {

std::vector<ResultColumn> columns_of(const std::vector<std::string>& xs) {
    std::vector<ResultColumn> columns = {{"run", ColumnType::kText}, {"metric", ColumnType::kText}};
    for (const std::string& x : xs) {
        columns.emplace_back(x, ColumnType::kFloat64);
    }
    return columns;
}

// What is not there is unset.
std::string draw(const std::vector<std::string>& xs,
                 const std::vector<std::vector<std::optional<double>>>& lines, int width = 60) {
    const std::vector<ResultColumn> columns = columns_of(xs);
    ResultBlock block(columns);
    int layer = 8;
    for (const auto& line : lines) {
        block.column(0).append_text("p/r");
        block.column(1).append_text("layers/" + std::to_string(++layer));
        for (size_t i = 0; i < line.size(); ++i) {
            if (line[i]) {
                block.column(2 + i).append_double(*line[i]);
            } else {
                block.column(2 + i).append_null();
            }
        }
    }
    HeatMap map(columns);
    map.block(block);
    ChartOptions options;
    options.width = width;
    return map.render(options);
}

TEST(HeatMap, KnowsItsAnswersByTheirColumns) {
    EXPECT_TRUE(HeatMap::is_of(columns_of({"0", "10", "20.5", "1e+06"})));
    EXPECT_TRUE(
        HeatMap::is_of(columns_of({"2026-03-01T12:00:00Z", "2026-03-01T12:00:00.500000Z"})));
    EXPECT_FALSE(HeatMap::is_of(columns_of({"0", "20", "10"})));
    EXPECT_FALSE(HeatMap::is_of(columns_of({"min", "max"})));
    EXPECT_FALSE(HeatMap::is_of(columns_of({"0"})));
    EXPECT_FALSE(HeatMap::is_of(
        std::vector<ResultColumn>{{"0", ColumnType::kFloat64}, {"1", ColumnType::kFloat64}}));
    EXPECT_FALSE(HeatMap::is_of({}));
}

TEST(HeatMap, ShadesALineForEachSeries) {
    EXPECT_EQ(draw({"0", "10", "20"}, {{0.0, 5.0, 10.0}, {10.0, std::nullopt, 2.0}}),
              "0 ·░▒▓█ 10\n"
              "layers/9  ····▒▒▒▒████\n"
              "layers/10 ████    ░░░░\n"
              "          0         20\n");
}

TEST(HeatMap, IsLogarithmicWherePositiveValuesAreFarApart) {
    EXPECT_EQ(draw({"0", "1", "2"}, {{0.01, 1.0, 100.0}}),
              "0.01 ·░▒▓█ 100, logarithmic\n"
              "layers/9 ····▒▒▒▒████\n"
              "         0          2\n");
}

TEST(HeatMap, ShowsTheGreatestOfWhatSharesACellAndCrossesWhatIsNotFinite) {
    std::vector<std::string> xs;
    std::vector<std::optional<double>> line;
    for (int i = 0; i < 400; ++i) {
        xs.push_back(std::to_string(i));
        line.emplace_back(i == 200 ? 9.0 : 1.0);
    }
    for (int i = 0; i < 40; ++i) {
        line[static_cast<size_t>(i)] = i < 20 ? std::numeric_limits<double>::quiet_NaN()
                                              : std::numeric_limits<double>::infinity();
    }
    const std::string drawn = draw(xs, {line}, 49);
    EXPECT_NE(drawn.find("layers/9 ××××"), std::string::npos) << drawn;
    size_t spikes = 0;
    for (size_t at = drawn.find("█", drawn.find('\n')); at != std::string::npos;
         at = drawn.find("█", at + 1)) {
        ++spikes;
    }
    EXPECT_EQ(spikes, 1U) << drawn;
}

TEST(HeatMap, DrawsWhatIsFlatOrNothing) {
    EXPECT_EQ(draw({"0", "1"}, {{3.0, 3.0}}),
              "3 ·░▒▓█ 3\n"
              "layers/9 ········\n"
              "         0      1\n");
    EXPECT_EQ(draw({"0", "1"}, {{std::nullopt, std::nullopt}}).substr(0, 17), "no finite values\n");
    EXPECT_EQ(draw({"0", "1"}, {}), "no rows\n");
}

}  // namespace stepdb::heat_map_test
