#include "net/patient_line.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/sim_executor.h"

namespace stepdb::patient_line_test {

TEST(PatientLine, RunsInSlicesBetweenWhichOtherWorkRuns) {
    SimExecutor executor;
    PatientLine::Time now;
    int done = 0;
    PatientLine line(executor, [&now] { return now; });
    for (int i = 0; i < 5; ++i) {
        line.ask([&] {
            ++done;
            now += PatientLine::kSlice / 2;
        });
    }
    for (const int after : {2, 4, 5}) {
        ASSERT_TRUE(executor.run_one());
        EXPECT_EQ(done, after);
    }
    EXPECT_FALSE(executor.run_one());
}

TEST(PatientLine, APieceThatTakesLongIsTheOnlyOneOfItsSlice) {
    SimExecutor executor;
    PatientLine::Time now;
    int done = 0;
    PatientLine line(executor, [&now] { return now; });
    for (int i = 0; i < 2; ++i) {
        line.ask([&] {
            ++done;
            now += 3 * PatientLine::kSlice;
        });
    }
    ASSERT_TRUE(executor.run_one());
    EXPECT_EQ(done, 1);
    executor.run_until_idle();
    EXPECT_EQ(done, 2);
}

TEST(PatientLine, TakesNoLongerThanItsWorkAndAsksForMoreLater) {
    SimExecutor executor;
    std::string said;
    PatientLine line(executor);
    line.ask([&] {
        said += 'a';
        line.ask([&said] { said += 'c'; });
        said += 'b';
    });
    EXPECT_EQ(said, "") << "never at once: who asks may hold what the work changes";
    executor.run_until_idle();
    EXPECT_EQ(said, "abc");
}

TEST(PatientLine, WhatWaitsAtItsEndIsNotCalled) {
    SimExecutor executor;
    bool called = false;
    {
        PatientLine line(executor);
        line.ask([&called] { called = true; });
    }
    executor.run_until_idle();
    EXPECT_FALSE(called);
}

}  // namespace stepdb::patient_line_test
