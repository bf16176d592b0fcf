// The power goes at every operation of a repair: the store is as it was, or repaired, and repairing
// it again makes it whole.
#include <gtest/gtest.h>

#include "engine/repair.h"
#include "tests/support/backup_check.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::repair_crash_test {

RepairOptions repair_options() {
    RepairOptions options;
    options.directory = "store";
    options.now_us = 1'800'000'000'000'000;
    return options;
}

EngineOptions store_options() {
    EngineOptions options = SimStore::small_options();
    options.merge_automatically = false;
    return options;
}

// What a store reads as, whatever is damaged; the error if a series cannot be read.
Result<ReferenceModel::Contents> contents_of(SimDisk disk, bool must_be_sound) {
    SimStore store(disk, 1, store_options());
    TRY(store.open());
    if (must_be_sound && !store.engine().recovery().damage.empty()) {
        return Error(ErrorCode::kCorruption, store.engine().recovery().damage.front().what);
    }
    store.read_points_alone();
    return store.contents();
}

class CrashedRepair {
  public:
    explicit CrashedRepair(uint64_t seed) : random_(seed) {
        Workload workload(random_, 2);
        SimStore store(disk_, seed + 1, store_options());
        const Status opened = store.open();
        CHECK(opened, "{}", opened.error().message());
        TestWriter writer(sha256_128(as_bytes("writer")));
        writer.connect(store);
        for (int i = 0; i < 120; ++i) {
            writer.send(workload.next());
            store.run();
            if (i % 40 == 30) {
                const Status flushed = store.flush();
                CHECK(flushed, "{}", flushed.error().message());
            }
        }
        store.crash(CrashKind::kProcessKill);
        // From here on nothing of what was written then is at risk.
        SimDisk settled({"store"});
        for (const std::string& path : disk_.files()) {
            settled.put_file(path, *disk_.contents(path));
        }
        disk_ = settled;
    }

    // The file whose name begins so goes, or is flipped in the middle of what it holds.
    void damage(std::string_view kind, bool goes) {
        for (const std::string& path : disk_.files()) {
            if (path.find(kind) == std::string::npos) {
                continue;
            }
            if (goes) {
                disk_.put_file(path, {});
            } else {
                CHECK(disk_.flip_byte(path, kPageBytes + 40), "{}", path);
            }
            return;
        }
    }

    std::string run(std::optional<SyncSite> disabled) {
        const auto before = contents_of(disk_, false);
        SimDisk repaired = disk_;
        std::string failed = repair_fully(repaired);
        if (!failed.empty()) {
            return failed;
        }
        const auto after = contents_of(repaired, true);
        if (disabled) {
            disk_.disable_site(*disabled);
        }
        SimExecutor executor(random_.next());
        SimFileSystem files(disk_, executor);
        std::string found;
        files.watch_operations([&](uint64_t) {
            for (int i = 0; found.empty() && i < 3; ++i) {
                const SimDisk left = files.after_crash(CrashKind::kPowerCut, random_);
                found = judge(left, before, after);
            }
        });
        const auto report = run_task(executor, repair_store(files, executor, repair_options()));
        executor.run_until_idle();
        if (found.empty() && !report) {
            return report.error().message();
        }
        if (found.empty()) {
            const auto sound = contents_of(files.after_crash(CrashKind::kPowerCut, random_), true);
            if (!is_same(sound, after)) {
                found = "repaired, it does not last: " + (sound ? "" : sound.error().message());
            }
        }
        return found;
    }

    uint64_t cuts() const { return cuts_; }

  private:
    static std::string repair_fully(SimDisk& disk) {
        SimExecutor executor;
        SimFileSystem files(disk, executor);
        const auto report = run_task(executor, repair_store(files, executor, repair_options()));
        executor.run_until_idle();
        return report ? "" : report.error().message();
    }

    static bool is_same(const Result<ReferenceModel::Contents>& a,
                        const Result<ReferenceModel::Contents>& b) {
        return a.has_value() == b.has_value() && (!a || describe_difference(*a, *b).empty());
    }

    std::string judge(SimDisk left, const Result<ReferenceModel::Contents>& before,
                      const Result<ReferenceModel::Contents>& after) {
        ++cuts_;
        const auto now = contents_of(left, false);
        if (!is_same(now, before) && !is_same(now, after)) {
            return "neither as it was nor repaired: " +
                   (now ? (after ? describe_difference(*after, *now) : "") : now.error().message());
        }
        if (cuts_ % 5 != 0) {
            return "";
        }
        const std::string failed = repair_fully(left);
        if (!failed.empty()) {
            return "repairing again: " + failed;
        }
        const auto again = contents_of(left, true);
        return is_same(again, after) ? "" : "repaired again, it is another";
    }

    SimDisk disk_{{"store"}};
    SimRandom random_;
    uint64_t cuts_ = 0;
};

TEST(RepairCrash, LeavesTheStoreAsItWasOrRepaired) {
    const uint64_t seed = test_seed(1);
    uint64_t cuts = 0;
    for (uint64_t round = 0; cuts < scaled(1500); ++round) {
        for (const std::string_view kind :
             {"CURRENT", "manifest-", "catalog-", "segment-", "log-"}) {
            CrashedRepair repair(seed * 1000 + round);
            repair.damage(kind, round % 2 == 0 || kind == "CURRENT");
            ASSERT_EQ(repair.run(std::nullopt), "") << kind << ", round " << round;
            cuts += repair.cuts();
        }
    }
    std::printf("%llu crash points\n", static_cast<unsigned long long>(cuts));
}

// Those on the way of a repair.
class RepairWithoutSync : public ::testing::TestWithParam<SyncSite> {};

TEST_P(RepairWithoutSync, IsFound) {
    const uint64_t seed = test_seed(1);
    uint64_t cuts = 0;
    for (uint64_t round = 0; cuts < 4000; ++round) {
        for (const std::string_view kind : {"CURRENT", "catalog-", "segment-"}) {
            CrashedRepair repair(seed * 1000 + round);
            repair.damage(kind, kind == "CURRENT" || round % 2 == 0);
            const std::string found = repair.run(GetParam());
            cuts += repair.cuts();
            if (!found.empty()) {
                std::printf("found after %llu crash points: %s\n",
                            static_cast<unsigned long long>(cuts), found.c_str());
                return;
            }
        }
    }
    FAIL() << sync_site_name(GetParam()) << " can be left out without a loss in " << cuts
           << " crash points";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RepairWithoutSync);
INSTANTIATE_TEST_SUITE_P(Sites, RepairWithoutSync,
                         ::testing::ValuesIn(is_sanitized()
                                                 ? std::vector<SyncSite>{}
                                                 : std::vector<SyncSite>{SyncSite::kSegmentData,
                                                                         SyncSite::kCatalogData,
                                                                         SyncSite::kFlushDirectory,
                                                                         SyncSite::kManifestData,
                                                                         SyncSite::kCurrentData}),
                         [](const auto& site) {
                             std::string name(sync_site_name(site.param));
                             std::replace(name.begin(), name.end(), ' ', '_');
                             return name;
                         });

}  // namespace stepdb::repair_crash_test
