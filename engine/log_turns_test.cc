#include "engine/log_turns.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/sim_executor.h"

namespace stepdb::log_turns_test {

// What was let go, in order.
class LogTurnsTest : public ::testing::Test {
  protected:
    void ask(char name, bool log_is_busy) {
        turns_.ask(log_is_busy, [this, name] { gone_ += name; });
    }

    LogTurns turns_;
    std::string gone_;
};

TEST_F(LogTurnsTest, LetsGoAtOnceWhileTheLogIsIdle) {
    ask('a', false);
    EXPECT_EQ(gone_, "a");
    turns_.give(1, true);
    EXPECT_EQ(gone_, "a") << "a turn is taken once";
}

TEST_F(LogTurnsTest, GivesTwoTurnsAGroupInTheOrderOfAsking) {
    for (const char name : std::string("abcdefg")) {
        ask(name, true);
    }
    EXPECT_EQ(gone_, "");
    turns_.give(0, true);
    EXPECT_EQ(gone_, "") << "no group has ended";
    turns_.give(1, true);
    EXPECT_EQ(gone_, "ab");
    turns_.give(2, true);
    EXPECT_EQ(gone_, "abcdef");
}

TEST_F(LogTurnsTest, DoesNotSaveUpTurnsThatNobodyWanted) {
    turns_.give(5, true);
    ask('a', true);
    EXPECT_EQ(gone_, "");
    turns_.give(1, true);
    EXPECT_EQ(gone_, "a");
}

TEST_F(LogTurnsTest, LetsAllGoWhenTheLogHasNothingMoreUnderWay) {
    for (const char name : std::string("abcde")) {
        ask(name, true);
    }
    turns_.give(1, false);
    EXPECT_EQ(gone_, "abcde");
}

// As a writer does that has another piece at once.
TEST_F(LogTurnsTest, WhoAsksAgainWaitsBehindTheOthers) {
    turns_.ask(true, [&] {
        gone_ += 'a';
        ask('A', true);
    });
    ask('b', true);
    ask('c', true);
    turns_.give(1, true);
    EXPECT_EQ(gone_, "ab");
    turns_.give(0, false);
    EXPECT_EQ(gone_, "abcA");
}

TEST_F(LogTurnsTest, WhatStandsBehindGetsATurnInFourGroups) {
    const auto ask_behind = [&](char name) {
        turns_.ask_behind(true, [this, name] { gone_ += name; });
    };
    for (const char name : std::string("BCDEF")) {
        ask_behind(name);
    }
    for (int group = 0; group < 3; ++group) {
        turns_.give(1, true);
    }
    EXPECT_EQ(gone_, "");
    for (const char name : std::string("abc")) {
        ask(name, true);
    }
    turns_.give(1, true);
    EXPECT_EQ(gone_, "abB") << "those before it lose nothing";
    turns_.give(8, true);
    EXPECT_EQ(gone_, "abBcCD");
    turns_.give(1, false);
    EXPECT_EQ(gone_, "abBcCDEF") << "the log has nothing under way";
    turns_.ask_behind(false, [this] { gone_ += 'x'; });
    EXPECT_EQ(gone_, "abBcCDEFx");
}

TEST(SegmentTurns, AsksThereAndGoesOnHere) {
    SimExecutor here;
    SimExecutor there;
    std::function<void()> asked;
    SegmentTurns turns(here, there, [&](std::function<void()> go) { asked = std::move(go); });
    bool ended = false;
    start(turns.next(), [&] { ended = true; });
    EXPECT_EQ(asked, nullptr);
    here.run_until_idle();
    EXPECT_EQ(asked, nullptr) << "it is asked on the other executor";
    there.run_until_idle();
    ASSERT_NE(asked, nullptr);
    asked();
    EXPECT_FALSE(ended) << "it does not go on within the other's call";
    there.run_until_idle();
    EXPECT_FALSE(ended);
    here.run_until_idle();
    EXPECT_TRUE(ended);
}

}  // namespace stepdb::log_turns_test
