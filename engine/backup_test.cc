// Backups of a store that goes on, on the simulated disk, and stores that are made of them.
#include "engine/backup.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/manifest/manifest.h"
#include "engine/model/life_frame.h"
#include "tests/support/backup_check.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::backup_test {

using testing::HasSubstr;

class BackupTest : public EngineTest {
  protected:
    BackupTest() : EngineTest(quiet_options()) {}

    static EngineOptions quiet_options() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        return options;
    }

    Result<BackupReport> back_up(const std::string& directory = "backup") {
        store_.run();
        BackupOptions options;
        options.directory = directory;
        return run_task(store_.executor(), store_.engine().backup(std::move(options)));
    }
    BackupReport backed_up(const std::string& directory = "backup") {
        const Result<BackupReport> report = back_up(directory);
        EXPECT_TRUE(report) << report.error().to_string();
        EXPECT_EQ(verify_directory(disk_, directory), "");
        return report ? *report : BackupReport();
    }
    std::string refusal(const std::string& directory = "backup") {
        const Result<BackupReport> report = back_up(directory);
        return report ? "" : report.error().to_string();
    }
    void expect_backup_of(const ReferenceModel& model, const std::string& directory = "backup") {
        const auto got = contents_of_backup(disk_, directory);
        ASSERT_TRUE(got) << got.error().to_string();
        EXPECT_EQ(describe_difference(model.contents(), *got), "");
    }
    std::vector<std::string> files_in(const std::string& directory) const {
        std::vector<std::string> names;
        for (const std::string& path : disk_.files()) {
            if (path.starts_with(directory + "/")) {
                names.push_back(path.substr(directory.size() + 1));
            }
        }
        return names;
    }
    void send_rows(int from, int to) {
        for (int i = from; i < to; ++i) {
            send(one_row(i % 3 == 0 ? "p/a" : "q/b", i % 2 == 0 ? loss_ : both_, i,
                         i % 2 == 0 ? std::vector<std::optional<double>>{0.1 * i}
                                    : std::vector<std::optional<double>>{1.0 * i, 2.5}));
        }
        store_.run();
    }

    std::shared_ptr<const Schema> both_ = stepped({"loss", "lr"});
};

TEST_F(BackupTest, HoldsEverythingAcknowledged) {
    send_rows(0, 300);
    const BackupReport report = backed_up();
    EXPECT_EQ(report.runs, 2U);
    EXPECT_EQ(report.store, store_.engine().store_id());
    EXPECT_EQ(report.sequence, store_.engine().sequence());
    EXPECT_EQ(report.files_new, report.files);
    EXPECT_EQ(report.bytes_copied, report.bytes);
    expect_backup_of(model_);
    expect_model();
    EXPECT_EQ(store_.verify(), "");
}

TEST_F(BackupTest, OfAnEmptyStoreIsAnEmptyStore) {
    EXPECT_EQ(backed_up().files, 0U);
    expect_backup_of(model_);
    send_rows(0, 3);
    backed_up();
    expect_backup_of(model_);
}

TEST_F(BackupTest, CopiesOnlyWhatIsNewAndRemovesWhatIsNotNeeded) {
    send_rows(0, 300);
    const BackupReport first = backed_up();
    const BackupReport again = backed_up();
    EXPECT_EQ(again.files, first.files);
    EXPECT_EQ(again.files_new, 0U);
    EXPECT_EQ(again.bytes_copied, 0U);
    send_rows(300, 320);
    const BackupReport second = backed_up();
    EXPECT_EQ(second.files_new, 2U) << "a segment and a catalog";
    EXPECT_EQ(second.bytes_copied, second.bytes_new);
    EXPECT_LT(second.bytes_copied, second.bytes);
    expect_backup_of(model_);
    ASSERT_TRUE(store_.compact());
    const BackupReport merged = backed_up();
    EXPECT_LT(merged.files, second.files);
    expect_backup_of(model_);
    // CURRENT, the manifest, LOCK and the mark.
    EXPECT_EQ(files_in("backup").size(), merged.files + 4)
        << testing::PrintToString(files_in("backup"));
}

