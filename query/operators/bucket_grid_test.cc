#include "query/operators/bucket_grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "engine/model/bucket.h"

namespace stepdb::bucket_grid_test {

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

BucketGrid watched(Axis axis, Key lo, Key hi, uint32_t buckets, double& width,
                   bool is_log = false) {
    return BucketGrid::create_watched(axis, lo, hi, buckets, is_log, width).value();
}

TEST(BucketGrid, AWatchedGridStaysWherePointsAreAdded) {
    double width = 0;
    const BucketGrid before = watched(Axis::kStepped, key_of_step(3), key_of_step(700), 100, width);
    EXPECT_EQ(width, 8);
    EXPECT_EQ(step_of_key(before.edge(0)), 0);
    EXPECT_EQ(before.buckets(), 88U);
    const BucketGrid after = watched(Axis::kStepped, key_of_step(3), key_of_step(799), 100, width);
    EXPECT_EQ(width, 8);
    ASSERT_EQ(after.buckets(), 100U);
    for (uint32_t i = 0; i <= before.buckets(); ++i) {
        EXPECT_EQ(before.edge(i), after.edge(i));
    }
}

TEST(BucketGrid, AWatchedGridThatIsFullIsWidenedByTwoAndNeverNarrows) {
    double width = 8;
    EXPECT_EQ(watched(Axis::kStepped, key_of_step(3), key_of_step(800), 100, width).buckets(), 51U);
    EXPECT_EQ(width, 16);
    EXPECT_EQ(watched(Axis::kStepped, key_of_step(3), key_of_step(4), 100, width).buckets(), 1U);
    EXPECT_EQ(width, 16);
}

TEST(BucketGrid, OneKeySettlesNoWidth) {
    double width = 0;
    const BucketGrid grid = watched(Axis::kStepped, key_of_step(0.5), key_of_step(0.5), 9, width);
    EXPECT_EQ(grid.buckets(), 1U);
    EXPECT_EQ(width, 0);
    watched(Axis::kStepped, key_of_step(0.5), key_of_step(0.625), 9, width);
    EXPECT_EQ(width, 1.0 / 64);
}

// Every key between the ends lies in the grid, whatever the ends are.
TEST(BucketGrid, AWatchedGridHoldsItsEnds) {
    const std::vector<double> steps = {-kMax / 4, -1e300,    -12345.678, -1,      -0x1p-1074,
                                       0,         0x1p-1074, 1e-9,       0.1,     1,
                                       7,         0x1p53,    1e300,      kMax / 4};
    for (const uint32_t buckets : {1U, 2U, 7U, 1'000U}) {
        for (size_t i = 0; i < steps.size(); ++i) {
            for (size_t j = i; j < steps.size(); ++j) {
                double width = 0;
                const Key lo = key_of_step(steps[i]);
                const Key hi = key_of_step(steps[j]);
                const BucketGrid grid = watched(Axis::kStepped, lo, hi, buckets, width);
                EXPECT_LE(grid.edge(0), lo);
                EXPECT_GT(grid.edge(grid.buckets()), hi);
                EXPECT_LE(grid.buckets(), buckets);
                EXPECT_TRUE(std::ranges::is_sorted(grid.edges(), std::less_equal<>()));
                if (steps[i] <= 0) {
                    continue;
                }
                width = 0;
                const BucketGrid log = watched(Axis::kStepped, lo, hi, buckets, width, true);
                EXPECT_LE(log.edge(0), lo);
                EXPECT_GT(log.edge(log.buckets()), hi);
                EXPECT_LE(log.buckets(), buckets);
            }
        }
    }
}

TEST(BucketGrid, WatchedTimesAreWholeMicroseconds) {
    const std::vector<Key> times = {kKeyMin, -1, 0, 1, 1'700'000'000'000'000, kKeyMax - 1, kKeyMax};
    for (size_t i = 0; i < times.size(); ++i) {
        for (size_t j = i; j < times.size(); ++j) {
            double width = 0;
            const BucketGrid grid = watched(Axis::kTimed, times[i], times[j], 10, width);
            EXPECT_LE(grid.edge(0), times[i]);
            EXPECT_GE(grid.edge(grid.buckets()), times[j]);
            EXPECT_LE(grid.buckets(), 10U);
        }
    }
}

}  // namespace stepdb::bucket_grid_test
