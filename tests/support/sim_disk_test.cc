#include "tests/support/sim_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace stepdb::sim_disk_test {

using testing::ElementsAre;
using testing::IsEmpty;

SimWrite write_of(uint64_t file, uint64_t offset, std::vector<std::byte> bytes) {
    SimWrite write;
    write.file = file;
    write.offset = offset;
    write.bytes = std::move(bytes);
    return write;
}

SimNameChange create_of(uint64_t file, std::string name) {
    SimNameChange change;
    change.kind = SimNameChange::Kind::kCreate;
    change.directory = "d";
    change.name = std::move(name);
    change.file = file;
    return change;
}

SimNameChange rename_of(uint64_t file, std::string name, std::string new_name) {
    SimNameChange change = create_of(file, std::move(name));
    change.kind = SimNameChange::Kind::kRename;
    change.new_name = std::move(new_name);
    return change;
}

SimNameChange remove_of(uint64_t file, std::string name) {
    SimNameChange change = create_of(file, std::move(name));
    change.kind = SimNameChange::Kind::kRemove;
    return change;
}

std::vector<std::byte> filled(size_t bytes, int value) {
    return std::vector<std::byte>(bytes, static_cast<std::byte>(value));
}

TEST(SimDisk, SyncOfAFileCoversWhatEndedBeforeItBegan) {
    SimDisk disk({"d"});
    disk.put_file("d/f", {});
    const uint64_t file = disk.find("d/f").value();
    disk.apply(write_of(file, 0, filled(512, 1)));
    const uint64_t covered = disk.sequence();
    disk.apply(write_of(file, 512, filled(512, 2)));
    disk.sync_file(file, covered);
    EXPECT_EQ(disk.durable_contents("d/f"), filled(512, 1));
    EXPECT_EQ(disk.contents("d/f")->size(), 1024U);
}

TEST(SimDisk, OverlappingWritesBecomeDurableInOrder) {
    SimDisk disk({"d"});
    disk.put_file("d/f", {});
    const uint64_t file = disk.find("d/f").value();
    disk.apply(write_of(file, 0, filled(512, 1)));
    disk.apply(write_of(file, 0, filled(512, 2)));
    disk.sync_file(file, disk.sequence());
    EXPECT_EQ(disk.durable_contents("d/f"), filled(512, 2));
}

// What power cuts left of one unsynced 2 KiB write over 1 KiB of durable ones: every sector is old
// or new (zero in the grown part), and all the outcomes that the header promises do occur.
TEST(SimDisk, PowerCutKeepsDropsTearsAndGrowsUnsyncedWrites) {
    SimRandom random(test_seed(1));
    std::set<std::string> outcomes;
    for (int round = 0; round < 400; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/f", filled(1024, 1));
        disk.apply(write_of(disk.find("d/f").value(), 0, filled(2048, 2)));
        disk.crash(CrashKind::kPowerCut, {}, {}, random);
        const std::vector<std::byte> left = disk.contents("d/f").value();
        ASSERT_EQ(left.size() % 512, 0U);
        std::string outcome;
        for (size_t at = 0; at < left.size(); at += 512) {
            for (size_t i = 1; i < 512; ++i) {
                ASSERT_EQ(left[at], left[at + i]) << "a sector is torn";
            }
            outcome += static_cast<char>('0' + static_cast<int>(left[at]));
        }
        outcomes.insert(outcome);
        EXPECT_EQ(disk.contents("d/f"), disk.durable_contents("d/f"));
    }
    EXPECT_TRUE(outcomes.contains("2222")) << "kept";
    EXPECT_TRUE(outcomes.contains("11")) << "dropped";
    EXPECT_TRUE(outcomes.contains("1100")) << "size without data";
    EXPECT_TRUE(outcomes.contains("1202")) << "torn, out of order";
    EXPECT_TRUE(outcomes.contains("12")) << "torn, short";
    for (const std::string& outcome : outcomes) {
        EXPECT_EQ(outcome.substr(0, 2).find('0'), std::string::npos) << outcome;
        EXPECT_EQ(outcome.substr(2).find('1'), std::string::npos) << outcome;
    }
}

