#include "tools/bench/load_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace stepdb::load_values_test {

LoadShape shape_of(LoadData data, bool is_float64) {
    LoadShape shape;
    shape.metrics = 10;
    shape.data = data;
    shape.is_float64 = is_float64;
    return shape;
}

std::vector<std::vector<double>> columns_of(const LoadShape& shape, size_t rows) {
    LoadValues source(shape, 1);
    std::vector<std::vector<double>> columns(shape.metrics);
    std::vector<double> row(shape.metrics);
    for (size_t at = 0; at < rows; ++at) {
        source.next_row(row);
        for (size_t column = 0; column < row.size(); ++column) {
            columns[column].push_back(row[column]);
        }
    }
    return columns;
}

bool is_float32(double value) {
    return std::isnan(value) || static_cast<double>(static_cast<float>(value)) == value;
}

TEST(LoadValues, NoiseHasAStandardDeviationOfATenth) {
    for (const auto& column : columns_of(shape_of(LoadData::kNoise, false), 200)) {
        double sum = 0;
        for (const double value : column) {
            ASSERT_TRUE(is_float32(value));
            sum += value;
        }
        const double mean = sum / static_cast<double>(column.size());
        double squares = 0;
        for (const double value : column) {
            squares += (value / mean - 1) * (value / mean - 1);
        }
        EXPECT_NEAR(std::sqrt(squares / static_cast<double>(column.size())), 0.1, 0.02);
    }
}

TEST(LoadValues, AMixHasConstantsCountersSpikesAndNan) {
    const auto columns = columns_of(shape_of(LoadData::kMixed, false), 200'000);
    size_t constant = 0;
    size_t rising = 0;
    size_t few = 0;
    size_t nan = 0;
    size_t spikes = 0;
    for (const auto& column : columns) {
        const std::set<double> distinct(column.begin(), column.end());
        constant += distinct.size() == 1 ? 1U : 0U;
        few += distinct.size() > 1 && distinct.size() < 100 ? 1U : 0U;
        rising += std::is_sorted(column.begin(), column.end()) && distinct.size() > 1 ? 1U : 0U;
        for (size_t row = 1; row < column.size(); ++row) {
            nan += std::isnan(column[row]) ? 1U : 0U;
            spikes += column[row] > 8 * column[row - 1] ? 1U : 0U;
        }
    }
    EXPECT_EQ(constant, 1U);
    EXPECT_EQ(rising, 1U);
    EXPECT_EQ(few, 1U);
    EXPECT_GT(spikes, 60U);
    EXPECT_LT(spikes, 240U);
    EXPECT_LT(nan, 400U);
}

TEST(LoadValues, DoublesNeedTheirBits) {
    for (const LoadData data : {LoadData::kNoise, LoadData::kMixed}) {
        size_t narrow = 0;
        for (const auto& column : columns_of(shape_of(data, true), 1000)) {
            for (const double value : column) {
                narrow += is_float32(value) ? 1U : 0U;
            }
        }
        EXPECT_LT(narrow, 200U);
    }
}

}  // namespace stepdb::load_values_test
