#include "tests/support/sim_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace stepdb::sim_file_system_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr SyncSite kSite = SyncSite::kLogGroup;

std::vector<std::byte> filled(size_t bytes, int value) {
    return std::vector<std::byte>(bytes, static_cast<std::byte>(value));
}

class SimFileSystemTest : public testing::Test {
  protected:
    std::unique_ptr<File> create(SimFileSystem& files, const std::string& path) {
        return std::move(run_task(executor_, files.open(path, OpenMode::kCreate))).value();
    }

    ErrorCode code_of(const Status& status) {
        return status.has_value() ? ErrorCode{} : status.error().code();
    }

    SimExecutor executor_;
    SimDisk disk_{{"d"}};
    SimRandom random_{7};
};

TEST_F(SimFileSystemTest, WriteIsVisibleAndDurableOnlyAfterSync) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    const auto bytes = filled(1000, 3);
    ASSERT_TRUE(run_task(executor_, file->write(0, bytes)).has_value());
    std::vector<std::byte> back(1000);
    ASSERT_TRUE(run_task(executor_, file->read(0, back)).has_value());
    EXPECT_EQ(back, bytes);
    ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
    EXPECT_EQ(disk_.durable_contents("d/f"), filled(0, 0));
    ASSERT_TRUE(run_task(executor_, file->sync(kSite)).has_value());
    EXPECT_EQ(disk_.durable_contents("d/f"), bytes);
    EXPECT_EQ(files.count_syncs(kSite), 2U);
}

TEST_F(SimFileSystemTest, SyncDoesNotCoverAWriteUnderWayWhenItBegan) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
    const auto bytes = filled(512, 3);
    int ended = 0;
    const auto count = [&ended](const Status& status) { ended += status.has_value() ? 1 : 0; };
    start(file->write(0, bytes), count);
    start(file->sync(kSite), count);
    executor_.run_until_idle();
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(disk_.durable_contents("d/f"), filled(0, 0));
}

TEST_F(SimFileSystemTest, WriteSyncedIsDurableAndCountsAsTwoOperations) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
    const uint64_t before = files.count_operations();
    const auto bytes = filled(512, 3);
    ASSERT_TRUE(run_task(executor_, file->write_synced(0, bytes, kSite)).has_value());
    EXPECT_EQ(files.count_operations(), before + 2);
    EXPECT_EQ(disk_.durable_contents("d/f"), bytes);
}

TEST_F(SimFileSystemTest, DisabledSiteSavesNothingAndOthersStillDo) {
    disk_.disable_site(SyncSite::kSegmentData);
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
    const auto bytes = filled(512, 3);
    ASSERT_TRUE(
        run_task(executor_, file->write_synced(0, bytes, SyncSite::kSegmentData)).has_value());
    EXPECT_EQ(disk_.durable_contents("d/f"), filled(0, 0));
    ASSERT_TRUE(run_task(executor_, file->sync(SyncSite::kCatalogData)).has_value());
    EXPECT_EQ(disk_.durable_contents("d/f"), bytes);
}

TEST_F(SimFileSystemTest, SeedReordersCompletionsAndRepeats) {
    const auto order_of = [](uint64_t seed) {
        SimExecutor executor(seed);
        SimDisk disk({"d"});
        disk.put_file("d/f", {});
        SimFileSystem files(disk, executor);
        auto opened = run_task(executor, files.open("d/f", OpenMode::kReadWrite));
        const auto bytes = filled(16, 1);
        std::vector<int> order;
        for (int i = 0; i < 8; ++i) {
            start((*opened)->write(0, bytes),
                  [&order, i](const Status& status) { order.push_back(status ? i : -1); });
        }
        executor.run_until_idle();
        EXPECT_EQ(order.size(), 8U);
        return order;
    };
    EXPECT_EQ(order_of(5), order_of(5));
    EXPECT_NE(order_of(5), order_of(6));
}