TEST(SimDisk, ProcessKillKeepsWhatEndedAndALaterPowerCutMayTakeIt) {
    SimRandom random(test_seed(2));
    int lost = 0;
    for (int round = 0; round < 50; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/f", {});
        disk.apply(write_of(disk.find("d/f").value(), 0, filled(512, 1)));
        disk.crash(CrashKind::kProcessKill, {}, {}, random);
        ASSERT_EQ(disk.contents("d/f"), filled(512, 1));
        disk.crash(CrashKind::kPowerCut, {}, {}, random);
        lost += disk.contents("d/f") == filled(512, 1) ? 0 : 1;
    }
    EXPECT_GT(lost, 0);
    EXPECT_LT(lost, 50);
}

TEST(SimDisk, ProcessKillSyncedAfterwardsIsSafe) {
    SimRandom random(test_seed(3));
    SimDisk disk({"d"});
    disk.put_file("d/f", {});
    const uint64_t file = disk.find("d/f").value();
    disk.apply(write_of(file, 0, filled(512, 1)));
    disk.crash(CrashKind::kProcessKill, {}, {}, random);
    disk.sync_file(file, disk.sequence());
    disk.crash(CrashKind::kPowerCut, {}, {}, random);
    EXPECT_EQ(disk.contents("d/f"), filled(512, 1));
}

TEST(SimDisk, InFlightWritesAndNamesAreAtRiskInBothKinds) {
    SimRandom random(test_seed(4));
    for (const CrashKind kind : {CrashKind::kPowerCut, CrashKind::kProcessKill}) {
        std::set<size_t> sizes;
        std::set<size_t> counts;
        for (int round = 0; round < 60; ++round) {
            SimDisk disk({"d"});
            disk.put_file("d/f", {});
            const uint64_t file = disk.find("d/f").value();
            disk.crash(kind, {write_of(file, 0, filled(1024, 1))},
                       {create_of(disk.new_file(), "new")}, random);
            sizes.insert(disk.contents("d/f")->size());
            counts.insert(disk.files().size());
        }
        EXPECT_THAT(sizes, ElementsAre(0, 512, 1024));
        EXPECT_THAT(counts, ElementsAre(1, 2));
    }
}

TEST(SimDisk, SyncOfAFileDoesNotSaveItsName) {
    SimRandom random(test_seed(5));
    int lost = 0;
    for (int round = 0; round < 40; ++round) {
        SimDisk disk({"d"});
        const uint64_t file = disk.new_file();
        disk.apply(create_of(file, "f"));
        disk.apply(write_of(file, 0, filled(512, 1)));
        disk.sync_file(file, disk.sequence());
        EXPECT_THAT(disk.durable_files(), IsEmpty());
        disk.crash(CrashKind::kPowerCut, {}, {}, random);
        if (disk.files().empty()) {
            ++lost;
        } else {
            EXPECT_EQ(disk.contents("d/f"), filled(512, 1));
        }
    }
    EXPECT_GT(lost, 0);
    EXPECT_LT(lost, 40);
}

// CURRENT is replaced by a rename: before the sync of the directory either file may be found, or
// the new one under its old name, but CURRENT never is missing or a mixture.
TEST(SimDisk, UnsyncedRenameShowsTheOldOrTheNewFile) {
    SimRandom random(test_seed(6));
    std::set<std::string> outcomes;
    for (int round = 0; round < 100; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/CURRENT", filled(8, 1));
        const uint64_t file = disk.new_file();
        disk.apply(create_of(file, "new"));
        disk.apply(write_of(file, 0, filled(8, 2)));
        disk.sync_file(file, disk.sequence());
        disk.apply(rename_of(file, "new", "CURRENT"));
        ASSERT_EQ(disk.contents("d/CURRENT"), filled(8, 2));
        disk.crash(CrashKind::kPowerCut, {}, {}, random);
        const auto current = disk.contents("d/CURRENT");
        ASSERT_TRUE(current == filled(8, 1) || current == filled(8, 2));
        const bool tells_new = current == filled(8, 2);
        outcomes.insert(fmt::format("{} {}", tells_new ? "new" : "old", disk.files().size()));
    }
    EXPECT_THAT(outcomes, ElementsAre("new 1", "old 1", "old 2"));
}

