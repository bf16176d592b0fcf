#include "tools/output/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::progress_test {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// A bar over 1,000 points on a clock that the test turns.
class ProgressTest : public ::testing::Test {
  protected:
    Progress make(bool terminal, uint64_t total = 1000, int width = 100) {
        ProgressOptions options;
        options.label = "importing";
        options.unit = "points";
        options.total = total;
        options.terminal = terminal;
        options.width = width;
        return Progress(
            options, [this](std::string_view text) { written_ += text; }, [this] { return now_; });
    }

    int64_t now_ = 5'000'000;
    std::string written_;
};

TEST_F(ProgressTest, IsSilentInAPipe) {
    {
        Progress progress = make(false);
        now_ += 10'000'000;
        progress.update(500);
    }
    EXPECT_EQ(written_, "");
}

TEST_F(ProgressTest, IsSilentInTheFirstSecond) {
    Progress progress = make(true);
    now_ += 999'999;
    progress.update(500);
    EXPECT_EQ(written_, "");
    now_ += 1;
    progress.update(500);
    EXPECT_NE(written_, "");
}

TEST_F(ProgressTest, ShowsPartRateAndTimeLeft) {
    Progress progress = make(true);
    now_ += 2'000'000;
    progress.update(250);
    EXPECT_EQ(written_,
              "\r\x1b[Kimporting  ██████                    25 %   250 of 1000 points   125/s   "
              "6 s left");
}

TEST_F(ProgressTest, WithoutATotalShowsAmountAndRate) {
    Progress progress = make(true, 0);
    now_ += 2'000'000;
    progress.update(3'000'000);
    EXPECT_THAT(written_, EndsWith("importing  3M points   1.5M/s"));
}

TEST_F(ProgressTest, DrawsAtMostTenTimesASecond) {
    Progress progress = make(true);
    now_ += 2'000'000;
    progress.update(250);
    const std::string before = written_;
    now_ += 99'999;
    progress.update(260);
    EXPECT_EQ(written_, before);
    now_ += 1;
    progress.update(270);
    EXPECT_THAT(written_, HasSubstr("27 %"));
}

TEST_F(ProgressTest, StaysWithinTheTerminal) {
    Progress progress = make(true, 1000, 20);
    now_ += 2'000'000;
    progress.update(1000);
    EXPECT_EQ(written_, "\r\x1b[Kimporting  ████████");
}

TEST_F(ProgressTest, TakesItsLineAway) {
    {
        Progress progress = make(true);
        now_ += 2'000'000;
        progress.update(250);
        progress.finish();
        EXPECT_THAT(written_, EndsWith("\r\x1b[K"));
        written_.clear();
    }
    EXPECT_EQ(written_, "");
}

}  // namespace stepdb::progress_test
