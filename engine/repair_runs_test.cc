// What a repair makes of runs of whose life the log tells in parts: whose name belonged to another
// before, or of which nothing is left but a restart.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/repair.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/observed.h"

namespace stepdb::repair_runs_test {

class RepairOfRuns : public EngineTest {
  protected:
    RepairOfRuns() : EngineTest(options()) {}

    static EngineOptions options() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        options.log_live_bytes_max = 4U << 20U;  // so that no flush begins by itself
        return options;
    }

    void rows(const std::string& run, std::shared_ptr<const Schema> schema, int first, int end) {
        for (int step = first; step < end; ++step) {
            send(one_row(run, schema, step, {0.5 * step}));
        }
        store_.run();
    }

    void restart(const std::string& run, uint32_t attempt, double step) {
        writer_.send_life(run, [=](uint32_t handle, uint64_t number) {
            RestartRunFrame frame;
            frame.handle = handle;
            frame.attempt = attempt;
            frame.step = step;
            return encode_restart_run_frame(frame, number);
        });
        store_.run();
    }

    void next_life() {
        store_.crash(CrashKind::kProcessKill);
        ASSERT_TRUE(store_.open());
        writer_.connect(store_);
        store_.run();
    }

    std::vector<std::string> files(std::string_view kind) const {
        std::vector<std::string> files = disk_.files();
        std::erase_if(
            files, [&](const std::string& path) { return path.find(kind) == std::string::npos; });
        return files;
    }

    // The log goes on in a file in which no run but one is opened; what was before is in segments
    // and a catalog.
    void begin_log_file() {
        for (int step = 0; files("/log-").size() < 3; ++step) {
            rows("p/other", loss_, step, step + 1);
        }
        ASSERT_TRUE(store_.flush());
        store_.run();
        ASSERT_EQ(files("/catalog-").size(), 1U);
    }

    // The store with one of its files empty, repaired.
    Observed repaired_without(const std::string& file) {
        SimDisk disk = disk_;
        disk.put_file(file, {});
        SimExecutor executor;
        SimFileSystem files(disk, executor);
        RepairOptions options;
        options.directory = "store";
        options.now_us = 1'800'000'000'000'000;
        const Result<RepairReport> report =
            run_task(executor, repair_store(files, executor, std::move(options)));
        executor.run_until_idle();
        EXPECT_TRUE(report) << report.error().message();
        found_.clear();
        for (const RepairFinding& finding : report->findings) {
            found_ += finding.what + "\n";
        }
        SimStore repaired(disk, 2, RepairOfRuns::options());
        EXPECT_TRUE(repaired.open());
        EXPECT_TRUE(repaired.engine().recovery().damage.empty());
        EXPECT_EQ(repaired.verify(), "");
        return observe(repaired);
    }

    std::string found_;  // what the last repair told
    std::shared_ptr<const Schema> late_ = stepped({"late"});
};

TEST_F(RepairOfRuns, AnEarlierOneOfTheSameNameIsGoneThoughTheRecordOfItsEndIsLost) {
    rows("p/r", loss_, 0, 10);
    ASSERT_TRUE(store_.flush());
    next_life();
    writer_.send_life("p/r", encode_delete_run_frame);
    store_.run();
    writer_.forget_run("p/r");
    rows("p/r", loss_, 100, 103);
    writer_.fork_run("p/fork", "p/r", 101);
    next_life();  // which opens the fork first
    rows("p/fork", late_, 300, 302);
    rows("p/r", late_, 200, 204);
    store_.crash(CrashKind::kProcessKill);
    int lost = 0;
    for (const std::string& log : files("/log-")) {
        const Observed seen = repaired_without(log);
        const auto late = seen.contents.find({"p/r", "late"});
        if (late == seen.contents.end()) {
            continue;  // it was in that file
        }
        EXPECT_EQ(late->second.size(), 4U) << log << ": " << found_;
        const auto of_fork = seen.contents.find({"p/fork", "late"});
        ASSERT_NE(of_fork, seen.contents.end()) << log << ": " << found_;
        EXPECT_EQ(of_fork->second.size(), 2U) << log << ": " << found_;
        const auto loss = seen.contents.find({"p/r", "loss"});
        if (loss == seen.contents.end()) {
            ++lost;
            EXPECT_NE(found_.find("was deleted and made anew"), std::string::npos) << found_;
        } else {
            EXPECT_EQ(loss->second.begin()->first, key_of_step(100)) << log << ": " << found_;
        }
    }
    EXPECT_EQ(lost, 1) << "the log of the life that deleted the run is one file";
}

TEST_F(RepairOfRuns, AForkThatWasRestartedReadsItsParentWithoutACatalog) {
    rows("p/a", loss_, 0, 10);
    writer_.fork_run("p/f", "p/a", 5);
    restart("p/f", 1, 7);
    begin_log_file();
    writer_.send_life("p/f", [](uint32_t handle, uint64_t number) {
        FinishRunFrame frame;
        frame.handle = handle;
        frame.attempt = 1;
        return encode_finish_run_frame(frame, number);
    });
    store_.run();
    next_life();
    store_.crash(CrashKind::kProcessKill);
    const Observed seen = repaired_without(files("/catalog-").front());
    const auto loss = seen.contents.find({"p/f", "loss"});
    ASSERT_NE(loss, seen.contents.end()) << found_;
    EXPECT_EQ(loss->second.size(), 6U) << found_;
}

TEST_F(RepairOfRuns, OneOfWhichTheLogHasARestartAlone) {
    restart("p/r", 1, 0);
    begin_log_file();
    restart("p/r", 3, 5);
    store_.crash(CrashKind::kProcessKill);
    repaired_without(files("/catalog-").front());
    EXPECT_NE(found_.find("runs and metrics are taken from segments"), std::string::npos) << found_;
}

}  // namespace stepdb::repair_runs_test
