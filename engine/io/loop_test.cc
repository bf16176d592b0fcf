#include "engine/io/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "engine/io/pause.h"
#include "engine/io/posix_loop.h"
#include "engine/io/uring_loop.h"

namespace stepdb::loop_test {

enum class Kind : uint8_t { kUring, kPosix };

class LoopTest : public testing::TestWithParam<Kind> {
  protected:
    void SetUp() override {
        if (GetParam() == Kind::kPosix) {
            loop_ = PosixLoop::create();
            return;
        }
        auto created = UringLoop::create();
        if (!created.has_value()) {
            GTEST_SKIP() << created.error().message();
        }
        loop_ = std::move(*created);
    }

    std::unique_ptr<Loop> loop_;
};

Task<bool> is_current(Loop& loop) {
    co_return loop.is_current();
}

Task<void> set(bool& flag) {
    flag = true;
    co_return;
}

Task<int> count_turns(Loop& loop, int turns) {
    int done = 0;
    while (done < turns) {
        co_await Pause(loop);
        ++done;
    }
    co_return done;
}

TEST_P(LoopTest, BlockOnRunsTheTaskOnTheLoop) {
    EXPECT_FALSE(loop_->is_current());
    EXPECT_TRUE(block_on(*loop_, is_current(*loop_)));
    bool flag = false;
    block_on(*loop_, set(flag));
    EXPECT_TRUE(flag);
}

TEST_P(LoopTest, WorkPostedFromTheLoopRunsWithoutWakeUps) {
    EXPECT_EQ(block_on(*loop_, count_turns(*loop_, 20'000)), 20'000);
}

TEST_P(LoopTest, WorkOfManyThreadsAllRunsInTheOrderOfEach) {
    constexpr int kThreads = 4;
    constexpr int kPosts = 5000;
    std::vector<std::vector<int>> seen(kThreads);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([this, &seen, t] {
            for (int i = 0; i < kPosts; ++i) {
                loop_->post([&mine = seen[static_cast<size_t>(t)], i] { mine.push_back(i); });
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    loop_->stop();
    for (const std::vector<int>& mine : seen) {
        EXPECT_EQ(mine.size(), static_cast<size_t>(kPosts));
        EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    }
}

TEST_P(LoopTest, EveryPostWakesASleepingLoop) {
    for (int i = 0; i < 2000; ++i) {
        bool flag = false;
        block_on(*loop_, set(flag));
        ASSERT_TRUE(flag);
    }
}

TEST_P(LoopTest, StopRunsWhatPostedWorkPosts) {
    int ran = 0;
    loop_->post([this, &ran] {
        ++ran;
        loop_->post([this, &ran] {
            ++ran;
            loop_->post([&ran] { ++ran; });
        });
    });
    loop_->stop();
    EXPECT_EQ(ran, 3);
    loop_->stop();
}

INSTANTIATE_TEST_SUITE_P(Loops, LoopTest, testing::Values(Kind::kUring, Kind::kPosix),
                         [](const auto& tested) {
                             return tested.param == Kind::kUring ? "uring" : "posix";
                         });

}  // namespace stepdb::loop_test