// What comes while it is made may be in it or not, as a beginning of what came.
TEST_F(BackupTest, IsOfOneMomentWhateverGoesOn) {
    SimRandom random(test_seed(5));
    Workload workload(random, 3);
    std::vector<ModelChange> changes;
    for (int round = 0; round < 12; ++round) {
        for (int i = 0; i < 30; ++i) {
            changes.push_back(workload.next());
            send(changes.back());
        }
        store_.run();
        const size_t least = changes.size();
        std::optional<Result<BackupReport>> made;
        BackupOptions options;
        options.directory = "backup";
        start(store_.engine().backup(std::move(options)),
              [&](Result<BackupReport> report) { made.emplace(std::move(report)); });
        std::optional<Status> merged;
        while (!made) {
            if (random.below(4) == 0) {
                changes.push_back(workload.next());
                send(changes.back());
            }
            if (random.below(16) == 0) {
                const Status flushed = store_.flush();
                ASSERT_TRUE(flushed) << flushed.error().to_string();
            }
            if (!merged && random.below(8) == 0) {
                merged = store_.compact();
            }
            for (uint64_t turns = random.below(6); turns > 0 && !made; --turns) {
                store_.executor().run_one();
            }
        }
        ASSERT_TRUE(*made) << made->error().to_string();
        ASSERT_EQ(verify_directory(disk_, "backup"), "");
        const auto got = contents_of_backup(disk_, "backup");
        ASSERT_TRUE(got) << got.error().to_string();
        ReferenceModel model;
        size_t m = 0;
        for (; m < least; ++m) {
            model.apply(changes[m]);
        }
        while (m < changes.size() && model.contents() != *got) {
            model.apply(changes[m++]);
        }
        ASSERT_EQ(describe_difference(model.contents(), *got), "") << "round " << round;
    }
    store_.run();
    expect_model();
    EXPECT_EQ(store_.verify(), "");
}

// A merge leaves out what a delete hides that comes while the flush is under way, and of which the
// backup could not tell: points of some segments would be gone, of others not.
TEST_F(BackupTest, NothingIsHalfDeletedInIt) {
    for (int round = 0; round < 40; ++round) {
        const std::string run = fmt::format("p/r{}", round);
        for (int step = 0; step < 2; ++step) {
            send(one_row(run, both_, step, {0.5 * round, 1.5}));
            store_.run();
            if (step == 0) {
                ASSERT_TRUE(store_.flush());
            }
        }
        const ReferenceModel before = model_;
        std::optional<Result<BackupReport>> made;
        BackupOptions options;
        options.directory = "backup";
        start(store_.engine().backup(std::move(options)),
              [&](Result<BackupReport> report) { made.emplace(std::move(report)); });
        for (int turn = 0; turn < round / 4; ++turn) {
            store_.executor().run_one();
        }
        DeleteMetricsFrame frame;
        frame.metrics = {"loss"};
        writer_.send_life(run, [&](uint32_t handle, uint64_t number) {
            frame.handle = handle;
            return encode_delete_metrics_frame(frame, number);
        });
        model_.delete_metrics(run, frame.metrics);
        while (writer_.acknowledged() < writer_.sent()) {
            ASSERT_TRUE(store_.executor().run_one());
        }
        ASSERT_TRUE(store_.compact());
        store_.run();
        ASSERT_TRUE(made && *made);
        ASSERT_EQ(verify_directory(disk_, "backup"), "");
        const auto got = contents_of_backup(disk_, "backup");
        ASSERT_TRUE(got) << got.error().to_string();
        if (*got != before.contents()) {
            ASSERT_EQ(describe_difference(model_.contents(), *got), "") << "round " << round;
        }
    }
}

TEST_F(BackupTest, KeepsRestartsForksAttributesAndWriters) {
    send_rows(0, 50);
    writer_.fork_run("q/fork", "q/b", 20);
    model_.fork("q/fork", "q/b", 20);
    send(one_row("q/fork", loss_, 21, {9.0}));
    backed_up();
    expect_backup_of(model_);
    const auto facts = store_.facts();
    // The writer goes on with the store that was made of it, as after a restart.
    ASSERT_TRUE(restore_backup(disk_, "backup", "second"));
    writer_.disconnect();
    EngineOptions options = quiet_options();
    options.directory = "second";
    SimStore second(disk_, 7, options);
    ASSERT_TRUE(second.open());
    EXPECT_EQ(describe_difference(facts, second.facts()), "");
    EXPECT_EQ(second.engine().store_id(), store_.engine().store_id());
    writer_.connect(second);
    send(one_row("q/fork", loss_, 22, {10.0}));
    second.run();
    EXPECT_EQ(last_refusal(), "");
    const auto got = second.contents();
    ASSERT_TRUE(got);
    EXPECT_EQ(describe_difference(model_.contents(), *got), "");
    writer_.disconnect();
    ASSERT_TRUE(second.close());
    EXPECT_EQ(verify_directory(disk_, "second"), "");
}

