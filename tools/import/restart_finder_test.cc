#include "tools/import/restart_finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace stepdb::restart_finder_test {

// A log written down as rows of "step: metrics".
class Log {
  public:
    Log& row(double step, const std::vector<std::string>& metrics = {"loss"}) {
        LogRow row;
        row.step = step;
        row.place = ++rows_;
        for (const std::string& metric : metrics) {
            row.values.emplace_back(id(metric), 1.0);
        }
        std::ranges::sort(row.values);
        finder_.see(row, names_);
        return *this;
    }
    Log& rows(int first, int last, int stride = 1,
              const std::vector<std::string>& metrics = {"loss"}) {
        for (int step = first; step <= last; step += stride) {
            row(step, metrics);
        }
        return *this;
    }
    Log& file() {
        names_.clear();
        finder_.begin_file(++file_);
        return *this;
    }
    // As row numbers from 1 and the last steps read of what was before.
    std::vector<std::pair<uint64_t, double>> restarts() {
        std::vector<std::pair<uint64_t, double>> found;
        for (const LogRestart& restart : finder_.finish()) {
            found.emplace_back(restart.place, restart.cut);
        }
        return found;
    }

  private:
    uint32_t id(const std::string& metric) {
        const auto at = std::ranges::find(names_, metric);
        if (at == names_.end()) {
            names_.push_back(metric);
            return static_cast<uint32_t>(names_.size() - 1);
        }
        return static_cast<uint32_t>(at - names_.begin());
    }

    RestartFinder finder_;
    std::vector<std::string> names_;
    size_t file_ = 0;
    uint64_t rows_ = 0;
};

using Found = std::vector<std::pair<uint64_t, double>>;

TEST(RestartFinder, FindsAJumpBackOfEverything) {
    EXPECT_EQ(Log().rows(0, 99).rows(60, 150).restarts(), (Found{{101, 59}}));
    EXPECT_EQ(Log().rows(0, 99).rows(0, 150).restarts(), (Found{{101, -1}}));
    EXPECT_EQ(Log().rows(0, 99).rows(98, 150).restarts(), (Found{{101, 97}}));
}

TEST(RestartFinder, FindsOneThatEndsBeforeItIsAsFarAgain) {
    EXPECT_EQ(Log().rows(0, 99).rows(60, 70).restarts(), (Found{{101, 59}}));
    EXPECT_EQ(Log().rows(0, 99).rows(60, 70).rows(60, 65).rows(40, 120).restarts(),
              (Found{{101, 59}, {112, 59}, {118, 39}}));
    EXPECT_EQ(Log().rows(0, 2).rows(0, 1).rows(0, 5).restarts(), (Found{{4, -1}, {6, -1}}));
}

TEST(RestartFinder, FindsOneBehindALateRow) {
    EXPECT_EQ(Log().rows(0, 99).row(70).rows(50, 150).restarts(), (Found{{102, 49}}));
    EXPECT_EQ(Log().rows(0, 99).rows(50, 60).row(55).rows(61, 150).restarts(), (Found{{101, 49}}));
    EXPECT_EQ(Log().rows(0, 99).rows(50, 60).row(55).restarts(), (Found{{101, 49}}));
}

TEST(RestartFinder, FindsNoneWhereNothingFalls) {
    EXPECT_EQ(Log().restarts(), Found());
    EXPECT_EQ(Log().rows(0, 99).rows(99, 150).restarts(), Found());
    EXPECT_EQ(Log().rows(0, 99).rows(99, 99).rows(99, 99).restarts(), Found());
}

TEST(RestartFinder, LeavesSingleLateRowsAlone) {
    EXPECT_EQ(Log().rows(0, 7).row(6).rows(8, 99).restarts(), Found());
    EXPECT_EQ(Log().rows(0, 99).row(50).rows(100, 150).restarts(), Found());
    EXPECT_EQ(Log().rows(0, 99).row(50).restarts(), Found());
    EXPECT_EQ(Log().rows(0, 98, 2).row(51).rows(100, 150).restarts(), Found());
}

TEST(RestartFinder, LeavesSentAgainRowsAlone) {
    EXPECT_EQ(Log().rows(0, 99).rows(50, 55).rows(100, 150).restarts(), Found());
    EXPECT_EQ(Log().rows(0, 99).row(40).row(90).rows(100, 150).restarts(), Found());
    EXPECT_EQ(Log().rows(0, 99).row(40).row(90).restarts(), Found());
}

