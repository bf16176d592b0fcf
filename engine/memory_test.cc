// The bounds of what the engine keeps in memory.
#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "engine/engine.h"
#include "tests/support/engine_fixture.h"

namespace stepdb {
namespace {

// A store that may hold little: rows are to flush at half of what it may have.
class BoundedEngineTest : public ::testing::Test {
  protected:
    static constexpr size_t kRowsMax = 256U << 10U;

    static EngineOptions bounded() {
        EngineOptions options = SimStore::small_options();
        options.memory_blocks_bytes_max = kRowsMax / 2;
        options.rows_bytes_max = kRowsMax;
        options.resident_bytes_max = 64U << 10U;
        options.log_live_bytes_max = 16U << 20U;
        return options;
    }
    BoundedEngineTest() : store_(disk_, 1, bounded()) {
        EXPECT_TRUE(store_.open().has_value());
        writer_.connect(store_);
        for (int metric = 0; metric < 100; ++metric) {
            metrics_.push_back(fmt::format("m{}", metric));
        }
        schema_ = stepped(metrics_);
    }

    // Values that no codec makes smaller.
    void send_row(double step) {
        std::vector<std::optional<double>> values;
        for (size_t i = 0; i < metrics_.size(); ++i) {
            values.emplace_back(std::bit_cast<double>(random_() >> 2U));
        }
        writer_.send(one_row("p/r", schema_, step, values));
    }

    SimDisk disk_;
    SimStore store_;
    TestWriter writer_{sha256_128(as_bytes("writer"))};
    std::vector<std::string> metrics_;
    std::shared_ptr<const Schema> schema_;
    std::mt19937_64 random_{7};
};

TEST_F(BoundedEngineTest, RowsStayWithinTheirBoundWhenFramesAreKeptBackAsAsked) {
    double step = 0;
    size_t peak = 0;
    int waits = 0;
    while (step < 2'000) {
        bool is_called = false;
        while (store_.engine().has_room() && step < 2'000) {
            send_row(step++);
        }
        store_.engine().when_room([&] { is_called = true; });
        peak = std::max(peak, store_.engine().memory().rows->used());
        store_.run();
        store_.engine().tick();
        store_.run();
        EXPECT_TRUE(is_called);
        ++waits;
    }
    EXPECT_GT(waits, 5);
    EXPECT_LE(peak, kRowsMax + (8U << 10U));
    EXPECT_GE(store_.engine().stats().flushes, 5U);
    EXPECT_EQ(writer_.acknowledged(), 2'000U);
}

TEST_F(BoundedEngineTest, WhatOnlySnapshotsHoldCountsAsPinned) {
    for (int step = 0; step < 100; ++step) {
        send_row(step);
    }
    store_.run();
    const auto catalog = store_.engine().catalog();
    const uint64_t run = catalog->find_run("p", "r")->id;
    auto snapshot = store_.engine().snapshot(std::span(&run, 1));
    EXPECT_EQ(store_.engine().memory().pinned(), 0U);
    ASSERT_TRUE(store_.flush().has_value());
    EXPECT_GT(store_.engine().memory().pinned(), 60U << 10U);
    snapshot.reset();
    EXPECT_EQ(store_.engine().memory().pinned(), 0U);
}

TEST_F(BoundedEngineTest, TheCatalogStopsGrowingWithAnErrorThatSaysWhy) {
    int refused_at = 0;
    for (int run = 0; run < 1'000 && refused_at == 0; ++run) {
        writer_.send(one_row(fmt::format("p/run-{}", run), stepped({"loss"}), 1, {0.5}));
        store_.run();
        refused_at = writer_.refusals().empty() ? 0 : run;
    }
    ASSERT_GT(refused_at, 5);
    const Error& error = writer_.refusals().front().second.error;
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
    EXPECT_NE(error.message().find("--memory"), std::string::npos) << error.message();
    // What is there goes on.
    const size_t refusals = writer_.refusals().size();
    writer_.send(one_row("p/run-0", stepped({"loss"}), 2, {0.25}));
    store_.run();
    EXPECT_EQ(writer_.refusals().size(), refusals);
    EXPECT_LE(store_.engine().stats().resident_bytes, 64U << 10U);
}

}  // namespace
}  // namespace stepdb
