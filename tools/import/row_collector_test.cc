#include "tools/import/row_collector.h"

#include <gtest/gtest.h>

namespace stepdb::row_collector_test {

using Values = std::vector<std::pair<uint32_t, double>>;

TEST(RowCollector, SortsWhatComesInAnyOrder) {
    RowCollector rows;
    LogRow row;
    rows.begin(1, 2, 3);
    rows.add(5, 50);
    rows.add(1, 10);
    EXPECT_TRUE(rows.has(5));
    EXPECT_FALSE(rows.has(2));
    EXPECT_FALSE(rows.has(1000));
    rows.take(row);
    EXPECT_EQ(row.values, (Values{{1, 10}, {5, 50}}));
    EXPECT_EQ(row.step, 1);
    EXPECT_EQ(row.place, 3U);
    EXPECT_TRUE(rows.empty());
    rows.begin(std::nullopt, 2, 4);
    EXPECT_FALSE(rows.has(5));
    rows.add(5, 51);
    rows.take(row);
    EXPECT_EQ(row.values, (Values{{5, 51}}));
    EXPECT_FALSE(row.step);
}

TEST(MetricNames, CountsInOrderOfAppearance) {
    MetricNames names;
    EXPECT_EQ(*names.intern("b"), 0U);
    EXPECT_EQ(*names.intern("a"), 1U);
    EXPECT_EQ(*names.intern("b"), 0U);
    EXPECT_EQ(names.intern("").error().code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(names.intern("a\n").error().code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(names.intern("\xff").error().code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(names.all(), (std::vector<std::string>{"b", "a"}));
}

}  // namespace stepdb::row_collector_test
