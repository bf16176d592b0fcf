#include "query/plan.h"

#include <gtest/gtest.h>

#include "query/parser.h"

namespace stepdb::plan_test {

struct Planned {
    Query query;  // which the plan looks into
    AnchorNeeds needs;
    Plan plan;
};

Planned plan_of(const std::string& stages, const Anchors& anchors = {}) {
    const std::string text = "a @ b/c " + stages;
    Planned planned;
    planned.query = parse_query(text).value();
    const auto& written = std::get<SeriesQuery>(planned.query.what).then.stages;
    planned.needs = anchor_needs(written);
    planned.plan = make_plan(written, anchors, text).value();
    return planned;
}

TEST(Plan, ReadsNoMoreThanTheRangesLeave) {
    const Plan plan = plan_of("| steps 10..30 | time 5s.. | steps 20..").plan;
    EXPECT_EQ(plan.stepped.pipeline.scan.first, key_of_step(20));
    EXPECT_EQ(plan.stepped.pipeline.scan.last, key_of_step(30));
    ASSERT_EQ(plan.stepped.pipeline.steps.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<TimeRangeStep>(plan.stepped.pipeline.steps[0]));
    EXPECT_EQ(plan.timed.pipeline.scan.first, 5000000);
    EXPECT_TRUE(plan.timed.pipeline.steps.empty());
}

TEST(Plan, CountsStandBetweenRangesWhereTheQueryPutsThem) {
    const Plan plan = plan_of("| steps 10.. | last 5 | steps ..20 | first 2").plan;
    EXPECT_EQ(plan.stepped.pipeline.scan.last, kKeyMax);
    ASSERT_EQ(plan.stepped.pipeline.steps.size(), 3U);
    EXPECT_EQ(std::get<KeyRangeStep>(plan.stepped.pipeline.steps[1]).range.last, key_of_step(20));
    EXPECT_EQ(plan.stepped.stated.lo, key_of_step(10));
    EXPECT_EQ(plan.stepped.stated.hi, key_of_step(20));
    EXPECT_EQ(plan.timed.pipeline.steps.size(), 2U);
}

TEST(Plan, AnchorsAreAskedForOnlyWhereNeeded) {
    EXPECT_FALSE(plan_of("| steps 1..2 | time now-1h..").needs.steps);
    EXPECT_FALSE(plan_of("| steps 1..2 | time now-1h..").needs.times);
    EXPECT_TRUE(plan_of("| steps start..").needs.steps);
    EXPECT_TRUE(plan_of("| time ..end-1s").needs.times);
}

TEST(Plan, AnchorsTakeOffsets) {
    Anchors anchors;
    anchors.steps = KeyRange{key_of_step(100), key_of_step(200)};
    anchors.now_us = 10;
    const Plan plan = plan_of("| steps start+1.5..end-1 | time now-3us..", anchors).plan;
    EXPECT_EQ(plan.stepped.stated.lo, key_of_step(101.5));
    EXPECT_EQ(plan.stepped.stated.hi, key_of_step(199));
    EXPECT_EQ(plan.timed.stated.lo, 7);
    EXPECT_EQ(plan.timed.stated.hi, std::nullopt);
}

TEST(Plan, RangesHideWhatSmoothingLooksBackAt) {
    const Plan plan = plan_of("| steps 10..30 | when value > 0 | ema 0.9 | diff | first 2").plan;
    EXPECT_EQ(plan.stepped.pipeline.scan.first, kKeyMin);
    EXPECT_EQ(plan.stepped.pipeline.scan.last, key_of_step(30));
    const auto& steps = plan.stepped.pipeline.steps;
    ASSERT_EQ(steps.size(), 5U);
    EXPECT_EQ(std::get<KeyRangeStep>(steps[3]).range.first, key_of_step(10));
    EXPECT_TRUE(std::holds_alternative<FirstStep>(steps[4]));
}

TEST(Plan, RangesBehindStagesThatCountAreNotMovedOverThem) {
    const Plan plan = plan_of("| first 5 | steps 10.. | last 3 | ema 0.9").plan;
    const auto& steps = plan.stepped.pipeline.steps;
    ASSERT_EQ(steps.size(), 4U);
    EXPECT_TRUE(std::holds_alternative<KeyRangeStep>(steps[1]));
    EXPECT_EQ(plan.stepped.pipeline.scan.first, kKeyMin);
}

TEST(Plan, XTakesEffectAsLateAsItCan) {
    const Plan plan = plan_of("| x elapsed | ema 0.9 | steps 5.. | every 10 last").plan;
    const auto& steps = plan.stepped.pipeline.steps;
    ASSERT_EQ(steps.size(), 4U);
    EXPECT_TRUE(std::holds_alternative<SmoothStage>(steps[0]));
    EXPECT_TRUE(std::holds_alternative<KeyRangeStep>(steps[1]));
    EXPECT_TRUE(std::holds_alternative<ReindexStep>(steps[2]));
    EXPECT_EQ(plan.stepped.column, XColumn::kNumber);
    EXPECT_EQ(plan.timed.column, XColumn::kNumber);
}

TEST(Plan, XOfTheOwnAxisChangesNothing) {
    EXPECT_TRUE(plan_of("| x step").plan.stepped.pipeline.steps.empty());
    EXPECT_TRUE(plan_of("| x time").plan.timed.pipeline.steps.empty());
    EXPECT_EQ(plan_of("| x time").plan.stepped.column, XColumn::kTime);
}

TEST(Plan, EndsOfNoPointsAreAnEmptyRange) {
    EXPECT_TRUE(plan_of("| steps start..").plan.stepped.pipeline.scan.empty());
    EXPECT_FALSE(plan_of("| steps start..").plan.timed.pipeline.scan.empty());
    EXPECT_TRUE(plan_of("| time ..end").plan.timed.pipeline.scan.empty());
}

TEST(Plan, RefusesEndsBeyondNumbersAndTimes) {
    Anchors anchors;
    anchors.steps = KeyRange{key_of_step(0), key_of_step(1.7e308)};
    anchors.now_us = INT64_MAX - 10;
    for (const char* stage : {"| steps ..end+1.7e308", "| time now+1s.."}) {
        const std::string text = std::string("a @ b/c ") + stage;
        const Result<Query> query = parse_query(text);
        EXPECT_FALSE(
            make_plan(std::get<SeriesQuery>(query.value().what).then.stages, anchors, text))
            << stage;
    }
}

}  // namespace stepdb::plan_test
