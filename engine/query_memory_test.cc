#include "engine/query_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace stepdb::query_memory_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kMebi = 1U << 20U;
constexpr size_t kUnbounded = std::numeric_limits<size_t>::max();

std::string refusal(MemoryCharge& charge, size_t bytes) {
    const Status charged = charge_query_memory(charge, bytes);
    EXPECT_FALSE(charged.has_value());
    EXPECT_EQ(charged.error().code(), ErrorCode::kResourceExhausted);
    return charged.error().message();
}

TEST(QueryMemory, TheErrorTellsOfTheQueryAndOfTheOthers) {
    const auto all = std::make_shared<MemoryBudget>(16 * kMebi);
    const auto others = make_query_memory(all, kUnbounded);
    const auto query = make_query_memory(all, kUnbounded);
    MemoryCharge of_others(others);
    MemoryCharge charge(query);
    ASSERT_TRUE(charge_query_memory(of_others, 7 * kMebi));
    ASSERT_TRUE(charge_query_memory(charge, 2 * kMebi));
    EXPECT_EQ(query->wanted(), 0U);
    EXPECT_THAT(refusal(charge, 6 * kMebi),
                AllOf(HasSubstr("needs 6.0 MiB"), HasSubstr("16 MiB that queries share"),
                      HasSubstr("it has 2.0 MiB"), HasSubstr("others have 7.0 MiB"),
                      HasSubstr("fewer series"), HasSubstr("--memory")));
    EXPECT_EQ(query->wanted(), 6 * kMebi);
    EXPECT_EQ(charge.bytes(), 2 * kMebi);
}

TEST(QueryMemory, WhatAQueryWantsIsAllThatItWouldHaveThen) {
    const auto all = std::make_shared<MemoryBudget>(16 * kMebi);
    const auto query = make_query_memory(all, kUnbounded);
    MemoryCharge first(query);
    MemoryCharge second(query);
    ASSERT_TRUE(charge_query_memory(first, 5 * kMebi));
    ASSERT_TRUE(charge_query_memory(second, 1 * kMebi));
    refusal(second, 8 * kMebi);
    EXPECT_EQ(query->wanted(), 13 * kMebi);
}

TEST(QueryMemory, AQueryHasABoundOfItsOwn) {
    const auto all = std::make_shared<MemoryBudget>(16 * kMebi);
    MemoryCharge charge(make_query_memory(all, 3 * kMebi));
    EXPECT_THAT(
        refusal(charge, 4 * kMebi),
        AllOf(HasSubstr("needs 4.0 MiB"), HasSubstr("one query may take 3.0 MiB of the 16 MiB"),
              HasSubstr("--query-memory")));
    // Where it is all that one query can have, that option does not help.
    MemoryCharge most(make_query_memory(all, kUnbounded));
    EXPECT_THAT(refusal(most, 15 * kMebi),
                AllOf(HasSubstr("may take 12 MiB"), Not(HasSubstr("--query-memory"))));
    EXPECT_TRUE(charge_query_memory(most, query_memory_max(*all)));
}

}  // namespace stepdb::query_memory_test
