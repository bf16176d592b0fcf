#include "query/value.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace stepdb::value_test {

constexpr int64_t kTwoTo53 = int64_t{1} << 53U;

TEST(Value, IntegersAndNumbersCompareExactly) {
    const auto integer = [](int64_t value) { return Value::of_integer(value); };
    const auto number = [](double value) { return Value::of_number(value); };
    EXPECT_TRUE(std::is_eq(order_values(integer(3), number(3))));
    EXPECT_TRUE(std::is_lt(order_values(number(2.5), integer(3))));
    EXPECT_TRUE(std::is_lt(order_values(integer(-3), number(-2.5))));
    EXPECT_TRUE(std::is_gt(order_values(integer(kTwoTo53 + 1), number(0x1p53))));
    EXPECT_TRUE(std::is_lt(order_values(number(0x1p53), integer(kTwoTo53 + 1))));
    EXPECT_TRUE(
        std::is_lt(order_values(integer(std::numeric_limits<int64_t>::max()), number(0x1p63))));
    EXPECT_TRUE(
        std::is_eq(order_values(integer(std::numeric_limits<int64_t>::min()), number(-0x1p63))));
    EXPECT_TRUE(std::is_eq(order_values(integer(0), number(-0.0))));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(order_values(integer(0), number(nan)) == std::partial_ordering::unordered);
    EXPECT_TRUE(order_values(number(nan), number(nan)) == std::partial_ordering::unordered);
    const double infinity = std::numeric_limits<double>::infinity();
    EXPECT_TRUE(std::is_lt(order_values(integer(0), number(infinity))));
    EXPECT_TRUE(std::is_gt(order_values(integer(0), number(-infinity))));
}

TEST(Value, OtherKindsCompareWithTheirOwn) {
    EXPECT_TRUE(std::is_lt(order_values(Value::of_text("run-2"), Value::of_text("run-10"))));
    EXPECT_TRUE(order_values(Value::of_text("3"), Value::of_integer(3)) ==
                std::partial_ordering::unordered);
    EXPECT_TRUE(order_values(Value::of_time(3), Value::of_integer(3)) ==
                std::partial_ordering::unordered);
    EXPECT_TRUE(order_values(Value(), Value()) == std::partial_ordering::unordered);
    EXPECT_TRUE(std::is_lt(order_values(Value::of_bool(false), Value::of_bool(true))));
}

TEST(Value, SortsWhatIsThereThenNanThenNullThenMissing) {
    Value null;
    null.kind = Value::Kind::kNull;
    const std::vector<Value> ascending = {
        Value::of_bool(false),
        Value::of_bool(true),
        Value::of_number(-1),
        Value::of_integer(0),
        Value::of_time(-5),
        Value::of_text("a2"),
        Value::of_text("a10"),
        Value::of_number(std::numeric_limits<double>::quiet_NaN()),
        null,
        Value()};
    for (size_t i = 0; i < ascending.size(); ++i) {
        for (size_t j = 0; j < ascending.size(); ++j) {
            const bool both_there = i < 7 && j < 7;
            EXPECT_EQ(sorts_before(ascending[i], ascending[j], false), i < j) << i << " " << j;
            EXPECT_EQ(sorts_before(ascending[i], ascending[j], true), both_there ? j < i : i < j)
                << i << " " << j;
        }
    }
}

TEST(Value, AWordIsReadAsWhatStandsBesideIt) {
    const LiteralValue date = read_literal("2026-03-01", false, 0);
    EXPECT_EQ(date.beside(Value::of_time(0)).integer, 1772323200000000);
    EXPECT_EQ(date.beside(Value::of_text("")).text, "2026-03-01");
    EXPECT_FALSE(date.beside(Value::of_number(0)).is_there());
    EXPECT_EQ(read_literal("now-1s", false, 5'000'000).time.integer, 4'000'000);
    EXPECT_EQ(read_literal("now", false, 7).time.integer, 7);
    EXPECT_FALSE(read_literal("now5", false, 7).time.is_there());
    EXPECT_FALSE(read_literal("now-", false, 7).time.is_there());
    EXPECT_EQ(read_literal("-9223372036854775807", false, 0).number.integer,
              -std::numeric_limits<int64_t>::max());
    EXPECT_EQ(read_literal("9223372036854775808", false, 0).number.number, 0x1p63);
    EXPECT_EQ(read_literal("1.5k", false, 0).number.number, 1500);
    EXPECT_TRUE(read_literal("true", false, 0).boolean.is_true());
    EXPECT_FALSE(read_literal("3", true, 0).number.is_there());
}

}  // namespace stepdb::value_test
