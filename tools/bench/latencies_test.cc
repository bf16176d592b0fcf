#include "tools/bench/latencies.h"

#include <gtest/gtest.h>

namespace stepdb::latencies_test {

TEST(Latencies, PercentilesLieWithinABucket) {
    Latencies all;
    Latencies odd;
    for (int64_t us = 1; us <= 10'000; ++us) {
        (us % 2 == 0 ? all : odd).add(us * 1000);
    }
    all.merge(odd);
    EXPECT_EQ(all.count(), 10'000U);
    EXPECT_NEAR(all.percentile_us(0.5), 5000, 5000 * 0.016);
    EXPECT_NEAR(all.percentile_us(0.99), 9900, 9900 * 0.016);
    EXPECT_DOUBLE_EQ(all.max_us(), 10'000);
    EXPECT_LE(all.percentile_us(1.0), all.max_us());
}

TEST(Latencies, OneIsItsOwnEveryPercentile) {
    Latencies one;
    EXPECT_EQ(one.percentile_us(0.5), 0);
    one.add(127);
    EXPECT_DOUBLE_EQ(one.percentile_us(0), 127e-3);
    EXPECT_DOUBLE_EQ(one.percentile_us(0.99), 127e-3);
}

TEST(Latencies, TheGreatestNumberHasABucket) {
    Latencies all;
    all.add(INT64_MAX);
    all.add(-5);  // a clock that went back
    EXPECT_NEAR(all.percentile_us(1), 9.22e15, 0.2e15);
    EXPECT_EQ(all.percentile_us(0.5), 0);
}

}  // namespace stepdb::latencies_test
