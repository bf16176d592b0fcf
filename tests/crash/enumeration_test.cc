// Every crash of small workloads, and every way in which a broken store would lose something.
#include "tests/crash/enumeration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/crash/every_fate.h"

namespace stepdb::enumeration_test {

// A sanitizer is there for what recoveries do, and not for their number.
EnumerationOptions options() {
    EnumerationOptions options;
    options.combinations_max = is_sanitized() ? 32 : 4096;
    options.combinations_in_recovery_max = is_sanitized() ? 2 : 256;
    return options;
}

class Enumeration : public ::testing::TestWithParam<size_t> {};

TEST_P(Enumeration, FindsNothingLost) {
    const CrashScript& script = crash_scripts()[GetParam()];
    CrashEnumeration enumeration(script, options());
    EXPECT_EQ(enumeration.run(), "");
    const EnumerationCounts& counts = enumeration.counts();
    fmt::print(
        "{}: {} operations, {} crashes, {} different disks recovered from; {} places sampled\n",
        script.name, counts.operations, counts.crashes, counts.disks, counts.sampled_cuts);
    RecordProperty("crashes", static_cast<int>(counts.crashes));
}

TEST_P(Enumeration, FindsNothingLostAfterAnyFailure) {
    const CrashScript& script = crash_scripts()[GetParam()];
    for (const ErrorCode code : {ErrorCode::kIoError, ErrorCode::kResourceExhausted}) {
        EnumerationOptions few;
        few.combinations_in_recovery_max = is_sanitized() ? 1 : 8;
        few.failures_every = is_sanitized() ? 4 : 1;
        CrashEnumeration enumeration(script, few);
        EXPECT_EQ(enumeration.run_with_failures(code), "");
        const EnumerationCounts& counts = enumeration.counts();
        fmt::print("{}: {} failures, {} crashes, {} different disks recovered from\n", script.name,
                   counts.operations, counts.crashes, counts.disks);
    }
}

INSTANTIATE_TEST_SUITE_P(Scripts, Enumeration, ::testing::Range(size_t{0}, crash_scripts().size()),
                         [](const auto& script) {
                             return std::string(crash_scripts()[script.param].name);
                         });

// Without any one sync, something is lost in one of the scripts.
class EnumerationWithoutSync : public ::testing::TestWithParam<int> {};

TEST_P(EnumerationWithoutSync, FindsTheLoss) {
    const auto site = static_cast<SyncSite>(GetParam());
    EnumerationOptions options;
    options.combinations_max = 64;
    options.combinations_in_recovery_max = 8;
    options.verifies = false;  // it is the loss that has to be found
    options.breaks = [site](SimDisk& disk) { disk.disable_site(site); };
    for (const CrashScript& script : crash_scripts()) {
        CrashEnumeration enumeration(script, options);
        const std::string found = enumeration.run();
        if (!found.empty()) {
            fmt::print("found in {} crashes of {}: {}\n", enumeration.counts().crashes, script.name,
                       found);
            return;
        }
    }
    FAIL() << sync_site_name(site) << " can be left out without a loss";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EnumerationWithoutSync);
INSTANTIATE_TEST_SUITE_P(Sites, EnumerationWithoutSync,
                         ::testing::Range(0, is_sanitized() ? 0 : static_cast<int>(kSyncSiteCount)),
                         [](const auto& site) {
                             std::string name(sync_site_name(static_cast<SyncSite>(site.param)));
                             std::replace(name.begin(), name.end(), ' ', '_');
                             return name;
                         });

TEST(EnumerationOfABrokenStore, FindsARenameBeforeTheSync) {
    if (is_sanitized()) {
        GTEST_SKIP() << "a search for what is broken on purpose";
    }
    EnumerationOptions options;
    options.verifies = false;
    options.breaks = [](SimDisk& disk) { disk.defer_site(SyncSite::kCurrentData); };
    CrashEnumeration enumeration(crash_scripts().front(), options);
    const std::string found = enumeration.run();
    fmt::print("{}\n", found);
    EXPECT_NE(found, "") << "CURRENT can be renamed before it is synced";
}

TEST(EveryFate, GoesThroughAllAnswers) {
    EveryFate fate;
    std::set<std::string> seen;
    do {
        // The second question depends on the first answer.
        const uint64_t first = fate.below(3);
        std::string answers = fmt::format("{} {} ", first, first == 2 ? 7 : fate.below(2));
        for (const bool kept : fate.sectors(3)) {
            answers += kept ? "1" : "0";
        }
        EXPECT_TRUE(seen.insert(answers).second) << answers;
    } while (fate.next());
    EXPECT_EQ(seen.size(), size_t{20});
}

TEST(OneApartFate, AnswersAlikeButForOne) {
    OneApartFate fate;
    std::set<std::string> seen;
    do {
        std::string answers;
        for (const uint64_t outcomes : {uint64_t{2}, uint64_t{3}, uint64_t{2}}) {
            answers += fmt::format("{}", fate.below(outcomes));
        }
        EXPECT_TRUE(seen.insert(answers).second) << answers;
    } while (fate.next());
    EXPECT_THAT(seen, ::testing::UnorderedElementsAre("000", "100", "010", "020", "001",  //
                                                      "111", "011", "101", "121", "110"));
}

}  // namespace stepdb::enumeration_test