TEST(SimDisk, SyncOfTheDirectorySavesCreationsRenamesAndRemovals) {
    SimRandom random(test_seed(7));
    SimDisk disk({"d"});
    disk.put_file("d/old", {});
    const uint64_t old_file = disk.find("d/old").value();
    const uint64_t file = disk.new_file();
    disk.apply(create_of(file, "a"));
    disk.apply(rename_of(file, "a", "b"));
    disk.apply(remove_of(old_file, "old"));
    const uint64_t covered = disk.sequence();
    disk.apply(create_of(disk.new_file(), "late"));
    disk.sync_directory("d", covered);
    EXPECT_THAT(disk.durable_files(), ElementsAre("d/b"));
    disk.crash(CrashKind::kPowerCut, {}, {}, random);
    EXPECT_EQ(disk.contents("d/b"), filled(0, 0));
    EXPECT_FALSE(disk.contents("d/old").has_value());
}

TEST(SimDisk, UnsyncedRemovalMayBringTheFileBackWithItsContents) {
    SimRandom random(test_seed(8));
    std::set<size_t> counts;
    for (int round = 0; round < 40; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/f", filled(10, 7));
        disk.apply(remove_of(disk.find("d/f").value(), "f"));
        EXPECT_THAT(disk.files(), IsEmpty());
        disk.crash(CrashKind::kPowerCut, {}, {}, random);
        counts.insert(disk.files().size());
        if (!disk.files().empty()) {
            EXPECT_EQ(disk.contents("d/f"), filled(10, 7));
        }
    }
    EXPECT_THAT(counts, ElementsAre(0, 1));
}

TEST(SimDisk, FlippedByteIsSeenNowAndAfterAPowerCut) {
    SimRandom random(test_seed(9));
    SimDisk disk({"d"});
    disk.put_file("d/f", filled(4, 1));
    EXPECT_TRUE(disk.flip_byte("d/f", 2, std::byte{0x10}));
    EXPECT_FALSE(disk.flip_byte("d/f", 4));
    EXPECT_FALSE(disk.flip_byte("d/g", 0));
    EXPECT_EQ(disk.contents("d/f")->at(2), std::byte{0x11});
    disk.crash(CrashKind::kPowerCut, {}, {}, random);
    EXPECT_EQ(disk.contents("d/f")->at(2), std::byte{0x11});
}

TEST(SimDisk, ListsFilesAndDirectoriesOfADirectory) {
    SimDisk disk({"d", "d/sub", "d/sub/deep"});
    disk.put_file("d/z", {});
    disk.put_file("d/a", {});
    EXPECT_THAT(disk.names("d"), ElementsAre("a", "sub", "z"));
    EXPECT_THAT(disk.names("d/sub"), ElementsAre("deep"));
}

// Random writes and syncs on one file of 16 sectors. For each sector the test knows the values that
// it may have after a power cut: the one of the last sync that covered it, and each later one.
TEST(SimDisk, RandomWritesSyncsAndCutsStayWithinWhatIsPossible) {
    SimRandom random(test_seed(10));
    constexpr size_t kSectors = 16;
    for (int round = 0; round < 300; ++round) {
        SimDisk disk({"d"});
        disk.put_file("d/f", filled(kSectors * 512, 0));
        const uint64_t file = disk.find("d/f").value();
        std::vector<std::set<int>> possible(kSectors, std::set<int>{0});
        std::vector<int> newest(kSectors, 0);
        for (int step = 1; step < 40; ++step) {
            if (random.below(5) == 0) {
                disk.sync_file(file, disk.sequence());
                for (size_t i = 0; i < kSectors; ++i) {
                    possible[i] = {newest[i]};
                }
                continue;
            }
            const size_t first = random.below(kSectors);
            const size_t count = 1 + random.below(kSectors - first);
            disk.apply(write_of(file, first * 512, filled(count * 512, step)));
            for (size_t i = first; i < first + count; ++i) {
                possible[i].insert(step);
                newest[i] = step;
            }
        }
        disk.crash(CrashKind::kPowerCut, {}, {}, random);
        const std::vector<std::byte> left = disk.contents("d/f").value();
        ASSERT_EQ(left.size(), kSectors * 512);
        for (size_t i = 0; i < kSectors; ++i) {
            ASSERT_TRUE(possible[i].contains(static_cast<int>(left[i * 512]))) << "sector " << i;
        }
    }
}

}  // namespace stepdb::sim_disk_test
