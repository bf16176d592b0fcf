#include "tools/bench/latencies.h"

#include <gtest/gtest.h>

namespace stepdb {

namespace {

TEST(Latencies, PercentilesLieWithinABucket) {
    Latencies all;
    Latencies odd;
    for (int64_t us = 1; us <= 10'000; ++us) {
        (us % 2 == 0 ? all : odd).add(us * 1000);
    }
    all.merge(odd);
    EXPECT_EQ(all.count(), 10'000U);
    EXPECT_NEAR(all.percentile_ms(0.5), 5.0, 5.0 * 0.016);
    EXPECT_NEAR(all.percentile_ms(0.99), 9.9, 9.9 * 0.016);
    EXPECT_DOUBLE_EQ(all.max_ms(), 10.0);
    EXPECT_LE(all.percentile_ms(1.0), all.max_ms());
}

TEST(Latencies, OneIsItsOwnEveryPercentile) {
    Latencies one;
    EXPECT_EQ(one.percentile_ms(0.5), 0);
    one.add(127);
    EXPECT_DOUBLE_EQ(one.percentile_ms(0), 127e-6);
    EXPECT_DOUBLE_EQ(one.percentile_ms(0.99), 127e-6);
}

TEST(Latencies, TheGreatestNumberHasABucket) {
    Latencies all;
    all.add(INT64_MAX);
    all.add(-5);  // a clock that went back
    EXPECT_NEAR(all.percentile_ms(1), 9.22e12, 0.2e12);
    EXPECT_EQ(all.percentile_ms(0.5), 0);
}

}  // namespace

}  // namespace stepdb
