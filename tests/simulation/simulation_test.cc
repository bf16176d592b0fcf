// Some worlds of each run of the tests; `tests/simulation/run_long` plays a million crashes.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/simulation/world.h"

namespace stepdb::simulation_test {

constexpr uint64_t kWorlds = 2000;
constexpr uint64_t kShards = 4;

class Simulation : public ::testing::TestWithParam<uint64_t> {};

TEST_P(Simulation, LosesNothing) {
    const uint64_t seed = test_seed(1);
    SimulationCounts counts;
    for (uint64_t i = GetParam(); i < scaled(kWorlds); i += kShards) {
        const uint64_t of_world = seed * 1'000'000 + i;
        World world(of_world);
        ASSERT_EQ(world.run(), "") << "world " << i << " of seed " << seed;
        counts.add(world.counts());
    }
    fmt::print("{}\n", counts.to_string());
    RecordProperty("crashes", static_cast<int>(counts.recoveries()));
}

// What is wrong in one of the first worlds of a store that is broken on purpose.
std::string find_in_broken_worlds(const std::function<void(SimDisk&)>& breaks,
                                  const std::function<void(World&)>& spoils = {}) {
    constexpr uint64_t kWorldsMax = 6000;
    for (uint64_t seed = 1; seed <= kWorldsMax; ++seed) {
        World world(seed, breaks);
        if (spoils) {
            spoils(world);
        }
        std::string found = world.run();
        if (!found.empty()) {
            return fmt::format("world {}: {}", seed, found);
        }
    }
    return "";
}

class SimulationWithoutSync : public ::testing::TestWithParam<int> {};

TEST_P(SimulationWithoutSync, FindsTheLoss) {
    const auto site = static_cast<SyncSite>(GetParam());
    const std::string found =
        find_in_broken_worlds([site](SimDisk& disk) { disk.disable_site(site); });
    fmt::print("{}\n", found);
    EXPECT_NE(found, "") << sync_site_name(site) << " can be left out without a loss";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SimulationWithoutSync);
std::vector<int> sites_to_leave_out() {
    std::vector<int> sites;
    for (int site = 0; !is_sanitized() && site < static_cast<int>(kSyncSiteCount); ++site) {
        sites.push_back(site);
    }
    return sites;
}

INSTANTIATE_TEST_SUITE_P(Sites, SimulationWithoutSync, ::testing::ValuesIn(sites_to_leave_out()),
                         [](const auto& site) {
                             std::string name(sync_site_name(static_cast<SyncSite>(site.param)));
                             std::replace(name.begin(), name.end(), ' ', '_');
                             return name;
                         });

TEST(SimulationOfABrokenStore, FindsARenameBeforeTheSync) {
    if (is_sanitized()) {
        GTEST_SKIP() << "a search for what is broken on purpose";
    }
    const std::string found =
        find_in_broken_worlds([](SimDisk& disk) { disk.defer_site(SyncSite::kCurrentData); });
    fmt::print("{}\n", found);
    EXPECT_NE(found, "") << "CURRENT can be renamed before it is synced";
}

TEST(SimulationOfABrokenStore, FindsThatADiskHidesThatItIsFull) {
    if (is_sanitized()) {
        GTEST_SKIP() << "a search for what is broken on purpose";
    }
    const std::string found =
        find_in_broken_worlds([](SimDisk& disk) { disk.hide_that_it_is_full(); });
    fmt::print("{}\n", found);
    EXPECT_NE(found, "");
}

TEST(SimulationOfABrokenStore, FindsThatAnAnswerLacksARow) {
    if (is_sanitized()) {
        GTEST_SKIP() << "a search for what is broken on purpose";
    }
    const std::string found =
        find_in_broken_worlds({}, [](World& world) { world.spoil_answers(); });
    fmt::print("{}\n", found);
    EXPECT_NE(found.find("was answered as it never was"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Shards, Simulation, ::testing::Range(uint64_t{0}, kShards));

}  // namespace stepdb::simulation_test
