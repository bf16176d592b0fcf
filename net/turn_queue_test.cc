#include "net/turn_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/sim_executor.h"

namespace stepdb::turn_queue_test {

class TurnQueueTest : public ::testing::Test {
  protected:
    // Says `name` when it runs, `times` times over, as a long query posts its next piece.
    void post(const int& asker, char name, int times = 1) {
        turns_.post(&asker, [this, &asker, name, times] {
            said_ += name;
            if (times > 1) {
                post(asker, name, times - 1);
            }
        });
    }

    SimExecutor executor_;
    TurnQueue turns_{executor_};
    std::string said_;
    int a_ = 0;
    int b_ = 0;
    int c_ = 0;
};

TEST_F(TurnQueueTest, APieceWaitsForOneOfEachOtherAsker) {
    for (int i = 0; i < 6; ++i) {
        post(a_, 'a');
    }
    post(b_, 'b', 3);
    post(c_, 'c');
    executor_.run_until_idle();
    EXPECT_EQ(said_, "abcababaaa");
}

TEST_F(TurnQueueTest, PiecesOfAnAskerKeepTheirOrder) {
    post(a_, '1', 2);
    post(b_, 'b', 2);
    post(a_, '2', 2);
    post(a_, '3');
    executor_.run_until_idle();
    EXPECT_EQ(said_, "1b2b312");
}

TEST_F(TurnQueueTest, WhatHasJustBegunGoesFirstThreeTimesInARow) {
    post(a_, 'a', 3);
    for (int i = 0; i < 5; ++i) {
        turns_.post(
            &b_, [this] { said_ += 'B'; }, true);
    }
    turns_.post(
        &c_, [this] { said_ += 'C'; }, true);
    executor_.run_until_idle();
    EXPECT_EQ(said_, "BCBaBBBaa");
}

TEST_F(TurnQueueTest, TheExecutorsOwnWorkIsNotBehindAllOfIt) {
    for (int i = 0; i < 4; ++i) {
        post(a_, 'a');
    }
    executor_.post([this] { said_ += '!'; });
    executor_.run_until_idle();
    EXPECT_EQ(said_, "a!aaa");
}

}  // namespace stepdb::turn_queue_test
