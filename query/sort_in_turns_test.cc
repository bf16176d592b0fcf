#include "query/sort_in_turns.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/support/sim_executor.h"

namespace stepdb::sort_in_turns_test {

std::vector<uint32_t> sorted(std::vector<int> keys, SimExecutor& executor, bool& is_done) {
    Turns turns(&executor);
    std::vector<uint32_t> order(keys.size());
    std::iota(order.begin(), order.end(), 0);
    start(
        sort_in_turns(turns, order, [&keys](uint32_t a, uint32_t b) { return keys[a] < keys[b]; }),
        [&is_done] { is_done = true; });
    executor.run_until_idle();
    return order;
}

// Against the library's, with many equal keys; sizes about those of pieces.
TEST(SortInTurns, IsAStableSort) {
    std::mt19937_64 random(test_seed(1));
    for (const size_t size : {0U, 1U, 2U, 4095U, 4096U, 4097U, 8192U, 8193U, 12288U, 50000U}) {
        for (const int kinds : {1, 3, 1000, 1'000'000'000}) {
            std::vector<int> keys(size);
            for (int& key : keys) {
                key = static_cast<int>(random() % static_cast<uint64_t>(kinds));
            }
            std::vector<uint32_t> want(size);
            std::iota(want.begin(), want.end(), 0);
            std::ranges::stable_sort(want,
                                     [&](uint32_t a, uint32_t b) { return keys[a] < keys[b]; });
            SimExecutor executor;
            bool is_done = false;
            EXPECT_EQ(sorted(keys, executor, is_done), want) << size << " of " << kinds;
            EXPECT_TRUE(is_done);
        }
    }
}

TEST(SortInTurns, LetsOthersHaveTheirTurn) {
    SimExecutor executor;
    Turns turns(&executor);
    std::vector<uint32_t> order(100'000);
    std::iota(order.begin(), order.end(), 0);
    bool is_done = false;
    start(sort_in_turns(turns, order, std::greater<>()), [&is_done] { is_done = true; });
    int others = 0;
    while (!is_done) {
        bool was_run = false;
        executor.post([&was_run] { was_run = true; });
        while (!was_run && executor.run_one()) {
        }
        ++others;
    }
    EXPECT_GT(others, 30);
    EXPECT_EQ(order.front(), 99'999U);
}

}  // namespace stepdb::sort_in_turns_test