TEST_F(BackupTest, RefusesADirectoryThatHoldsSomethingElse) {
    send_rows(0, 5);
    disk_.put_file("home/diary", as_bytes("dear"));
    EXPECT_THAT(refusal("home"), HasSubstr("home is not empty and takes no backups"));
    EXPECT_EQ(files_in("home"), std::vector<std::string>{"diary"});
    EXPECT_THAT(refusal("store"), HasSubstr("takes no backups"));

    EngineOptions options = quiet_options();
    options.directory = "other";
    SimStore other(disk_, 99, options);
    ASSERT_TRUE(other.open());
    backed_up();
    BackupOptions same;
    same.directory = "backup";
    const auto refused = run_task(other.executor(), other.engine().backup(std::move(same)));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(),
                HasSubstr("holds backups of store " + store_.engine().store_id().to_hex()));
    ASSERT_TRUE(other.close());
    expect_backup_of(model_);
}

TEST_F(BackupTest, RefusesADirectoryThatWasOpenedAsAStore) {
    send_rows(0, 5);
    backed_up();
    {
        EngineOptions options = quiet_options();
        options.directory = "backup";
        SimStore opened(disk_, 3, options);
        ASSERT_TRUE(opened.open());
        EXPECT_THAT(refusal(), HasSubstr("is in use by another backup, or a server has it open"));
        ASSERT_TRUE(opened.close());
    }
    EXPECT_THAT(refusal(), HasSubstr("has been opened as a store since the last backup"));
    const auto restored = restore_backup(disk_, "backup", "restored");
    ASSERT_FALSE(restored);
    EXPECT_THAT(restored.error().message(), HasSubstr("is a store of its own"));
}

TEST_F(BackupTest, RefusesABackupThatIsNewerThanTheStore) {
    send_rows(0, 5);
    backed_up("old");
    send_rows(5, 40);
    backed_up();
    ASSERT_TRUE(restore_backup(disk_, "old", "second"));
    EngineOptions options = quiet_options();
    options.directory = "second";
    SimStore second(disk_, 7, options);
    ASSERT_TRUE(second.open());
    BackupOptions to;
    to.directory = "backup";
    const auto refused = run_task(second.executor(), second.engine().backup(std::move(to)));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("holds a newer backup"));
    ASSERT_TRUE(second.close());
    expect_backup_of(model_);
}

// Every byte of a new file is damaged in turn: it is not copied, and said to be damaged, or it is
// one that no reader needs.
TEST_F(BackupTest, NamesADamagedFileAndLeavesTheLastBackup) {
    send_rows(0, 200);
    backed_up();
    send_rows(200, 400);
    ASSERT_TRUE(store_.flush());
    std::vector<std::string> fresh;
    for (const std::string& name : files_in("store")) {
        const auto old = files_in("backup");
        const bool is_copied = name.starts_with("segment-") || name.starts_with("catalog-");
        if (is_copied && std::ranges::find(old, name) == old.end()) {
            fresh.push_back("store/" + name);
        }
    }
    ASSERT_GE(fresh.size(), 2U);
    size_t refused = 0;
    for (const std::string& path : fresh) {
        const size_t bytes = disk_.contents(path)->size();
        for (size_t offset = 0; offset < bytes; offset += 37) {
            ASSERT_TRUE(disk_.flip_byte(path, offset));
            const Result<BackupReport> report = back_up();
            if (report) {
                ASSERT_EQ(verify_directory(disk_, "backup"), "") << path << " " << offset;
                ASSERT_TRUE(disk_.flip_byte(path, offset));
                break;  // padding; and the directory has the file now
            }
            ++refused;
            ASSERT_EQ(report.error().code(), ErrorCode::kCorruption) << report.error().to_string();
            ASSERT_THAT(report.error().message(), HasSubstr(path));
            ASSERT_TRUE(disk_.flip_byte(path, offset));
        }
    }
    EXPECT_GT(refused, 100U);
}

