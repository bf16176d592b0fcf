// A disk that is full, and the room that is kept on it for deletes.
#include "engine/disk_reserve.h"

#include <algorithm>

#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::full_disk_test {

constexpr uint64_t kRoomy = 1U << 30U;

EngineOptions options_with_reserve() {
    EngineOptions options = SimStore::small_options();
    options.reserve_bytes = 4 * options.log_file_bytes;  // a manifest has to fit too
    return options;
}

class FullDiskTest : public EngineTest {
  protected:
    explicit FullDiskTest(EngineOptions options = options_with_reserve())
        : EngineTest(std::move(options)) {}

    bool has_reserve() const { return !find_file(kReserveName).empty(); }

    void tick() {
        store_.clock().advance(40'000'000);
        store_.engine().tick();
        store_.run();
    }

    // Noise of some hundred KiB, in segments.
    void fill(const std::string& run, int rows) {
        for (int step = 0; step < rows;) {
            ModelChange change;
            change.run = run;
            change.schema = wide_;
            for (const int end = std::min(rows, step + 100); step < end; ++step) {
                ModelRow& row = change.rows.emplace_back();
                row.step = step;
                row.time_us = 1'700'000'000'000'000 + step;
                for (uint32_t column = 0; column < wide_->width(); ++column) {
                    row.values.emplace_back(static_cast<double>(random_.next()) / 3);
                }
            }
            send(change);
            store_.run();
        }
        ASSERT_TRUE(store_.flush());
        store_.run();
    }

    // Until the disk takes no more; everything acknowledged is in the model.
    void write_until_refused() {
        for (int step = 0; writer_.refusals().empty() && step < 4000; ++step) {
            const ModelChange change = one_row("p/small", loss_, step, {0.5 * step});
            writer_.send(change);
            store_.run();
            if (writer_.refusals().empty()) {
                model_.apply(change);
            }
        }
        ASSERT_FALSE(writer_.refusals().empty());
        EXPECT_EQ(writer_.refusals()[0].second.error.code(), ErrorCode::kResourceExhausted)
            << last_refusal();
    }

    // One that does what the command does: it opens the run and deletes it.
    bool delete_run_by_another(const std::string& run) {
        TestWriter deleter(sha256_128(as_bytes("deleter")));
        deleter.connect(store_);
        deleter.send_life(run, encode_delete_run_frame);
        store_.run();
        EXPECT_TRUE(deleter.refusals().empty())
            << deleter.refusals().front().second.error.to_string();
        const bool is_deleted = deleter.acknowledged() == 1 && deleter.refusals().empty();
        if (is_deleted) {
            model_.delete_run(run);
        }
        return is_deleted;
    }

    SimRandom random_{5};
    std::shared_ptr<const Schema> wide_ = stepped({"a", "b", "c", "d", "e", "f", "g", "h"});
};

TEST_F(FullDiskTest, RoomIsKeptOnceTheStoreTakesAsMuch) {
    tick();
    EXPECT_FALSE(has_reserve());
    fill("p/big", 3000);
    tick();
    ASSERT_TRUE(has_reserve());
    EXPECT_EQ(disk_.contents("store/RESERVE")->size(), options_with_reserve().reserve_bytes);
    EXPECT_EQ(store_.verify(), "");
    // It is there for the next life as well, but not if a crash has left the name alone.
    reopen();
    EXPECT_TRUE(has_reserve());
    store_.crash(CrashKind::kProcessKill);
    disk_.put_file("store/RESERVE", {});
    ASSERT_TRUE(store_.open());
    EXPECT_FALSE(has_reserve());
    tick();
    EXPECT_TRUE(has_reserve());
}

TEST_F(FullDiskTest, WithoutRoomForItRowsAreTakenAllTheSame) {
    fill("p/big", 3000);
    disk_.set_capacity(disk_.used_bytes() + (100U << 10U));
    tick();
    EXPECT_FALSE(has_reserve());
    send(one_row("p/small", loss_, 1, {0.5}));
    store_.run();
    EXPECT_TRUE(writer_.refusals().empty()) << last_refusal();
    disk_.set_capacity(kRoomy);
    tick();
    EXPECT_TRUE(has_reserve());
}

TEST_F(FullDiskTest, ADeleteMakesRoomAndWritesGoOn) {
    fill("p/big", 3000);
    tick();
    ASSERT_TRUE(has_reserve());
    // What the log has ahead is used up first.
    disk_.set_capacity(disk_.used_bytes());
    write_until_refused();
    EXPECT_FALSE(store_.engine().read_only_reason());
    const uint64_t used = disk_.used_bytes();
    ASSERT_TRUE(delete_run_by_another("p/big"));
    for (int i = 0; i < 4; ++i) {
        tick();
    }
    EXPECT_LT(disk_.used_bytes(), used - (100U << 10U)) << "the disk is as full as before";
    EXPECT_TRUE(has_reserve());
    const size_t refused = writer_.refusals().size();
    const ModelChange change = one_row("p/small", loss_, 9000, {1.5});
    send(change);
    store_.run();
    EXPECT_EQ(writer_.refusals().size(), refused) << last_refusal();
    expect_model();
    EXPECT_EQ(store_.verify(), "");
}

