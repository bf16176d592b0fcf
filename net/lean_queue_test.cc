#include "net/lean_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

namespace stepdb::lean_queue_test {

TEST(LeanQueue, KeepsTheOrder) {
    std::mt19937_64 random(1);
    LeanQueue<uint64_t> queue;
    uint64_t pushed = 0;
    uint64_t popped = 0;
    for (int turn = 0; turn < 100'000; ++turn) {
        // Mostly rising, then mostly falling.
        const bool rises = random() % 100 < (turn % 1000 < 500 ? 60U : 40U);
        if (rises || queue.empty()) {
            queue.push_back(pushed++);
        } else {
            ASSERT_EQ(queue.front(), popped);
            ASSERT_EQ(queue.pop_front(), popped++);
        }
        ASSERT_EQ(queue.size(), pushed - popped);
    }
}

TEST(LeanQueue, LetsGoOfWhatItGaveOut) {
    LeanQueue<std::shared_ptr<int>> queue;
    const auto held = std::make_shared<int>(1);
    queue.push_back(held);
    queue.push_back(held);
    EXPECT_EQ(held.use_count(), 3);
    queue.pop_front();
    EXPECT_EQ(held.use_count(), 2);
    queue.clear();
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_TRUE(queue.empty());
}

}  // namespace stepdb::lean_queue_test
