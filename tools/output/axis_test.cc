#include "tools/output/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::axis_test {

using ::testing::ElementsAre;

std::vector<std::string> labels(const std::vector<Tick>& ticks) {
    std::vector<std::string> found;
    found.reserve(ticks.size());
    for (const Tick& tick : ticks) {
        found.push_back(tick.label);
    }
    return found;
}

constexpr double kDay = 86'400e6;
constexpr double kStart = 1'795'454'593e6;  // 2026-11-23T17:23:13Z

TEST(NumberTicks, StandAtRoundNumbersInsideTheRange) {
    EXPECT_THAT(labels(number_ticks(0, 1, 5)), ElementsAre("0", "0.25", "0.50", "0.75", "1.00"));
    EXPECT_THAT(labels(number_ticks(-3, 7.5, 4)), ElementsAre("0", "5"));
    EXPECT_THAT(labels(number_ticks(0.48, 4.05, 6)), ElementsAre("1", "2", "3", "4"));
}

TEST(NumberTicks, SayLargeNumbersWithASuffix) {
    EXPECT_THAT(labels(number_ticks(0, 2400, 6)), ElementsAre("0", "500", "1000", "1500", "2000"));
    EXPECT_THAT(labels(number_ticks(0, 1.4e6, 4)), ElementsAre("0", "500k", "1M"));
    EXPECT_THAT(labels(number_ticks(1'000'000, 1'000'400, 3)),
                ElementsAre("1M", "1.0002M", "1.0004M"));
}

TEST(NumberTicks, SurviveExtremeRanges) {
    EXPECT_FALSE(number_ticks(-1.7e308, 1.7e308, 5).empty());
    EXPECT_EQ(number_ticks(3, 3, 5).size(), 1U);
    EXPECT_LE(number_ticks(1e16, 1e16 + 2, 5).size(), 5U);
    EXPECT_FALSE(number_ticks(0, 5e-324, 5).empty());
}

TEST(NumberTicks, AreNeverMoreThanAskedFor) {
    for (double hi = 1; hi < 200; hi += 0.37) {
        for (int count = 2; count < 12; ++count) {
            EXPECT_LE(number_ticks(0, hi, count).size(), static_cast<size_t>(count)) << hi;
        }
    }
}

TEST(LogTicks, StandAtPowersOfTenAndBetweenThemWhereThereIsRoom) {
    EXPECT_THAT(labels(log_ticks(1, 2e4, 6)), ElementsAre("1", "10", "100", "1000", "10k"));
    EXPECT_THAT(labels(log_ticks(13, 700, 6)), ElementsAre("20", "50", "100", "200", "500"));
    EXPECT_THAT(labels(log_ticks(0.001, 1e12, 5)), ElementsAre("1", "10k", "100M", "1T"));
}

TEST(LogTicks, OfAShortRangeAreThoseOfNumbers) {
    EXPECT_THAT(labels(log_ticks(21, 42, 4)), ElementsAre("30", "40"));
}

TEST(LogTicks, AreNeverMoreThanAskedFor) {
    for (double hi = 1.5; hi < 1e300; hi *= 7) {
        for (int count = 2; count < 12; ++count) {
            EXPECT_LE(log_ticks(1, hi, count).size(), static_cast<size_t>(count)) << hi;
        }
    }
}

TEST(TimeTicks, StandAtRoundTimesAndSayTheDayOnce) {
    EXPECT_THAT(labels(time_ticks(kStart, kStart + 40e6, 5)),
                ElementsAre("11-23 17:23:20", "17:23:30", "17:23:40", "17:23:50"));
}

TEST(TimeTicks, NameTheDayAtMidnight) {
    EXPECT_THAT(labels(time_ticks(kStart, kStart + kDay, 5)),
                ElementsAre("11-23 18:00", "11-24 00:00", "06:00", "12:00"));
}

TEST(TimeTicks, AreDatesOverManyDays) {
    EXPECT_THAT(labels(time_ticks(kStart, kStart + 4 * kDay, 5)),
                ElementsAre("2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"));
}

}  // namespace stepdb::axis_test
