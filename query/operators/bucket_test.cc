#include "query/operators/bucket.h"

#include <gtest/gtest.h>

#include <limits>

#include "query/operators/bucket_grid.h"

namespace stepdb {
namespace {

constexpr double kMax = std::numeric_limits<double>::max();

Bucket bucket_of(std::initializer_list<double> values) {
    Bucket bucket;
    Key key = 0;
    for (const double value : values) {
        bucket.add(key++, value);
    }
    return bucket;
}

TEST(Bucket, SumsAreCompensated) {
    EXPECT_EQ(bucket_of({1e100, 1, -1e100, 1}).sum.sum(), 2);
    EXPECT_EQ(bucket_of({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}).sum.sum(), 1);
}

TEST(Bucket, SumsMayLeaveFloat64OnTheWay) {
    EXPECT_EQ(bucket_of({kMax, kMax, -kMax, -kMax, kMax}).sum.sum(), kMax);
    EXPECT_EQ(bucket_of({kMax, kMax}).sum.sum(), std::numeric_limits<double>::infinity());
    EXPECT_EQ(bucket_of({-kMax, -kMax}).mean(), -kMax);
}

TEST(Bucket, MeanStaysWithinMinAndMax) {
    EXPECT_EQ(bucket_of({kMax, kMax, kMax}).mean(), kMax);
    EXPECT_EQ(bucket_of({0.1, 0.1, 0.1}).mean(), 0.1);
    EXPECT_EQ(bucket_of({5e-324, 5e-324, 5e-324}).mean(), 5e-324);
}

TEST(BucketGrid, EdgesAreTheFormulaOfThePromise) {
    const BucketGrid grid =
        BucketGrid::create(Axis::kStepped, key_of_step(-1), key_of_step(2), 7).value();
    for (uint32_t i = 0; i < 7; ++i) {
        EXPECT_EQ(step_of_key(grid.edge(i)), -1.0 + 3.0 * (static_cast<double>(i) / 7));
    }
    EXPECT_EQ(step_of_key(grid.edge(7)), 2);
}

TEST(BucketGrid, PointsOnAnEdgeBelongToTheBucketThatStartsThere) {
    const BucketGrid grid =
        BucketGrid::create(Axis::kStepped, key_of_step(0), key_of_step(10), 5).value();
    EXPECT_EQ(grid.find_from(0, key_of_step(2)), 1U);
    EXPECT_EQ(grid.find_from(0, key_of_step(2) - 1), 0U);
    EXPECT_EQ(grid.find_from(0, key_of_step(10)), 4U);
    EXPECT_EQ(grid.find_from(3, key_of_step(10)), 4U);
}

TEST(BucketGrid, WithoutWidthTheLastBucketHasAll) {
    const BucketGrid grid = BucketGrid::create(Axis::kTimed, 5, 5, 4).value();
    EXPECT_EQ(grid.find_from(0, 5), 3U);
}

TEST(BucketGrid, TimesAtTheEndsOfTimeStayWithinTheGrid) {
    const BucketGrid grid = BucketGrid::create(Axis::kTimed, kKeyMin, kKeyMax, 3).value();
    EXPECT_EQ(grid.edge(0), kKeyMin);
    EXPECT_EQ(grid.edge(3), kKeyMax);
    EXPECT_EQ(grid.find_from(0, kKeyMin), 0U);
    EXPECT_EQ(grid.find_from(0, kKeyMax), 2U);
    EXPECT_FALSE(BucketGrid::create(Axis::kStepped, key_of_step(-kMax), key_of_step(kMax), 3));
}

}  // namespace
}  // namespace stepdb
