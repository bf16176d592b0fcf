#include "engine/snapshot_mark.h"

#include <gtest/gtest.h>

#include "tests/support/sim_store.h"

namespace stepdb::snapshot_mark_test {

// A store with runs p/parent, p/fork (of it, at step 5) and p/other.
class SnapshotMarkTest : public ::testing::Test {
  protected:
    SnapshotMarkTest() : store_(disk_, 1, SimStore::small_options()) {
        EXPECT_TRUE(store_.open().has_value());
        writer_.connect(store_);
        log("p/parent", 1);
        writer_.fork_run("p/fork", "p/parent", 5);
        store_.run();
        log("p/other", 1);
    }

    void log(const std::string& run, double step) {
        ModelChange change;
        change.run = run;
        change.schema = schema_;
        change.rows.push_back({step, 1'000, {0.5}});
        writer_.send(change);
        store_.run();
    }
    std::shared_ptr<const Snapshot> snapshot(const std::string& name) {
        for (const auto& run : store_.engine().catalog()->runs()) {
            if (run->path() == name) {
                const uint64_t id = run->id;
                return store_.engine().snapshot(std::span(&id, 1));
            }
        }
        return nullptr;
    }
    SnapshotMark mark(const std::string& run) {
        return {*snapshot(run), store_.engine().sequence()};
    }

    SimDisk disk_;
    SimStore store_;
    TestWriter writer_{sha256_128(as_bytes("writer"))};
    std::shared_ptr<const Schema> schema_ =
        std::make_shared<const Schema>(*Schema::create(Axis::kStepped, {"m"}));
};

TEST_F(SnapshotMarkTest, RowsOfOtherRunsShowNothingElse) {
    const SnapshotMark before = mark("p/parent");
    log("p/other", 2);
    EXPECT_TRUE(before.shows_the_same(*snapshot("p/parent")));
    ASSERT_TRUE(store_.flush().has_value());
    EXPECT_TRUE(before.shows_the_same(*snapshot("p/parent"))) << "only moved to a segment";
    log("p/parent", 1);
    EXPECT_FALSE(before.shows_the_same(*snapshot("p/parent"))) << "a replaced point";
}

TEST_F(SnapshotMarkTest, RowsOfAParentShowInItsFork) {
    const SnapshotMark before = mark("p/fork");
    log("p/parent", 2);
    EXPECT_FALSE(before.shows_the_same(*snapshot("p/fork")));
}

TEST_F(SnapshotMarkTest, OtherRunsOrNoneAreNotTheSame) {
    EXPECT_FALSE(mark("p/parent").shows_the_same(*snapshot("p/other")));
    EXPECT_FALSE(SnapshotMark().shows_the_same(*snapshot("p/other")));
    EXPECT_FALSE(SnapshotMark().shows_the_same(*store_.engine().snapshot({})));
}

}  // namespace stepdb::snapshot_mark_test
