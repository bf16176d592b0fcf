#include "query/literals.h"

#include <gmock/gmock.h>

namespace stepdb::literals_test {

using ::testing::HasSubstr;

TEST(Literals, NumbersRoundOnce) {
    EXPECT_EQ(parse_number("1.1k").value(), 1100.0);
    EXPECT_EQ(parse_number("0.3M").value(), 300000.0);
    EXPECT_EQ(parse_number("10B").value(), 1e10);
    EXPECT_EQ(parse_number("2T").value(), 2e12);
    EXPECT_EQ(parse_number("-5").value(), -5.0);
    EXPECT_EQ(parse_number("+5").value(), 5.0);
    EXPECT_EQ(parse_number("1e-3").value(), 0.001);
    EXPECT_EQ(parse_number("9007199254740993").value(), 9007199254740992.0);
}

TEST(Literals, RefusesWhatIsNoFiniteNumber) {
    for (const char* text : {"", "k", "1K", "1m", "nan", "inf", "1e999", "1e3k", "1kk", "0x10", "-",
                             "+-1", "1 ", "--1", "1_000"}) {
        EXPECT_FALSE(parse_number(text)) << text;
    }
}

TEST(Literals, CountsAreWholeAndBounded) {
    EXPECT_EQ(parse_count("n", "1.5k", 2000).value(), 1500U);
    for (const char* text : {"0", "-1", "1.5", "2001", "x", "1e300"}) {
        const Result<uint64_t> count = parse_count("a number of points", text, 2000);
        ASSERT_FALSE(count) << text;
        EXPECT_THAT(count.error().message(),
                    HasSubstr("expected a number of points as a whole number from 1 to 2000"));
    }
}

TEST(Literals, DurationsAreSumsOfNumberAndUnit) {
    EXPECT_EQ(parse_duration("1us").value(), 1);
    EXPECT_EQ(parse_duration("2ms").value(), 2000);
    EXPECT_EQ(parse_duration("1.5s").value(), 1500000);
    EXPECT_EQ(parse_duration("1h30m").value(), 5400000000);
    EXPECT_EQ(parse_duration("1w").value(), 7 * parse_duration("1d").value());
    for (const char* text :
         {"", "5", "s", "1.2.3s", "1y", "-1s", "1s2", "999999999999999w", "1S"}) {
        EXPECT_FALSE(parse_duration(text)) << text;
    }
}

TEST(Literals, MomentsAreIsoTimesOrNumbersWithUnits) {
    EXPECT_EQ(parse_moment("1970-01-01").value(), 0);
    EXPECT_EQ(parse_moment("1969-12-31T23:59:59.999999Z").value(), -1);
    EXPECT_EQ(parse_moment("2026-03-01T12:30").value(), 1772368200000000);
    EXPECT_EQ(parse_moment("2026-03-01T12:30:05.25").value(), 1772368205250000);
    EXPECT_EQ(parse_moment("2026-03-01T12:30:05+01:00").value(),
              parse_moment("2026-03-01T11:30:05Z").value());
    EXPECT_EQ(parse_moment("2000-02-29").value(), 951782400000000);
    EXPECT_EQ(parse_moment("1772368200s").value(), 1772368200000000);
    EXPECT_EQ(parse_moment("-1ms").value(), -1000);
}

TEST(Literals, MomentsComeBackAsWritten) {
    for (const char* text :
         {"1970-01-01T00:00:00Z", "2026-03-01T12:30:05.25Z", "1969-12-31T23:59:59.999999Z",
          "2000-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}) {
        EXPECT_EQ(format_moment(parse_moment(text).value()), text);
    }
    EXPECT_EQ(format_moment(INT64_MAX), "+294247-01-10T04:00:54.775807Z");
    EXPECT_EQ(format_moment(INT64_MIN), "-290308-12-21T19:59:05.224192Z");
}

TEST(Literals, RefusesWhatIsNoMoment) {
    for (const char* text :
         {"", "2026-13-01", "2026-02-29", "1900-02-29", "2026-3-1", "2026-03-01 12:00",
          "2026-03-01T24:00", "2026-03-01T12", "2026-03-01T12:00:00.1234567",
          "2026-03-01T12:00:00.", "2026-03-01T12:00+1", "2026-03-01T12:00+99:00", "2026-03-01Z",
          "2026-03-01x", "yesterday"}) {
        EXPECT_FALSE(parse_moment(text)) << text;
    }
    EXPECT_THAT(parse_moment("1772368200").error().message(), HasSubstr("needs a unit"));
    EXPECT_THAT(parse_moment("2026").error().message(), HasSubstr("write 2026-01-01"));
}

}  // namespace stepdb::literals_test
