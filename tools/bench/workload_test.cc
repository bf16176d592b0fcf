#include "tools/bench/workload.h"

#include <gtest/gtest.h>

namespace stepdb::workload_test {

TEST(Workload, AllAreTheNamedOnesButIdle) {
    WorkloadChoice choice;
    choice.names = "all";
    const auto all = choose_workloads(choice, Workload());
    ASSERT_TRUE(all.has_value());
    ASSERT_EQ(all->size(), workload_names().size());
    for (size_t at = 0; at < all->size(); ++at) {
        EXPECT_EQ((*all)[at].name, workload_names()[at]);
        EXPECT_EQ((*all)[at].seconds, 30);
        EXPECT_EQ((*all)[at].warm_up, 5);
    }
    EXPECT_EQ((*all)[2].runs_in_all(), 1000U);
}

TEST(Workload, WhatIsSaidStandsAboveWhatIsNamed) {
    WorkloadChoice choice;
    choice.names = "ranks,wide";
    choice.metrics = 7;
    choice.values = "f64";
    choice.data = "noise";
    choice.coalesce = "on";
    choice.seconds = 0.5;
    choice.rate = 7 * 1024 * 100;
    const auto chosen = choose_workloads(choice, Workload());
    ASSERT_TRUE(chosen.has_value());
    ASSERT_EQ(chosen->size(), 2U);
    const Workload& ranks = chosen->front();
    EXPECT_EQ(ranks.shape.metrics, 7U);
    EXPECT_TRUE(ranks.shape.is_float64);
    EXPECT_EQ(ranks.shape.data, LoadData::kNoise);
    EXPECT_TRUE(ranks.coalesce);
    EXPECT_EQ(ranks.connections, 1024U);
    EXPECT_EQ(ranks.seconds, 0.5);
    EXPECT_EQ(ranks.warm_up, 5);
    EXPECT_EQ(ranks.rows_per_second, 100);
}

TEST(Workload, AClosedLoopSendsARowAFrame) {
    WorkloadChoice choice;
    choice.closed_loop = true;
    EXPECT_EQ(choose_workloads(choice, Workload())->front().shape.rows_per_frame, 1U);
    choice.rows_per_frame = 4;
    EXPECT_EQ(choose_workloads(choice, Workload())->front().shape.rows_per_frame, 4U);
}

TEST(Workload, AnUnknownNameIsToldWhatThereIs) {
    for (const char* const names : {"wide,lang", "", "wide,"}) {
        WorkloadChoice choice;
        choice.names = names;
        const auto chosen = choose_workloads(choice, Workload());
        EXPECT_EQ(chosen.has_value(), choice.names.empty()) << names;
        if (!chosen) {
            EXPECT_NE(chosen.error().message().find("long, fleet"), std::string::npos);
        }
    }
}

}  // namespace stepdb::workload_test
