#include "net/rate_limit.h"

#include <gtest/gtest.h>

namespace stepdb::rate_limit_test {

using std::chrono::milliseconds;

RateLimit::Time at(int64_t ms) {
    return RateLimit::Time(milliseconds(1'000'000 + ms));
}

TEST(RateLimit, LetsASecondsWorthThroughAtOnceAndThenOneByOne) {
    RateLimit limit(10);
    for (int taken = 0; taken < 10; ++taken) {
        EXPECT_TRUE(limit.try_take(1, at(0)));
    }
    EXPECT_FALSE(limit.try_take(1, at(0)));
    EXPECT_EQ(limit.wait(1, at(0)), milliseconds(100));
    EXPECT_FALSE(limit.try_take(1, at(99)));
    EXPECT_TRUE(limit.try_take(1, at(100)));
    EXPECT_FALSE(limit.try_take(1, at(150)));
}

TEST(RateLimit, DoesNotSaveMoreThanASecondsWorth) {
    RateLimit limit(10);
    limit.take(0, at(0));
    EXPECT_EQ(limit.wait(10, at(100'000)), milliseconds(0));
    limit.take(10, at(100'000));
    EXPECT_EQ(limit.wait(1, at(100'000)), milliseconds(100));
}

TEST(RateLimit, WhatWasTakenBeyondItIsPaidOff) {
    RateLimit limit(10);
    limit.take(35, at(0));
    EXPECT_EQ(limit.wait(0, at(0)), milliseconds(2500));
    EXPECT_EQ(limit.wait(0, at(2400)), milliseconds(100));
    EXPECT_EQ(limit.wait(0, at(2500)), milliseconds(0));
    // More than there ever is waits for all there ever is.
    EXPECT_EQ(limit.wait(1000, at(2500)), milliseconds(1000));
}

TEST(RateLimit, WithoutOneNothingWaits) {
    RateLimit limit(0);
    limit.take(1e9, at(0));
    EXPECT_TRUE(limit.try_take(1e9, at(0)));
    EXPECT_EQ(limit.wait(1e9, at(0)), milliseconds(0));
}

}  // namespace stepdb::rate_limit_test
