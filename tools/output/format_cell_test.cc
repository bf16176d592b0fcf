#include "tools/output/format_cell.h"
#include "engine/base/civil_time.h"
#include "engine/model/cell_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace stepdb::format_cell_test {

TEST(FormatTime, WritesIsoInUtcWithTheFractionItNeeds) {
    EXPECT_EQ(format_time(0), "1970-01-01T00:00:00Z");
    EXPECT_EQ(format_time(1'795'454'593'000'000), "2026-11-23T17:23:13Z");
    EXPECT_EQ(format_time(1'795'454'593'250'000), "2026-11-23T17:23:13.250Z");
    EXPECT_EQ(format_time(1'795'454'593'000'001), "2026-11-23T17:23:13.000001Z");
}

TEST(FormatTime, HoldsLeapDaysAndTimesBeforeTheEpoch) {
    EXPECT_EQ(format_time(951'782'400'000'000), "2000-02-29T00:00:00Z");
    EXPECT_EQ(format_time(4'107'542'399'999'999), "2100-02-28T23:59:59.999999Z");
    EXPECT_EQ(format_time(4'107'542'400'000'000), "2100-03-01T00:00:00Z");
    EXPECT_EQ(format_time(-1), "1969-12-31T23:59:59.999999Z");
    EXPECT_EQ(format_time(INT64_MIN), "-290308-12-21T19:59:05.224192Z");
    EXPECT_EQ(format_time(INT64_MAX), "+294247-01-10T04:00:54.775807Z");
}

TEST(FormatStep, WritesIntegersWithoutExponent) {
    EXPECT_EQ(format_step(0), "0");
    EXPECT_EQ(format_step(-0.0), "0");
    EXPECT_EQ(format_step(12'000'000), "12000000");
    EXPECT_EQ(format_step(9007199254740992), "9007199254740992");
    EXPECT_EQ(format_step(0.1), "0.1");
    EXPECT_EQ(format_step(1e300), "1e+300");
}

TEST(FormatShort, KeepsFewDigitsAndASuffix) {
    EXPECT_EQ(format_short(0), "0");
    EXPECT_EQ(format_short(3.14159), "3.142");
    EXPECT_EQ(format_short(0.0034567), "0.003457");
    EXPECT_EQ(format_short(9999), "9999");
    EXPECT_EQ(format_short(12'500), "12.5k");
    EXPECT_EQ(format_short(-3'200'000), "-3.2M");
    EXPECT_EQ(format_short(999'999), "1M");
    EXPECT_EQ(format_short(2.5e9), "2.5B");
    EXPECT_EQ(format_short(1e-7), "1e-07");
    EXPECT_EQ(format_short(NAN), "NaN");
    EXPECT_EQ(format_short(-INFINITY), "-Infinity");
}

TEST(SafeText, EscapesWhatATerminalWouldObey) {
    EXPECT_EQ(safe_text("läyers/0"), "läyers/0");
    EXPECT_EQ(safe_text("a\x1b[31m"), "a\\x1b[31m");
    EXPECT_EQ(safe_text("a\xff"), "a\\xff");
}

TEST(DisplayWidth, CountsCodePoints) {
    EXPECT_EQ(display_width("läyer"), 5U);
}

}  // namespace stepdb::format_cell_test