TEST_F(SimFileSystemTest, CrashAtOperationSwitchesOffAndEndsEveryTask) {
    {
        SimFileSystem files(disk_, executor_);
        auto file = create(files, "d/f");  // operation 1
        ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
        files.crash_at_operation(4);
        const auto bytes = filled(512, 3);
        std::vector<ErrorCode> codes;
        for (uint64_t i = 0; i < 4; ++i) {  // operations 3, 4 and two that never begin
            start(file->write(i * 512, bytes),
                  [&](const Status& status) { codes.push_back(code_of(status)); });
        }
        executor_.run_until_idle();
        EXPECT_EQ(codes, std::vector<ErrorCode>(4, ErrorCode::kCancelled));
        EXPECT_TRUE(files.powered_off());
        EXPECT_EQ(files.count_operations(), 4U);
        files.crash(CrashKind::kPowerCut, random_);
        std::vector<std::byte> back(1);
        EXPECT_EQ(code_of(run_task(executor_, file->read(0, back))), ErrorCode::kCancelled);
        EXPECT_EQ(code_of(run_task(executor_, files.remove("d/f"))), ErrorCode::kCancelled);
        EXPECT_FALSE(run_task(executor_, files.list("d")).has_value());
    }
    EXPECT_THAT(disk_.files(), ElementsAre("d/f"));
    EXPECT_LE(disk_.contents("d/f")->size(), 1024U) << "the last two writes never began";
}

TEST_F(SimFileSystemTest, CrashInFlightMayKeepOrLoseTheWrite) {
    std::set<size_t> sizes;
    for (int round = 0; round < 40; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/f", {});
        {
            SimFileSystem files(disk, executor_);
            auto opened = run_task(executor_, files.open("d/f", OpenMode::kReadWrite));
            const auto bytes = filled(512, 3);
            bool failed = false;
            start((*opened)->write(0, bytes),
                  [&failed](const Status& status) { failed = !status.has_value(); });
            files.crash(CrashKind::kProcessKill, random_);
            executor_.run_until_idle();
            EXPECT_TRUE(failed);
        }
        sizes.insert(disk.contents("d/f")->size());
    }
    EXPECT_THAT(sizes, ElementsAre(0, 512));
}

TEST_F(SimFileSystemTest, SyncUnderWayAtTheCutSavesNothingForSure) {
    std::set<size_t> sizes;
    for (int round = 0; round < 40; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/f", {});
        SimFileSystem files(disk, executor_);
        auto opened = run_task(executor_, files.open("d/f", OpenMode::kReadWrite));
        const auto bytes = filled(512, 3);
        files.crash_at_operation(2);
        EXPECT_FALSE(run_task(executor_, (*opened)->write_synced(0, bytes, kSite)).has_value());
        files.crash(CrashKind::kPowerCut, random_);
        sizes.insert(disk.contents("d/f")->size());
    }
    EXPECT_THAT(sizes, ElementsAre(0, 512));
}

TEST_F(SimFileSystemTest, AfterCrashLeavesTheRunningLifeAlone) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    const auto bytes = filled(512, 3);
    ASSERT_TRUE(run_task(executor_, file->write(0, bytes)).has_value());
    std::set<size_t> counts;
    for (int round = 0; round < 40; ++round) {
        const SimDisk left = files.after_crash(CrashKind::kPowerCut, random_);
        counts.insert(left.files().size());
    }
    EXPECT_THAT(counts, ElementsAre(0, 1));
    EXPECT_FALSE(files.powered_off());
    EXPECT_EQ(disk_.contents("d/f"), bytes);
    EXPECT_TRUE(run_task(executor_, file->sync(kSite)).has_value());
}

TEST_F(SimFileSystemTest, OrderedFailureHitsOneOperationAndTearsTheWrite) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    files.fail_operation(2, Error(ErrorCode::kIoError, "Input/output error"));
    const auto bytes = filled(2048, 3);
    const Status failed = run_task(executor_, file->write(0, bytes));
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code(), ErrorCode::kIoError);
    EXPECT_THAT(failed.error().message(), HasSubstr("write d/f"));
    EXPECT_EQ(file->size(), 1024U);
    EXPECT_TRUE(run_task(executor_, file->write(0, bytes)).has_value());
    EXPECT_EQ(file->size(), 2048U);
}

TEST_F(SimFileSystemTest, FailedSyncSavesNothingAndLaterOnesLie) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
    files.fail_operation(4, Error(ErrorCode::kIoError, "Input/output error"));
    const auto bytes = filled(512, 3);
    EXPECT_FALSE(run_task(executor_, file->write_synced(0, bytes, kSite)).has_value());
    EXPECT_TRUE(run_task(executor_, file->sync(kSite)).has_value());
    EXPECT_EQ(disk_.durable_contents("d/f"), filled(0, 0));
}

TEST_F(SimFileSystemTest, FailedSyncOfADirectoryFailsFromThenOn) {
    SimFileSystem files(disk_, executor_);
    auto file = create(files, "d/f");
    files.fail_operation(2, Error(ErrorCode::kIoError, "Input/output error"));
    EXPECT_FALSE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
    const Status again = run_task(executor_, files.sync_directory("d", kSite));
    ASSERT_FALSE(again.has_value());
    EXPECT_THAT(again.error().message(), HasSubstr("sync directory d"));
    EXPECT_TRUE(disk_.durable_files().empty());
}

