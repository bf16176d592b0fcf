#include "tools/import/growing_schemas.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace stepdb::growing_schemas_test {

using Metrics = std::vector<uint32_t>;

class GrowingSchemasTest : public ::testing::Test {
  protected:
    GrowingSchemasTest() {
        for (uint32_t i = 0; i < 4096; ++i) {
            names_.push_back(fmt::format("m{}", i));
        }
    }

    // Checks that what was found carries each metric once.
    Metrics find(const Metrics& metrics) {
        const Result<Metrics> found = schemas_.find(metrics, names_);
        EXPECT_TRUE(found);
        std::multiset<uint32_t> carried;
        for (const uint32_t schema : *found) {
            const Metrics& columns = schemas_.schemas()[schema].metrics;
            EXPECT_TRUE(std::is_sorted(columns.begin(), columns.end()));
            EXPECT_EQ(columns.size(), schemas_.schemas()[schema].schema->width());
            for (const uint32_t metric : columns) {
                if (std::binary_search(metrics.begin(), metrics.end(), metric)) {
                    carried.insert(metric);
                }
            }
        }
        EXPECT_EQ(carried, std::multiset<uint32_t>(metrics.begin(), metrics.end()));
        return *found;
    }

    // So many sets that later ones share.
    void use_up_sets() {
        for (uint32_t i = 0; i < GrowingSchemas::kSetsMax; ++i) {
            find({i, 1000});
        }
    }

    std::vector<std::string> names_;
    GrowingSchemas schemas_{Axis::kStepped};
};

TEST_F(GrowingSchemasTest, GivesTheFirstSetsASchemaEach) {
    EXPECT_EQ(find({0, 1}), (Metrics{0}));
    EXPECT_EQ(find({0, 1, 2}), (Metrics{1}));
    EXPECT_EQ(find({0, 1}), (Metrics{0}));
    EXPECT_EQ(schemas_.schemas()[1].schema->metric(2), "m2");
}

TEST_F(GrowingSchemasTest, LetsLaterSetsShareOne) {
    use_up_sets();
    const uint32_t shared = GrowingSchemas::kSetsMax;
    EXPECT_EQ(find({0, 1}), (Metrics{shared}));
    EXPECT_EQ(find({0, 2, 5}), (Metrics{shared}));
    EXPECT_EQ(schemas_.schemas().size(), shared + 1U);
    EXPECT_EQ(find({3, 1000}), (Metrics{3}));  // which has its own
}

TEST_F(GrowingSchemasTest, SendsNewerMetricsByThemselvesUntilTheyAreAsMany) {
    use_up_sets();
    find({0, 1});  // 33 metrics are shared
    const uint32_t shared = GrowingSchemas::kSetsMax;
    EXPECT_EQ(find({0, 2000, 2001}), (Metrics{shared, shared + 1, shared + 2}));
    for (uint32_t metric = 2002; metric < 2000 + 32; ++metric) {
        EXPECT_EQ(find({1, metric}).size(), 2U);
    }
    const Metrics widened = find({1, 2032});
    ASSERT_EQ(widened.size(), 1U);
    EXPECT_EQ(schemas_.schemas()[widened[0]].metrics.size(), 66U);
    EXPECT_EQ(find({0, 2000, 2001}), widened);
}

TEST_F(GrowingSchemasTest, BoundsSchemasByTheNumberOfMetrics) {
    std::mt19937 random(17);
    size_t columns = 0;
    for (int row = 0; row < 20'000; ++row) {
        std::set<uint32_t> metrics;
        for (int i = 0; i < 5; ++i) {
            metrics.insert(static_cast<uint32_t>(random() % (1U + static_cast<uint32_t>(row) / 5)) %
                           4096);
        }
        find(Metrics(metrics.begin(), metrics.end()));
    }
    for (const PlannedSchema& schema : schemas_.schemas()) {
        columns += schema.metrics.size();
    }
    EXPECT_LT(schemas_.schemas().size(), GrowingSchemas::kSetsMax + 4096U + 13U);
    EXPECT_LT(columns, 4U * 4096U);
}

}  // namespace stepdb::growing_schemas_test
