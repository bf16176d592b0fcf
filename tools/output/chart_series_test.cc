#include "tools/output/chart_series.h"

#include <gtest/gtest.h>

namespace stepdb::chart_series_test {

ChartBucket point(double x, double value) {
    ChartBucket bucket;
    bucket.lo = bucket.hi = x;
    bucket.min = bucket.max = bucket.mean = value;
    bucket.count = 1;
    return bucket;
}

TEST(ChartSeries, MergesNeighboursAndKeepsExtremesCountsAndNaN) {
    ChartSeries series;
    for (int i = 999; i >= 0; --i) {  // any order
        series.add(point(i, i == 500 ? -7 : i == 501 ? 9 : 1));
    }
    ChartBucket nan = point(250, 0);
    nan.count = 0;
    nan.non_finite = true;
    series.add(nan);
    series.merge_neighbours(10);
    ASSERT_EQ(series.buckets.size(), 10U);
    uint64_t count = 0;
    for (const ChartBucket& bucket : series.buckets) {
        EXPECT_EQ(bucket.non_finite, bucket.lo <= 250 && 250 <= bucket.hi);
        EXPECT_LT(bucket.hi - bucket.lo, 100);
        count += bucket.count;
    }
    EXPECT_EQ(count, 1000U);
    EXPECT_EQ(series.buckets[5].min, -7);
    EXPECT_EQ(series.buckets[5].max, 9);
    EXPECT_NEAR(series.buckets[5].mean, 1, 0.01);
    EXPECT_EQ(series.min, -7);
    EXPECT_EQ(series.max, 9);
}

TEST(ChartSeries, MergesPointsAtOnePlaceAndFarApart) {
    ChartSeries series;
    series.merge_neighbours(4);
    EXPECT_TRUE(series.buckets.empty());
    series.add(point(3, 1));
    series.add(point(3, 2));
    series.merge_neighbours(4);
    ASSERT_EQ(series.buckets.size(), 1U);
    EXPECT_EQ(series.buckets[0].mean, 1.5);
    series.add(point(-1.7e308, 1));
    series.add(point(1.7e308, 1));
    series.merge_neighbours(4);
    EXPECT_EQ(series.buckets.size(), 3U);
}

}  // namespace stepdb::chart_series_test
