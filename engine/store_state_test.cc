#include "engine/store_state.h"

#include <gtest/gtest.h>

namespace stepdb::store_state_test {

StoredSchema stored(uint64_t id, Axis axis, std::vector<std::string> metrics) {
    return {id, std::make_shared<const Schema>(*Schema::create(axis, std::move(metrics)))};
}

// However many schemas a run uses, and whether others use the same.
TEST(AxisRegistry, AMetricHasOneAxisInATree) {
    AxisRegistry axes;
    for (uint64_t id = 1; id <= 30; ++id) {
        for (const uint64_t root : {7U, 8U}) {
            ASSERT_TRUE(
                axes.use(root, "p/r", stored(id, Axis::kStepped, {fmt::format("loss/{}", id)})));
        }
        ASSERT_TRUE(
            axes.use(7, "p/r", stored(100 + id, Axis::kTimed, {fmt::format("gpu/{}", id)})));
        const Status refused =
            axes.use(7, "p/r", stored(200, Axis::kTimed, {"other", fmt::format("loss/{}", id)}));
        ASSERT_FALSE(refused.has_value());
        EXPECT_NE(refused.error().message().find(fmt::format("'loss/{}'", id)), std::string::npos);
        // Another tree's are its own business.
        ASSERT_TRUE(
            axes.use(9, "p/other", stored(300 + id, Axis::kTimed, {fmt::format("loss/{}", id)})));
    }
    ASSERT_TRUE(axes.use(8, "p/r", stored(101, Axis::kTimed, {"gpu/1"})));
    ASSERT_TRUE(axes.use(7, "p/r", stored(1, Axis::kStepped, {"loss/1"})));
}

// What the runs of a sweep have in common is kept once.
TEST(AxisRegistry, TakesLittleForRunsOfTheSameSchemasAndNothingForThoseThatAreGone) {
    AxisRegistry axes;
    const StoredSchema train = stored(1, Axis::kStepped, {"loss", "lr"});
    const StoredSchema gpu = stored(2, Axis::kTimed, {"util"});
    for (uint64_t root = 1; root <= 1'000; ++root) {
        ASSERT_TRUE(axes.use(root, "p/r", train));
        ASSERT_TRUE(axes.use(root, "p/r", gpu));
    }
    EXPECT_LT(axes.memory_bytes(), 1'000U * 64);
    for (uint64_t id = 10; id < 100; ++id) {
        ASSERT_TRUE(axes.use(5, "p/r", stored(id, Axis::kStepped, {fmt::format("m{}", id)})));
    }
    for (uint64_t root = 1; root <= 1'000; ++root) {
        axes.forget(root);
    }
    EXPECT_EQ(axes.memory_bytes(), 0U);
    // Its id never comes back, but if it did: nothing is left.
    ASSERT_TRUE(axes.use(5, "p/r", stored(3, Axis::kTimed, {"loss"})));
}

}  // namespace stepdb::store_state_test