TEST_F(SimFileSystemTest, FullDiskRefusesGrowthButNotRewrites) {
    SimFileSystem files(disk_, executor_);
    disk_.set_capacity(4096);
    auto file = create(files, "d/f");
    ASSERT_TRUE(run_task(executor_, file->allocate(4096)).has_value());
    EXPECT_EQ(file->size(), 4096U);
    const auto bytes = filled(4096, 3);
    EXPECT_TRUE(run_task(executor_, file->write(0, bytes)).has_value());
    EXPECT_EQ(code_of(run_task(executor_, file->write(1, bytes))), ErrorCode::kResourceExhausted);
    EXPECT_EQ(code_of(run_task(executor_, file->allocate(8192))), ErrorCode::kResourceExhausted);
    EXPECT_EQ(disk_.used_bytes(), 4096U);
    ASSERT_TRUE(run_task(executor_, files.remove("d/f")).has_value());
    auto other = create(files, "d/g");
    EXPECT_TRUE(run_task(executor_, other->write(0, bytes)).has_value());
}

TEST_F(SimFileSystemTest, LockIsExclusiveAndReleasedByTheCrash) {
    auto first = std::make_unique<SimFileSystem>(disk_, executor_);
    SimFileSystem second(disk_, executor_);
    auto held = run_task(executor_, first->lock("d/LOCK"));
    ASSERT_TRUE(held.has_value());
    auto refused = run_task(executor_, second.lock("d/LOCK"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(refused.error().message(), HasSubstr("d/LOCK"));
    first->crash(CrashKind::kProcessKill, random_);
    auto taken = run_task(executor_, second.lock("d/LOCK"));
    ASSERT_TRUE(taken.has_value());
    held->reset();
    EXPECT_FALSE(run_task(executor_, second.lock("d/LOCK")).has_value())
        << "a lock of the dead life must not release that of the living one";
}

TEST_F(SimFileSystemTest, RenameAcrossDirectoriesIsRefused) {
    disk_.put_file("e/f", {});
    SimFileSystem files(disk_, executor_);
    EXPECT_EQ(code_of(run_task(executor_, files.rename("e/f", "d/f"))),
              ErrorCode::kInvalidArgument);
}

TEST_F(SimFileSystemTest, NewLifeOverTheSameDiskReadsWhatTheOldOneSynced) {
    const auto bytes = filled(5000, 9);
    {
        SimFileSystem files(disk_, executor_);
        auto file = create(files, "d/f");
        ASSERT_TRUE(run_task(executor_, file->write_synced(0, bytes, kSite)).has_value());
        ASSERT_TRUE(run_task(executor_, files.sync_directory("d", kSite)).has_value());
        files.crash(CrashKind::kPowerCut, random_);
    }
    SimFileSystem files(disk_, executor_);
    auto opened = run_task(executor_, files.open("d/f", OpenMode::kRead));
    ASSERT_TRUE(opened.has_value());
    std::vector<std::byte> back((*opened)->size());
    ASSERT_TRUE(run_task(executor_, (*opened)->read(0, back)).has_value());
    EXPECT_EQ(back, bytes);
}

TEST(SimExecutor, RunsPostedWorkInOrderWhateverTheSeed) {
    SimExecutor executor(11);
    std::vector<int> order;
    for (int i = 0; i < 20; ++i) {
        executor.post([&order, i] { order.push_back(i); });
        executor.post_completion([] {});
    }
    executor.run_until_idle();
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_EQ(order.size(), 20U);
}

TEST(SimExecutor, WithoutASeedEverythingRunsAsItCame) {
    SimExecutor executor;
    std::vector<int> order;
    executor.post_completion([&order] { order.push_back(0); });
    executor.post([&order] { order.push_back(1); });
    executor.post_completion([&order] { order.push_back(2); });
    executor.run_until_idle();
    EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

TEST(SimClock, MovesWithEveryReadingAndCanBeSet) {
    SimClock clock(100);
    const int64_t first = clock.now_us();
    EXPECT_GT(clock.now_us(), first);
    clock.set(50);
    EXPECT_LT(clock.now_us(), first);
}

TEST(SimRandom, RepeatsForASeed) {
    SimRandom random(0);
    EXPECT_EQ(random.next(), 0xE220A8397B1DCDAFULL) << "splitmix64's first output for seed 0";
}

}  // namespace stepdb::sim_file_system_test