TEST_F(FullDiskTest, ADeleteIsTakenAfterARestartToo) {
    fill("p/big", 3000);
    tick();
    ASSERT_TRUE(has_reserve());
    disk_.set_capacity(disk_.used_bytes());
    write_until_refused();
    ASSERT_TRUE(has_reserve());
    store_.crash(CrashKind::kProcessKill);
    disk_.set_capacity(disk_.used_bytes());
    ASSERT_TRUE(store_.open());
    ASSERT_TRUE(delete_run_by_another("p/big"));
    for (int i = 0; i < 4; ++i) {
        tick();
    }
    EXPECT_TRUE(has_reserve());
    expect_model();
    writer_.forget_run("p/big");
    writer_.give_up();
    writer_.connect(store_);
    send(one_row("p/again", loss_, 1, {1.5}));
    store_.run();
    EXPECT_EQ(writer_.refusals().size(), 1U) << last_refusal();
    expect_model();
    EXPECT_EQ(store_.verify(), "");
}

TEST_F(FullDiskTest, ARestartLeavesWhatTheManifestNames) {
    // The next log file is there and has no group when the disk fills up.
    for (int step = 0; step < 250; ++step) {
        send(one_row("p/r", wide_, step, {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0}));
        store_.run();
    }
    for (int life = 0; life < 3; ++life) {
        store_.crash(CrashKind::kProcessKill);
        disk_.set_capacity(disk_.used_bytes());
        ASSERT_TRUE(store_.open());
        EXPECT_TRUE(store_.engine().recovery().damage.empty());
        EXPECT_EQ(store_.verify(), "");
        expect_model();
    }
}

// A merge that was asked for and failed says nothing of the disk for ever.
TEST_F(FullDiskTest, OnceThereIsRoomAgainADeleteKeepsNoRowsOut) {
    fill("p/a", 1500);
    fill("p/b", 1500);
    tick();
    ASSERT_TRUE(has_reserve());
    disk_.set_capacity(disk_.used_bytes() + (16U << 10U));
    const Status merged = store_.compact();
    ASSERT_FALSE(merged);
    EXPECT_EQ(merged.error().code(), ErrorCode::kResourceExhausted) << merged.error().message();
    disk_.set_capacity(kRoomy);
    tick();
    TestWriter deleter(sha256_128(as_bytes("deleter")));
    deleter.connect(store_);
    deleter.send_life("p/a", encode_delete_run_frame);
    model_.delete_run("p/a");
    for (int step = 0; step < 20; ++step) {
        send(one_row("p/small", loss_, step, {0.5 * step}));
        store_.executor().run_one();
    }
    store_.run();
    EXPECT_TRUE(deleter.refusals().empty());
    EXPECT_TRUE(writer_.refusals().empty()) << last_refusal();
    EXPECT_TRUE(has_reserve());
}

TEST_F(FullDiskTest, RowsDoNotUseUpWhatADeleteWasGiven) {
    fill("p/big", 3000);
    fill("p/kept", 3000);
    tick();
    ASSERT_TRUE(has_reserve());
    disk_.set_capacity(disk_.used_bytes());
    write_until_refused();
    // Others take what the reserve gives back, and more.
    disk_.set_capacity(1);
    ASSERT_TRUE(delete_run_by_another("p/small"));
    tick();
    EXPECT_FALSE(has_reserve());
    const size_t refused = writer_.refusals().size();
    writer_.send(one_row("p/kept", loss_, 1, {0.5}));
    store_.run();
    ASSERT_GT(writer_.refusals().size(), refused);
    EXPECT_NE(last_refusal().find("kept on it for deletes"), std::string::npos) << last_refusal();
    expect_model();
    // Deletes are taken still, as long as the log has room.
    const uint64_t used = disk_.used_bytes();
    ASSERT_TRUE(delete_run_by_another("p/big"));
    expect_model();
    EXPECT_LT(disk_.used_bytes(), used);
    disk_.set_capacity(kRoomy);
    for (int i = 0; i < 4; ++i) {
        tick();
    }
    EXPECT_TRUE(has_reserve());
    const size_t still_refused = writer_.refusals().size();
    send(one_row("p/kept", loss_, 2, {0.5}));
    store_.run();
    EXPECT_EQ(writer_.refusals().size(), still_refused) << last_refusal();
    expect_model();
}

// One that would bring a schema into the log, which has come to the end of the disk, or will while
// the merge waits for it.
class MergeOnAFullDisk : public FullDiskTest, public ::testing::WithParamInterface<int> {
  protected:
    MergeOnAFullDisk() : FullDiskTest(options_without_merges()) {}

    static EngineOptions options_without_merges() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        return options;
    }
};

TEST_P(MergeOnAFullDisk, DoesNotWaitForItsSchemas) {
    const auto train = stepped({"loss", "epoch"});
    const auto eval = stepped({"epoch", "accuracy"});
    for (int step = 0; step < 32; ++step) {
        send(one_row("p/r", train, step, {0.37 * step, 0.1 * step}));
        send(one_row("p/r", eval, step + 0.5, {0.1 * step, 0.9}));
        if (step % 16 == 15) {
            store_.run();
            ASSERT_TRUE(store_.flush());
        }
    }
    disk_.set_capacity(1);
    // All at once: they are taken before anyone knows that there is no room, and wait for it.
    for (int i = 0; i < GetParam() * 40; ++i) {
        send(one_row("p/r", train, 100 + i, {0.37 * i, 0.1 * i}));
    }
    const Status merged = store_.compact();
    ASSERT_FALSE(merged);
    EXPECT_EQ(merged.error().code(), ErrorCode::kResourceExhausted) << merged.error().to_string();
    disk_.set_capacity(kRoomy);
    tick();
    tick();
    expect_model();
    EXPECT_TRUE(writer_.refusals().empty()) << last_refusal();
    EXPECT_TRUE(store_.compact());
    expect_model();
    EXPECT_EQ(store_.verify(), "");
}

INSTANTIATE_TEST_SUITE_P(FramesBefore, MergeOnAFullDisk, ::testing::Range(0, 30, 3),
                         ::testing::PrintToStringParamName());

}  // namespace stepdb::full_disk_test
