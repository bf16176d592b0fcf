#include "engine/manifest/manifest.h"

#include <gtest/gtest.h>

#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"

namespace stepdb::manifest_test {

class ManifestTest : public ::testing::Test {
  protected:
    ManifestTest() : disk_({"d"}), files_(std::make_unique<SimFileSystem>(disk_, executor_)) {}

    Result<std::optional<LoadedManifest>> load() {
        return run_task(executor_, load_manifest(*files_, "d"));
    }

    SimDisk disk_;
    SimExecutor executor_;
    std::unique_ptr<SimFileSystem> files_;
    Id128 store_ = sha256_128(as_bytes("store"));
};

ManifestState sample_state() {
    ManifestState state;
    state.epoch = 3;
    state.checkpoint_sequence = 100;
    state.log_sequence = 90;
    state.catalog_file = 5;
    state.logs = {{4, 2}, {6, 3}};
    state.segments = {{2, 8192}};
    return state;
}

TEST_F(ManifestTest, NoCurrentMeansNoStore) {
    const auto loaded = load();
    ASSERT_TRUE(loaded.has_value());
    EXPECT_FALSE(loaded->has_value());
}

TEST_F(ManifestTest, StateAndEditsComeBack) {
    Manifest manifest(*files_, "d", store_, 1 << 20);
    manifest.skip_file_ids(7);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    ManifestEdit edit;
    edit.add_segments[9] = 4096;
    edit.remove_logs = {4};
    edit.checkpoint_sequence = 200;
    ASSERT_TRUE(run_task(executor_, manifest.append(edit)));

    const auto loaded = load();
    ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
    const ManifestState& state = (*loaded)->state;
    EXPECT_EQ((*loaded)->store, store_);
    EXPECT_EQ(state.epoch, 3U);
    EXPECT_EQ(state.checkpoint_sequence, 200U);
    EXPECT_EQ(state.log_sequence, 90U);
    EXPECT_EQ(state.catalog_file, 5U);
    EXPECT_EQ(state.logs, (std::map<uint64_t, uint64_t>{{6, 3}}));
    EXPECT_EQ(state.segments, (std::map<uint64_t, uint64_t>{{2, 8192}, {9, 4096}}));
    EXPECT_EQ(state.next_file_id, 8U);
}

TEST_F(ManifestTest, GrownTooLongItBeginsAnother) {
    Manifest manifest(*files_, "d", store_, kFileHeaderBytes + 300);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    const uint64_t first = manifest.file_id();
    for (uint64_t i = 0; i < 20; ++i) {
        ManifestEdit edit;
        edit.add_segments[100 + i] = i;
        ASSERT_TRUE(run_task(executor_, manifest.append(edit)));
    }
    EXPECT_GT(manifest.file_id(), first + 1);
    EXPECT_EQ((*load())->state.segments.size(), 21U);
    EXPECT_EQ(disk_.files().size(), 2U) << "CURRENT and one manifest";
}

TEST_F(ManifestTest, ATornLastEditIsLeftOutADamagedEarlierOneIsCorruption) {
    Manifest manifest(*files_, "d", store_, 1 << 20);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    const std::string path = "d/" + manifest_file_name(manifest.file_id());
    // A header of 32 bytes and 17 a change; what follows the last edit is zeros.
    constexpr size_t kEditBytes = 32 + 17;
    const size_t changes = 5 + sample_state().logs.size() + sample_state().segments.size();
    const size_t base = kFileHeaderBytes + 32 + 17 * changes;
    for (uint64_t i = 0; i < 3; ++i) {
        ManifestEdit edit;
        edit.checkpoint_sequence = 300 + i;
        ASSERT_TRUE(run_task(executor_, manifest.append(edit)));
    }
    disk_.flip_byte(path, base + 2 * kEditBytes + 9);
    EXPECT_EQ((*load())->state.checkpoint_sequence, 301U);
    disk_.flip_byte(path, base + 2 * kEditBytes + 9);
    disk_.flip_byte(path, base + kEditBytes + 9);
    const auto damaged = load();
    ASSERT_FALSE(damaged.has_value());
    EXPECT_EQ(damaged.error().code(), ErrorCode::kCorruption);
    EXPECT_NE(damaged.error().message().find(path), std::string::npos) << damaged.error().message();
}

TEST_F(ManifestTest, AnEditWithoutRoomChangesNothingAndOneWithItFollows) {
    Manifest manifest(*files_, "d", store_, 1 << 20);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    disk_.set_capacity(disk_.used_bytes());
    uint64_t edits = 0;
    Status status;
    while (status) {
        ManifestEdit edit;
        for (uint64_t i = 0; i < 100; ++i) {
            edit.add_segments[1000 + 100 * edits + i] = 1;
        }
        status = run_task(executor_, manifest.append(edit));
        edits += status ? 1U : 0U;
    }
    EXPECT_EQ(status.error().code(), ErrorCode::kResourceExhausted);
    EXPECT_GT(edits, 10U) << "room was taken ahead";
    EXPECT_EQ((*load())->state.segments.size(), 1 + 100 * edits);
    disk_.set_capacity(64U << 20U);
    ManifestEdit edit;
    edit.checkpoint_sequence = 12345;
    ASSERT_TRUE(run_task(executor_, manifest.append(edit)));
    EXPECT_EQ((*load())->state.checkpoint_sequence, 12345U);
    EXPECT_EQ((*load())->state.segments.size(), 1 + 100 * edits);
}

// Neither that CURRENT names the new file nor that it does not: what comes after must not build on
// either.
TEST_F(ManifestTest, AfterAFailureWhoseOutcomeIsNotKnownNothingIsAppended) {
    ManifestEdit edit;
    edit.add_segments[9] = 4096;
    constexpr uint64_t kOperations = 11;  // of an edit that begins another file, as each one does
    for (uint64_t failing = 1; failing <= kOperations; ++failing) {
        files_ = std::make_unique<SimFileSystem>(disk_, executor_);
        Manifest broken(*files_, "d", store_, 1);
        broken.skip_file_ids(100 * (failing + 1));
        ASSERT_TRUE(run_task(executor_, broken.begin(sample_state())));
        files_->fail_operation(files_->count_operations() + failing,
                               make_error(ErrorCode::kIoError, "Input/output error"));
        const Status failed = run_task(executor_, broken.append(edit));
        if (failing == kOperations) {
            EXPECT_TRUE(failed) << "only what nothing names any more could not be removed";
            continue;
        }
        ASSERT_FALSE(failed) << "operation " << failing;
        EXPECT_EQ(failed.error().code(), ErrorCode::kIoError);
        ManifestEdit later;
        later.add_segments[10] = 4096;
        const Status refused = run_task(executor_, broken.append(later));
        ASSERT_FALSE(refused) << "operation " << failing;
        EXPECT_EQ(refused.error().message(), failed.error().message());
        const auto loaded = load();
        ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
        EXPECT_FALSE((*loaded)->state.segments.contains(10));
    }
}

TEST_F(ManifestTest, WithoutRoomForAnotherFileTheOldOneGoesOn) {
    Manifest manifest(*files_, "d", store_, kFileHeaderBytes + 300);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    disk_.set_capacity(disk_.used_bytes());
    for (uint64_t i = 0; i < 20; ++i) {
        ManifestEdit edit;
        edit.add_segments[100 + i] = i;
        ASSERT_TRUE(run_task(executor_, manifest.append(edit)));
    }
    EXPECT_EQ((*load())->state.segments.size(), 21U);
}

TEST_F(ManifestTest, WithoutRoomForCurrentTheOldOneGoesOn) {
    Manifest manifest(*files_, "d", store_, 1);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    const std::string path = "d/" + manifest_file_name(manifest.file_id());
    const uint64_t taken = disk_.contents(path)->size();
    // The new file fits, and of CURRENT a part.
    disk_.set_capacity(disk_.used_bytes() + taken + 3);
    for (uint64_t i = 0; i < 5; ++i) {
        ManifestEdit edit;
        edit.add_segments[100 + i] = i;
        const Status appended = run_task(executor_, manifest.append(edit));
        ASSERT_TRUE(appended) << appended.error().to_string();
    }
    EXPECT_EQ(disk_.files().size(), 3U) << "CURRENT, CURRENT.new and the manifest";
    EXPECT_EQ((*load())->state.segments.size(), 6U);
    disk_.set_capacity(64U << 20U);
    ManifestEdit edit;
    edit.add_segments[200] = 1;
    ASSERT_TRUE(run_task(executor_, manifest.append(edit)));
    EXPECT_NE(disk_.contents(path), disk_.contents("d/" + manifest_file_name(manifest.file_id())));
    EXPECT_EQ((*load())->state.segments.size(), 7U);
}

TEST_F(ManifestTest, RunsOfSegmentsAndTheEndOfTheLogComeBack) {
    Manifest manifest(*files_, "d", store_, 1 << 20);
    ASSERT_TRUE(run_task(executor_, manifest.begin(sample_state())));
    ManifestEdit edit;
    edit.add_segments = {{20, 4096}, {21, 8192}};
    edit.segment_runs[20] = {{1, 5}, {9, 9}};
    edit.segment_runs[21] = {{7, 7}};
    edit.durable_sequence = 500;
    edit.closed = true;
    ASSERT_TRUE(run_task(executor_, manifest.append(edit)));
    ManifestState state = (*load())->state;
    EXPECT_EQ(state.segment_runs.at(20), (RunRanges{{1, 5}, {9, 9}}));
    EXPECT_EQ(state.durable_sequence, 500U);
    EXPECT_TRUE(state.closed);
    ManifestEdit later;
    later.remove_segments = {20};
    ASSERT_TRUE(run_task(executor_, manifest.append(later)));
    state = (*load())->state;
    EXPECT_FALSE(state.segment_runs.contains(20));
    EXPECT_EQ(state.segment_runs.at(21), (RunRanges{{7, 7}}));
    EXPECT_FALSE(state.closed) << "something came after it";
    // All of it is in the first edit of the next file, too.
    ASSERT_TRUE(run_task(executor_, manifest.begin(state)));
    EXPECT_EQ((*load())->state.segment_runs.at(21), (RunRanges{{7, 7}}));
}

TEST(RunRanges, CoverTheirIdsInFewRanges) {
    EXPECT_EQ(make_run_ranges({1, 2, 3, 3, 7, 9, 10}), (RunRanges{{1, 3}, {7, 7}, {9, 10}}));
    EXPECT_EQ(make_run_ranges({1, 2, 50, 52, 100}, 3), (RunRanges{{1, 2}, {50, 52}, {100, 100}}));
    EXPECT_EQ(make_run_ranges({}), RunRanges());
}

TEST_F(ManifestTest, CurrentMustNameAManifest) {
    disk_.put_file("d/CURRENT", as_bytes("nonsense\n"));
    EXPECT_EQ(load().error().code(), ErrorCode::kCorruption);
    disk_.put_file("d/CURRENT", as_bytes("manifest-000004\n"));
    EXPECT_EQ(load().error().code(), ErrorCode::kCorruption);
    disk_.put_file("d/CURRENT", {});
    EXPECT_EQ(load().error().code(), ErrorCode::kCorruption);
}

}  // namespace stepdb::manifest_test
