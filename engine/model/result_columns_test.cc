#include "engine/model/result_columns.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/float_bits.h"

namespace stepdb::result_columns_test {

TEST(ResultColumns, RepeatedTextsAreOneRun) {
    ColumnCells cells(ColumnType::kText);
    cells.append_text("a", 1000);
    cells.append_text("a");
    cells.append_text("b", 2);
    EXPECT_EQ(cells.rows(), 1003U);
    EXPECT_EQ(cells.text_runs().size(), 2U);
    EXPECT_EQ(cells.texts()[1000], "a");
    EXPECT_EQ(cells.texts()[1001], "b");
    EXPECT_FALSE(cells.has_nulls());
}

TEST(ResultColumns, NullsKeepTheirPlace) {
    for (const ColumnType type : {ColumnType::kText, ColumnType::kFloat64, ColumnType::kStep,
                                  ColumnType::kTime, ColumnType::kUint64}) {
        ColumnCells cells(type);
        const auto append = [&] {
            switch (type) {
                case ColumnType::kText:
                    cells.append_text("x");
                    break;
                case ColumnType::kFloat64:
                case ColumnType::kStep:
                    cells.append_double(1);
                    break;
                case ColumnType::kTime:
                    cells.append_time(1);
                    break;
                case ColumnType::kUint64:
                    cells.append_uint64(1);
                    break;
            }
        };
        append();
        cells.append_null(2);
        append();
        cells.append_null();
        EXPECT_EQ(cells.rows(), 5U);
        EXPECT_TRUE(cells.has_nulls());
        std::vector<bool> nulls;
        for (uint32_t row = 0; row < cells.rows(); ++row) {
            nulls.push_back(cells.is_null(row));
        }
        EXPECT_EQ(nulls, (std::vector<bool>{false, true, true, false, true}));
    }
}

TEST(ResultColumns, NumbersAreTakenAsTheyLieInMemory) {
    std::vector<std::byte> bytes(1);  // at no address for a double
    const std::vector<double> values = {1.5, -0.0, std::nan("7")};
    const Bytes numbers = std::as_bytes(std::span(values));
    bytes.insert(bytes.end(), numbers.begin(), numbers.end());
    ColumnCells cells(ColumnType::kFloat64);
    cells.append_null();
    cells.append_numbers(Bytes(bytes).subspan(1));
    cells.append_numbers({});
    EXPECT_EQ(cells.rows(), 4U);
    EXPECT_TRUE(cells.is_null(0));
    for (uint32_t row = 1; row < 4; ++row) {
        EXPECT_FALSE(cells.is_null(row));
        EXPECT_TRUE(same_bits(cells.doubles()[row], values[row - 1]));
    }
    const std::vector<int64_t> some = {-3, 4};
    ColumnCells times(ColumnType::kTime);
    times.append_numbers(std::as_bytes(std::span(some)));
    EXPECT_EQ(times.times()[0], -3);
    EXPECT_EQ(times.times()[1], 4);
}

TEST(ResultColumns, BlockKnowsWhenColumnsDiffer) {
    const std::vector<ResultColumn> columns = {ResultColumn("run", ColumnType::kText),
                                               ResultColumn("value", ColumnType::kFloat64)};
    ResultBlock block(columns);
    EXPECT_EQ(block.width(), 2U);
    block.column(0).append_text("gpt/a", 2);
    EXPECT_FALSE(block.is_complete());
    block.column(1).append_double(1);
    block.column(1).append_double(2);
    EXPECT_TRUE(block.is_complete());
    EXPECT_EQ(block.rows(), 2U);
}

}  // namespace stepdb::result_columns_test
