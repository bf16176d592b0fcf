#include "net/memory_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace stepdb::memory_line_test {

// A hundred bytes, of which parts beyond ten leave twenty free.
class MemoryLineTest : public ::testing::Test {
  protected:
    std::shared_ptr<MemoryBudget> make_part() {
        return std::make_shared<MemoryBudget>(100, whole_, MemoryBudget::Sharing{10, 20});
    }
    // The name is put down when it is let go.
    std::shared_ptr<MemoryBudget> wait(char name, size_t bytes) {
        auto part = make_part();
        line_.wait(part, bytes, [this, name] { gone_ += name; });
        return part;
    }

    std::shared_ptr<MemoryBudget> whole_ = std::make_shared<MemoryBudget>(100);
    MemoryLine line_;
    std::string gone_;
};

TEST_F(MemoryLineTest, WhoFitsDoesNotWait) {
    const auto part = wait('a', 80);
    EXPECT_EQ(gone_, "a");
    EXPECT_EQ(line_.waiting(), 0U);
    EXPECT_EQ(part->reserved(), 80U);
    EXPECT_EQ(whole_->used(), 80U);
}

TEST_F(MemoryLineTest, RoomGoesToThoseWhoCameFirstHoweverMuchTheyWant) {
    auto first = wait('a', 60);
    auto second = wait('b', 70);
    auto third = wait('c', 20);
    line_.look();
    EXPECT_EQ(gone_, "a") << "there is room for c, but b came before";
    EXPECT_EQ(line_.waiting(), 2U);
    first->release();
    line_.look();
    EXPECT_EQ(gone_, "ab");
    second->release();
    line_.look();
    EXPECT_EQ(gone_, "abc");
    EXPECT_EQ(whole_->used(), 20U);
}

TEST_F(MemoryLineTest, WhoStaysSmallIsLetPast) {
    auto large = wait('a', 80);
    auto waiting = wait('b', 80);
    auto small = wait('c', 10);
    auto also_small = wait('d', 10);
    auto one_too_many = wait('e', 10);
    EXPECT_EQ(gone_, "acd");
    small->release();
    line_.look();
    EXPECT_EQ(gone_, "acde");
    EXPECT_EQ(line_.waiting(), 1U);
}

TEST_F(MemoryLineTest, WhoLeavesHoldsNobodyUp) {
    auto first = wait('a', 60);
    auto second = wait('b', 70);
    auto third = wait('c', 20);
    line_.leave(*second);
    line_.leave(*second);  // it may have left already
    line_.look();
    EXPECT_EQ(gone_, "ac");
    EXPECT_EQ(second->reserved(), 0U);
}

}  // namespace stepdb::memory_line_test
