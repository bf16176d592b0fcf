#include "engine/catalog/lineage.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace stepdb::lineage_test {

Key step(double value) {
    return key_of_step(value);
}

std::shared_ptr<Run> make_run(uint64_t id, std::string name, std::vector<Attempt> attempts) {
    auto run = std::make_shared<Run>();
    run->id = id;
    run->project = "p";
    run->name = std::move(name);
    run->attempts = std::move(attempts);
    return run;
}

// Run 1 restarted at 10 and again at 5; run 2, forked from 1#1 at 8 and restarted at 20; run 3,
// forked from run 2's newest at 15.
Catalog sample() {
    Catalog catalog;
    catalog.put_run(make_run(1, "root",
                             {{0, 0, 0, kKeyMax, 1, false},
                              {1, 1, 0, step(10), 2, false},
                              {2, 1, 1, step(5), 3, false}}));
    catalog.put_run(
        make_run(2, "fork", {{0, 1, 1, step(8), 4, false}, {1, 2, 0, step(20), 5, false}}));
    catalog.put_run(make_run(3, "leaf", {{0, 2, 1, step(15), 6, false}}));
    return catalog;
}

std::vector<std::pair<std::string, double>> read(const Catalog& catalog, uint64_t run,
                                                 uint32_t attempt, Axis axis) {
    std::vector<std::pair<std::string, double>> levels;
    for (const LineageLevel& level : lineage(catalog, run, attempt, axis)) {
        levels.emplace_back(fmt::format("{}#{}", level.run->name, level.attempt),
                            level.cut == kKeyMax ? 1e9 : step_of_key(level.cut));
    }
    return levels;
}

using Levels = std::vector<std::pair<std::string, double>>;

TEST(Lineage, TheLowestCutOnTheWayBoundsWhatLiesAbove) {
    const Catalog catalog = sample();
    EXPECT_EQ(read(catalog, 1, 2, Axis::kStepped),
              (Levels{{"root#2", 1e9}, {"root#1", 5}, {"root#0", 5}}));
    EXPECT_EQ(
        read(catalog, 3, 0, Axis::kStepped),
        (Levels{{"leaf#0", 1e9}, {"fork#1", 15}, {"fork#0", 15}, {"root#1", 8}, {"root#0", 8}}));
}

TEST(Lineage, TimedMetricsAreNotCutAndNotInheritedByForks) {
    const Catalog catalog = sample();
    EXPECT_EQ(read(catalog, 1, 2, Axis::kTimed),
              (Levels{{"root#2", 1e9}, {"root#1", 1e9}, {"root#0", 1e9}}));
    EXPECT_EQ(read(catalog, 2, 1, Axis::kTimed), (Levels{{"fork#1", 1e9}, {"fork#0", 1e9}}));
    EXPECT_EQ(read(catalog, 3, 0, Axis::kTimed), (Levels{{"leaf#0", 1e9}}));
}

TEST(Lineage, AForksAxesAreThoseOfItsTree) {
    const Catalog catalog = sample();
    EXPECT_EQ(fork_root(catalog, 3), 1U);
    EXPECT_EQ(fork_root(catalog, 1), 1U);
    EXPECT_EQ(lineage_depth(catalog, *catalog.find_run(3), 0), 5U);
}

TEST(Lineage, ADiscardedAttemptKeepsWhatOthersRead) {
    Catalog catalog = sample();
    const auto discard = [&](uint64_t id, uint32_t number) {
        auto run = std::make_shared<stepdb::Run>(*catalog.find_run(id));
        std::ranges::find(run->attempts, number, &Attempt::number)->discarded = true;
        catalog.put_run(run);
    };
    const auto kept = [&](uint64_t id, uint32_t number) {
        return kept_of_attempt(catalog, *catalog.find_run(id), number);
    };
    EXPECT_EQ(kept(1, 0).stepped, kKeyMax);
    discard(1, 0);
    EXPECT_EQ(kept(1, 0).stepped, step(10)) << "root#1 reads it";
    EXPECT_TRUE(kept(1, 0).timed);
    discard(1, 1);
    EXPECT_EQ(kept(1, 1).stepped, step(8)) << "the fork reads further than root#2";
    EXPECT_EQ(kept(1, 0).stepped, step(8)) << "through a discarded attempt what is read of it";
    discard(2, 0);
    EXPECT_EQ(kept(2, 0).stepped, step(20));
    EXPECT_EQ(kept(1, 1).stepped, step(8));
    catalog.remove_run(3);
    catalog.remove_run(2);
    EXPECT_EQ(kept(1, 1).stepped, step(5)) << "root#2 alone";
    EXPECT_EQ(kept(1, 0).stepped, step(5));
}

TEST(Lineage, ForksAreKnownByTheirParentUntilTheyAreDeleted) {
    Catalog catalog = sample();
    EXPECT_EQ(catalog.forks_of(1), (std::vector<uint64_t>{2}));
    EXPECT_EQ(catalog.forks_of(3), (std::vector<uint64_t>{}));
    catalog.remove_run(2);
    EXPECT_EQ(catalog.forks_of(1), (std::vector<uint64_t>{}));
    EXPECT_EQ(catalog.find_run("p", "fork"), nullptr);
    EXPECT_EQ(catalog.next_run_id(), 4U);
}

}  // namespace stepdb::lineage_test
