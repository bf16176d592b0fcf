#include "tools/import/schema_plan.h"

#include <gtest/gtest.h>

namespace stepdb::schema_plan_test {

LogRow row_of(const std::vector<uint32_t>& metrics) {
    LogRow row;
    row.step = 0;
    for (const uint32_t metric : metrics) {
        row.values.emplace_back(metric, 1.0);
    }
    return row;
}

std::vector<std::string> names(uint32_t count) {
    std::vector<std::string> all;
    for (uint32_t i = 0; i < count; ++i) {
        all.push_back(fmt::format("m{}", i));
    }
    return all;
}

// What the row goes through has all its metrics.
void expect_carried(SchemaPlan& plan, const LogRow& row) {
    const PlannedSchema& planned = plan.schemas()[plan.find(row)];
    for (const auto& [metric, value] : row.values) {
        EXPECT_TRUE(planned.schema->find(fmt::format("m{}", metric))) << metric;
    }
}

TEST(SchemaPlanner, GivesFewSetsASchemaEach) {
    SchemaPlanner planner;
    const std::vector<LogRow> rows = {row_of({0, 1}), row_of({0, 1, 2}), row_of({0, 1}),
                                      row_of({3})};
    for (const LogRow& row : rows) {
        planner.see(row);
    }
    EXPECT_EQ(planner.rows(), 4U);
    EXPECT_EQ(planner.points(), (std::vector<uint64_t>{3, 3, 1, 1}));
    Result<SchemaPlan> plan = planner.plan(Axis::kStepped, names(4));
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->schemas().size(), 3U);
    for (const LogRow& row : rows) {
        const uint32_t schema = plan->find(row);
        EXPECT_EQ(plan->schemas()[schema].metrics.size(), row.values.size());
        expect_carried(*plan, row);
    }
}

TEST(SchemaPlanner, SharesOneSchemaAmongManyRareSets) {
    SchemaPlanner planner;
    std::vector<LogRow> rows(100, row_of({0, 1}));
    for (uint32_t i = 0; i < 40; ++i) {
        rows.push_back(row_of({2 + i, 50}));
    }
    for (const LogRow& row : rows) {
        planner.see(row);
    }
    Result<SchemaPlan> plan = planner.plan(Axis::kTimed, names(51));
    ASSERT_TRUE(plan);
    ASSERT_EQ(plan->schemas().size(), 2U);
    EXPECT_EQ(plan->schemas()[1].schema->axis(), Axis::kTimed);
    EXPECT_EQ(plan->schemas()[plan->find(rows[0])].metrics, (std::vector<uint32_t>{0, 1}));
    for (const LogRow& row : rows) {
        expect_carried(*plan, row);
    }
}

TEST(SchemaPlanner, CarriesMoreSetsThanItCounts) {
    SchemaPlanner planner;
    std::vector<LogRow> rows;
    for (uint32_t i = 0; i < 100; ++i) {
        for (uint32_t j = i + 1; j < 100; ++j) {
            rows.push_back(row_of({i, j}));
            planner.see(rows.back());
        }
    }
    Result<SchemaPlan> plan = planner.plan(Axis::kStepped, names(100));
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->schemas().size(), 1U);
    for (const LogRow& row : rows) {
        expect_carried(*plan, row);
    }
}

}  // namespace stepdb::schema_plan_test