TEST(RestartFinder, LeavesBuffersInTheWrongOrderAlone) {
    EXPECT_EQ(Log().rows(0, 999).rows(2000, 2999).rows(1000, 1999).rows(3000, 3999).restarts(),
              Found());
    // As of a log whose older part was moved to another file.
    EXPECT_EQ(Log().rows(1000, 1999).file().rows(0, 999).restarts(), Found());
}

TEST(RestartFinder, LeavesSeriesThatGoOnBehindOthersAlone) {
    Log evaluated;
    for (int step = 0; step < 1000; ++step) {
        evaluated.row(step, {"loss", "epoch"});
        if (step % 10 == 9) {
            evaluated.row(step - 5, {"val/loss", "epoch"}).row(step - 4, {"val/acc", "epoch"});
        }
    }
    EXPECT_EQ(evaluated.restarts(), Found());
    Log unrelated;  // an axis of its own
    for (int step = 0; step < 1000; ++step) {
        unrelated.row(step);
        if (step % 80 == 7) {
            const int episode = step / 80;
            unrelated.row(episode, {"episode/reward"});
        }
    }
    EXPECT_EQ(unrelated.restarts(), Found());
}

TEST(RestartFinder, LeavesTwoProcessesInOneLogAlone) {
    Log log;
    log.rows(0, 3);
    for (int step = 4; step < 500; ++step) {
        log.row(step).row(step - 3);
    }
    EXPECT_EQ(log.restarts(), Found());
}

TEST(RestartFinder, LeavesLogsInTheOrderOfTheirSeriesAlone) {
    Log log;
    for (const char* metric : {"a", "b", "c"}) {
        log.rows(0, 100, 1, {metric});
    }
    EXPECT_EQ(log.restarts(), Found());
}

TEST(RestartFinder, LeavesASecondEvaluationAlone) {
    EXPECT_EQ(Log()
                  .rows(0, 1000)
                  .rows(100, 1000, 100, {"eval/acc"})
                  .rows(100, 1000, 100, {"eval/acc"})
                  .restarts(),
              Found());
}

TEST(RestartFinder, FindsARestartWithSparseSeries) {
    Log log;
    const auto train = [&](int first, int last) {
        for (int step = first; step <= last; ++step) {
            log.row(step);
            if (step % 50 == 0) {
                log.row(step, {"val/loss", "val/acc"});
            }
        }
    };
    train(0, 99);
    train(90, 120);
    train(101, 200);
    EXPECT_EQ(log.restarts(), (Found{{103, 89}, {135, 100}}));
}

TEST(RestartFinder, FindsARestartThatLogsOtherSteps) {
    Log log;
    for (int step = 0; step < 1000; ++step) {
        log.row(step * 10);
    }
    for (int step = 0; step < 600; ++step) {
        log.row(5003 + step * 11);
    }
    EXPECT_EQ(log.restarts(), (Found{{1001, 5002}}));
}

TEST(RestartFinder, FindsARestartInVeryLongLogs) {
    EXPECT_EQ(Log().rows(0, 400'000).rows(1000, 300'000).rows(100, 500'000).restarts(),
              (Found{{400'002, 999}, {699'003, 99}}));
}

TEST(RestartFinder, LooksAtAllFilesOfARun) {
    EXPECT_EQ(Log()
                  .rows(0, 99, 1, {"a", "b"})
                  .file()
                  .rows(50, 70, 1, {"b", "a"})
                  .file()
                  .rows(71, 200, 1, {"a", "b"})
                  .restarts(),
              (Found{{101, 49}}));
    // Two writers with metrics of their own.
    EXPECT_EQ(Log().rows(0, 99, 1, {"a"}).file().rows(0, 99, 1, {"b"}).restarts(), Found());
}

TEST(RestartFinder, CutsRightBelowFractions) {
    Log log;
    log.row(0.25).row(0.5).row(0.75).row(0.5).row(0.75).row(1);
    const double below = std::nextafter(0.5, -std::numeric_limits<double>::infinity());
    EXPECT_EQ(log.restarts(), (Found{{4, below}}));
}

TEST(StepHistory, KnowsTheHighestExactly) {
    StepHistory steps;
    for (int step = 0; step < 300'000; step += 2) {
        EXPECT_TRUE(steps.insert(step));
    }
    EXPECT_FALSE(steps.insert(299'998));
    EXPECT_TRUE(steps.contains(299'998));
    EXPECT_FALSE(steps.contains(299'997));
    EXPECT_TRUE(steps.contains(7));  // it cannot be told
    EXPECT_FALSE(steps.contains(-1));
    EXPECT_EQ(steps.count_above(299'900, 299'910), 5U);
    EXPECT_EQ(steps.count_above(299'910, 299'900), 0U);
}

}  // namespace stepdb::restart_finder_test
