#include "tools/bench/query_suite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/base/text.h"

namespace stepdb::query_suite_test {

KnownData data_of(KnownNames names, uint32_t runs, uint32_t metrics, uint64_t rows,
                  bool forks = false) {
    KnownShape shape;
    shape.name = "made";
    shape.runs = runs;
    shape.metrics = metrics;
    shape.rows = rows;
    shape.names = names;
    shape.forks = forks;
    return {shape, "bench", "ab12", 1};
}

std::vector<std::string> all_names() {
    return {suite_names().begin(), suite_names().end()};
}

TEST(KnownData, HasNumbersInNaturalOrder) {
    const KnownData data = data_of(KnownNames::kLayersOfRun, 120, 1200, 1);
    for (uint32_t metric = 0; metric + 1 < 1200; ++metric) {
        EXPECT_TRUE(natural_less(data.metric(7, metric), data.metric(7, metric + 1))) << metric;
    }
    for (uint32_t run = 0; run + 1 < 120; ++run) {
        EXPECT_TRUE(natural_less(data.run(run), data.run(run + 1))) << run;
        EXPECT_EQ(data.run(run).find("-a-") != std::string::npos, run < data.tenth());
    }
    EXPECT_EQ(data.metric(7, 1123), "model-7/layers/11/attn/o/grad_max");
}

TEST(KnownData, ReadsForksAsTheirParentUpToTheForkStep) {
    const KnownData data = data_of(KnownNames::kNumbered, 11, 2, 1100, true);
    const auto same = [&](uint32_t a, uint32_t b, uint64_t step) {
        return data.value(a, 0, step) == data.value(b, 0, step);
    };
    for (uint32_t run = 1; run < 11; ++run) {
        EXPECT_TRUE(same(run, run - 1, 0));
        EXPECT_TRUE(same(run, run - 1, uint64_t{run} * 100));
        EXPECT_FALSE(same(run, run - 1, uint64_t{run} * 100 + 1));
        EXPECT_FALSE(same(run, run - 1, 1099));
    }
}

TEST(QuerySuite, ChoosesByNameInItsOwnOrder) {
    EXPECT_EQ(*choose_queries(""), all_names());
    EXPECT_EQ(*choose_queries("raw_1000,chart_1m,raw_1000"),
              (std::vector<std::string>{"chart_1m", "raw_1000"}));
    const auto unknown = choose_queries("chart_1m,chart_2m");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().message().substr(0, 37), "there is no query 'chart_2m'; there a");
}

TEST(QuerySuite, SharesDataAndShrinksAtAScale) {
    const QuerySuite suite(all_names(), 0.001, "bench", "ab12", 1);
    ASSERT_EQ(suite.queries().size(), all_names().size());
    std::set<std::string> sets;
    uint64_t points = 0;
    for (const auto& data : suite.data()) {
        EXPECT_TRUE(sets.insert(data->shape().name).second) << data->shape().name;
        points += data->shape().points();
    }
    EXPECT_LT(points, 5'000'000U);
    std::mt19937_64 random(1);
    for (const SuiteQuery& query : suite.queries()) {
        EXPECT_GT(query.size.points, 0U) << query.name;
        EXPECT_GE(query.size.series, query.size.runs) << query.name;
        const auto page = query.page(random);
        EXPECT_EQ(page.size(), query.name == "page_20x1m" ? 20U : 1U) << query.name;
        EXPECT_EQ(query.is_cold, query.name == "cold_first");
    }
    EXPECT_EQ(suite.queries().front().what, "1 series of 2,000 points, 1,000 buckets");
}

TEST(QuerySuite, IsOfFullSizeByItsNames) {
    const std::vector<std::string> names = {"page_20x1m", "leaderboard_1k"};
    const QuerySuite suite(names, 1, "bench", "ab12", 1);
    EXPECT_EQ(suite.queries()[0].size.points, 20'000'000U);
    EXPECT_EQ(suite.queries()[0].what,
              "20 series of 1,000,000 points, 1,000 buckets, a query each");
    EXPECT_EQ(suite.queries()[1].size.runs, 1000U);
    EXPECT_EQ(suite.data().size(), 2U);
}

}  // namespace stepdb::query_suite_test
