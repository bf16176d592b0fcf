#include "query/operators/bucket_grid.h"

#include <gtest/gtest.h>

#include <limits>

#include "engine/model/bucket.h"

namespace stepdb {
namespace {

constexpr double kMax = std::numeric_limits<double>::max();

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
    EXPECT_EQ(bucket_of(grid.edges(), 0, key_of_step(2)), 1U);
    EXPECT_EQ(bucket_of(grid.edges(), 0, key_of_step(2) - 1), 0U);
    EXPECT_EQ(bucket_of(grid.edges(), 0, key_of_step(10)), 4U);
    EXPECT_EQ(bucket_of(grid.edges(), 3, key_of_step(10)), 4U);
}

TEST(BucketGrid, WithoutWidthTheLastBucketHasAll) {
    const BucketGrid grid = BucketGrid::create(Axis::kTimed, 5, 5, 4).value();
    EXPECT_EQ(bucket_of(grid.edges(), 0, 5), 3U);
}

TEST(BucketGrid, TimesAtTheEndsOfTimeStayWithinTheGrid) {
    const BucketGrid grid = BucketGrid::create(Axis::kTimed, kKeyMin, kKeyMax, 3).value();
    EXPECT_EQ(grid.edge(0), kKeyMin);
    EXPECT_EQ(grid.edge(3), kKeyMax);
    EXPECT_EQ(bucket_of(grid.edges(), 0, kKeyMin), 0U);
    EXPECT_EQ(bucket_of(grid.edges(), 0, kKeyMax), 2U);
    EXPECT_FALSE(BucketGrid::create(Axis::kStepped, key_of_step(-kMax), key_of_step(kMax), 3));
}

}  // namespace
}  // namespace stepdb
