// The power goes at every moment of a backup: what is in the directory afterwards is the last
// backup, whole, or the new one, and the next one can be made. And every sync on that way is
// needed.
#include <gtest/gtest.h>

#include "tests/support/backup_check.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::backup_crash_test {

// A store that is backed up twice; a copy of the disk is cut off at every step of the second time,
// or of the first.
class CrashedBackup {
  public:
    explicit CrashedBackup(uint64_t seed)
        : random_(seed), workload_(random_, 2), store_(disk_, seed + 1, options()) {
        const Status opened = store_.open();
        CHECK(opened, "{}", opened.error().to_string());
        writer_.connect(store_);
    }
    ~CrashedBackup() {
        writer_.disconnect();
        store_.run();
        const Status closed = store_.close();
        static_cast<void>(closed);
    }
    CrashedBackup(const CrashedBackup&) = delete;
    CrashedBackup& operator=(const CrashedBackup&) = delete;

    static EngineOptions options() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        return options;
    }

    // Backs up `times` times, with changes before each, and cuts the last one. "" if all is well
    // after every cut.
    std::string run(int times, std::optional<SyncSite> disabled) {
        ReferenceModel before;
        for (int time = 1; time < times; ++time) {
            change(40);
            const std::string made = back_up();
            if (!made.empty()) {
                return made;
            }
            before = model_;
        }
        change(60);
        const Status flushed = store_.flush();
        if (!flushed) {
            return flushed.error().to_string();
        }
        if (random_.coin()) {
            const Status merged = store_.compact();
            if (!merged) {
                return merged.error().to_string();
            }
        }
        if (disabled) {
            disk_.disable_site(*disabled);
        }
        has_last_ = times > 1;
        return cut_at_every_step(before);
    }

    uint64_t cuts() const { return cuts_; }

  private:
    void change(int changes) {
        for (int i = 0; i < changes; ++i) {
            const ModelChange next = workload_.next();
            writer_.send(next);
            model_.apply(next);
        }
        store_.run();
    }

    std::string back_up() {
        BackupOptions options;
        options.directory = "backup";
        const auto report = run_task(store_.executor(), store_.engine().backup(std::move(options)));
        return report ? "" : report.error().to_string();
    }

    std::string cut_at_every_step(const ReferenceModel& before) {
        std::optional<Result<BackupReport>> made;
        BackupOptions options;
        options.directory = "backup";
        start(store_.engine().backup(std::move(options)),
              [&](Result<BackupReport> report) { made.emplace(std::move(report)); });
        std::string found;
        while (found.empty() && !made) {
            CHECK(store_.executor().run_one(), "the backup does not end");
            found = cut(before, made.has_value());
            if (found.empty() && cuts_ % 7 == 0) {
                found = back_up_after_cut();
            }
        }
        while (!made) {
            store_.executor().run_one();
        }
        if (found.empty() && !*made) {
            return (*made).error().to_string();
        }
        return found;
    }

    std::string cut(const ReferenceModel& before, bool is_made) {
        ++cuts_;
        left_ = store_.files().after_crash(CrashKind::kPowerCut, random_);
        const std::vector<std::string> files = left_.files();
        const bool is_there = std::ranges::find(files, "backup/CURRENT") != files.end();
        if (!is_there) {
            return is_made || has_last_ ? "there is no backup" : "";
        }
        const std::string wrong = verify_directory(left_, "backup");
        if (!wrong.empty()) {
            return wrong;
        }
        const auto got = contents_of_backup(left_, "backup");
        if (!got) {
            return got.error().to_string();
        }
        const std::string is_new = describe_difference(model_.contents(), *got);
        if (is_new.empty() || is_made || !has_last_) {
            return is_new;
        }
        return describe_difference(before.contents(), *got);
    }

    // With the store that the same cut has left.
    std::string back_up_after_cut() {
        SimStore again(left_, cuts_, options());
        const Status opened = again.open();
        if (!opened) {
            return opened.error().to_string();
        }
        BackupOptions options;
        options.directory = "backup";
        const auto report = run_task(again.executor(), again.engine().backup(std::move(options)));
        if (!report) {
            return "the next backup: " + report.error().to_string();
        }
        const Status closed = again.close();
        if (!closed) {
            return closed.error().to_string();
        }
        const std::string wrong = verify_directory(left_, "backup");
        if (!wrong.empty()) {
            return "the next backup: " + wrong;
        }
        const auto got = contents_of_backup(left_, "backup");
        return got ? describe_difference(model_.contents(), *got) : got.error().to_string();
    }

    SimDisk disk_;
    SimDisk left_;
    SimRandom random_;
    Workload workload_;
    SimStore store_;
    TestWriter writer_{sha256_128(as_bytes("writer"))};
    ReferenceModel model_;
    bool has_last_ = false;
    uint64_t cuts_ = 0;
};

TEST(BackupCrash, LeavesTheLastBackupOrTheNewOne) {
    const uint64_t seed = test_seed(1);
    uint64_t cuts = 0;
    for (uint64_t round = 0; cuts < scaled(4000); ++round) {
        CrashedBackup backup(seed * 1000 + round);
        ASSERT_EQ(backup.run(round % 3 == 0 ? 1 : 2, std::nullopt), "") << "round " << round;
        cuts += backup.cuts();
    }
    std::printf("%llu crash points\n", static_cast<unsigned long long>(cuts));
    RecordProperty("crash_points", static_cast<int>(cuts));
}

// Those on the way of a backup, its own and those of the manifest it writes.
class BackupWithoutSync : public ::testing::TestWithParam<SyncSite> {};

TEST_P(BackupWithoutSync, IsFound) {
    const uint64_t seed = test_seed(1);
    uint64_t cuts = 0;
    for (uint64_t round = 0; cuts < 20000; ++round) {
        CrashedBackup backup(seed * 1000 + round);
        const std::string found = backup.run(round % 2 == 0 ? 1 : 2, GetParam());
        cuts += backup.cuts();
        if (!found.empty()) {
            std::printf("found after %llu crash points: %s\n",
                        static_cast<unsigned long long>(cuts), found.c_str());
            return;
        }
    }
    FAIL() << sync_site_name(GetParam()) << " can be left out without a loss in " << cuts
           << " crash points";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackupWithoutSync);
INSTANTIATE_TEST_SUITE_P(
    Sites, BackupWithoutSync,
    ::testing::ValuesIn(is_sanitized()
                            ? std::vector<SyncSite>{}
                            : std::vector<SyncSite>{SyncSite::kBackupMark,
                                                    SyncSite::kBackupMarkDirectory,
                                                    SyncSite::kBackupData, SyncSite::kManifestData,
                                                    SyncSite::kManifestDirectory,
                                                    SyncSite::kCurrentData,
                                                    SyncSite::kCurrentDirectory}),
    [](const auto& site) {
        std::string name(sync_site_name(site.param));
        std::replace(name.begin(), name.end(), ' ', '_');
        return name;
    });

}  // namespace stepdb::backup_crash_test