TEST_F(BackupTest, ADamagedFileLeavesTheLastBackupWhole) {
    send_rows(0, 200);
    backed_up();
    const ReferenceModel before = model_;
    send_rows(200, 400);
    ASSERT_TRUE(store_.flush());
    std::string damaged;  // the newest
    for (const std::string& path : disk_.files()) {
        damaged = path.starts_with("store/segment-") ? path : damaged;
    }
    ASSERT_TRUE(disk_.flip_byte(damaged, kPageBytes + 3));
    EXPECT_THAT(refusal(), HasSubstr(damaged));
    EXPECT_EQ(verify_directory(disk_, "backup"), "");
    expect_backup_of(before);
    ASSERT_TRUE(disk_.flip_byte(damaged, kPageBytes + 3));
    backed_up();
    expect_backup_of(model_);
}

TEST_F(BackupTest, AFullDiskLeavesTheLastBackupAndGivesRoomBack) {
    send_rows(0, 200);
    backed_up();
    const ReferenceModel before = model_;
    send_rows(200, 600);
    ASSERT_TRUE(store_.flush());
    store_.run();
    const uint64_t used = disk_.used_bytes();
    for (uint64_t more = 0; more < 96U << 10U; more += 4U << 10U) {
        disk_.set_capacity(disk_.used_bytes() + more);
        const Result<BackupReport> report = back_up();
        if (report) {
            EXPECT_GT(more, 0U);
            break;
        }
        ASSERT_EQ(report.error().code(), ErrorCode::kResourceExhausted)
            << report.error().to_string();
        EXPECT_LE(disk_.used_bytes(), used);
        ASSERT_EQ(verify_directory(disk_, "backup"), "");
        disk_.set_capacity(1U << 30U);
        expect_backup_of(before);
    }
    disk_.set_capacity(1U << 30U);
    backed_up();
    expect_backup_of(model_);
    send_rows(600, 601);
    expect_model();
}

TEST_F(BackupTest, EndsWhenItIsCancelledOrTheStoreIsClosed) {
    send_rows(0, 200);
    backed_up();
    send_rows(200, 400);
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    BackupOptions options;
    options.directory = "backup";
    options.cancelled = cancelled;
    options.on_progress = [&](const BackupReport& report) {
        EXPECT_EQ(report.bytes_copied, 0U);
        cancelled->store(true);
    };
    const auto given_up = run_task(store_.executor(), store_.engine().backup(std::move(options)));
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code(), ErrorCode::kCancelled);
    EXPECT_EQ(verify_directory(disk_, "backup"), "");

    std::optional<Result<BackupReport>> made;
    BackupOptions cut;
    cut.directory = "backup";
    start(store_.engine().backup(std::move(cut)),
          [&](Result<BackupReport> report) { made.emplace(std::move(report)); });
    writer_.disconnect();
    ASSERT_TRUE(store_.close());
    ASSERT_TRUE(made.has_value());
    EXPECT_TRUE(*made || made->error().code() == ErrorCode::kCancelled)
        << made->error().to_string();
    EXPECT_EQ(verify_directory(disk_, "backup"), "");
}

TEST_F(BackupTest, RestoreRefusesWhatItWouldDestroyAndWhatIsNoBackup) {
    send_rows(0, 20);
    backed_up();
    disk_.put_file("home/diary", as_bytes("dear"));
    auto refused = restore_backup(disk_, "backup", "home");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("home is not empty"));
    EXPECT_EQ(files_in("home"), std::vector<std::string>{"diary"});
    refused = restore_backup(disk_, "home", "restored");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
    EXPECT_EQ(files_in("home"), std::vector<std::string>{"diary"});
    refused = restore_backup(disk_, "nowhere", "restored");
    ASSERT_FALSE(refused);
    EXPECT_EQ(files_in("restored").size(), 0U);
}

TEST_F(BackupTest, RestoreNamesADamagedFileAndLeavesNothing) {
    send_rows(0, 200);
    backed_up();
    for (const std::string& name : files_in("backup")) {
        const std::string path = "backup/" + name;
        if (name == kLockName || name == kBackupMarkName) {
            continue;
        }
        ASSERT_TRUE(disk_.flip_byte(path, name == kCurrentName ? 3 : kPageBytes + 20));
        const auto refused = restore_backup(disk_, "backup", "restored");
        ASSERT_FALSE(refused) << path;
        EXPECT_THAT(refused.error().message(), HasSubstr(path));
        for (const std::string& left : files_in("restored")) {
            EXPECT_EQ(left, kLockName);
        }
        ASSERT_TRUE(disk_.flip_byte(path, name == kCurrentName ? 3 : kPageBytes + 20));
    }
    ASSERT_TRUE(restore_backup(disk_, "backup", "restored"));
}

}  // namespace stepdb::backup_test
