// The bounds of what the engine keeps in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <random>

#include "engine/engine.h"
#include "engine/model/life_frame.h"
#include "tests/support/engine_fixture.h"

namespace stepdb::memory_test {

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

// A store whose rows have all the memory they want.
class BoundedLogTest : public EngineTest {
  protected:
    static constexpr uint64_t kBytesMax = 256U << 10U;
    static constexpr uint64_t kRowsMax = 1000;
    static constexpr int kRows = 5'000;

    static EngineOptions bounded() {
        EngineOptions options = SimStore::small_options();
        options.memory_blocks_bytes_max = 64U << 20U;
        options.log_live_bytes_max = kBytesMax;
        options.log_live_rows_max = kRowsMax;
        return options;
    }
    BoundedLogTest() : EngineTest(bounded()) {}

    // Sends rows of `width` values, two for each piece of work of the engine's while there is room,
    // so that the log grows while a flush is under way. Returns how often there was none.
    int send_rows(size_t width, const std::function<void(const EngineStats&)>& look) {
        std::vector<std::string> metrics;
        for (size_t metric = 0; metric < width; ++metric) {
            metrics.push_back(fmt::format("m{}", metric));
        }
        const auto schema = stepped(metrics);
        int waits = 0;
        bool is_waiting = false;
        for (int step = 0; step < kRows;) {
            for (int i = 0; i < 2 && store_.engine().has_room() && !is_waiting; ++i) {
                ++step;
                send(one_row("p/r", schema, step,
                             std::vector<std::optional<double>>(width, 0.1 * step)));
            }
            if (!store_.engine().has_room() && !is_waiting) {
                is_waiting = true;
                ++waits;
                store_.engine().when_room([&] { is_waiting = false; });
            }
            const bool is_going_on = store_.executor().run_one();
            EXPECT_TRUE(is_going_on || !is_waiting) << "nothing makes room";
            look(store_.engine().stats());
        }
        store_.run();
        return waits;
    }
};

TEST_F(BoundedLogTest, LiveLogStaysWithinItsBytes) {
    uint64_t peak = 0;
    const int waits = send_rows(
        100, [&](const EngineStats& stats) { peak = std::max(peak, stats.log_live_bytes); });
    EXPECT_GT(waits, 3);
    EXPECT_GT(peak, kBytesMax / 2);
    EXPECT_LE(peak, kBytesMax + 2 * kPageBytes);  // a group is padded to pages
    expect_model();
}

TEST_F(BoundedLogTest, LiveLogStaysWithinItsRows) {
    uint64_t peak = 0;
    uint64_t flushed = 0;  // up to this sequence, as far as can be told from outside
    uint64_t flushes = 0;
    uint64_t before = 0;
    const int waits = send_rows(1, [&](const EngineStats& stats) {
        if (stats.flushes != flushes) {
            flushes = stats.flushes;
            flushed = before;
        }
        before = stats.flushing ? before : stats.sequence_durable;
        peak = std::max(peak, stats.sequence_durable - flushed);
    });
    EXPECT_GT(waits, 2);
    EXPECT_LE(peak, kRowsMax + 2);
    EXPECT_GE(flushes, kRows / kRowsMax);
    expect_model();
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

// A series in many pieces that all overlap: rows of several attempts, each flushed several times.
class CrowdedSeriesTest : public EngineTest {
  protected:
    static EngineOptions quiet() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        options.tail_rows_max = 128;
        options.tail_bytes_max = 64U << 10U;
        return options;
    }
    CrowdedSeriesTest() : EngineTest(quiet()) {}

    void write_attempt(uint32_t attempt) {
        for (int part = 0; part < 3; ++part) {
            for (int i = 0; i < 100; ++i) {
                // Some steps are logged by several parts and attempts.
                ModelChange row = one_row("p/r", loss_, (i * 3 + part * (i % 2)) % 250,
                                          {1000.0 * attempt + 100.0 * part + i});
                row.attempt = attempt;
                send(row);
            }
            store_.run();
            ASSERT_TRUE(store_.flush().has_value());
        }
    }
    void restart(uint32_t attempt, double step) {
        writer_.send_life("p/r", [&](uint32_t handle, uint64_t number) {
            RestartRunFrame frame;
            frame.handle = handle;
            frame.attempt = attempt;
            frame.step = step;
            return encode_restart_run_frame(frame, number);
        });
        model_.restart("p/r", attempt, step);
    }

    // Reads the run's newest attempt; the error, if it does not fit.
    Result<std::map<Key, double>> read(size_t bytes_max) {
        const auto run = store_.engine().catalog()->find_run("p", "r");
        const auto budget = std::make_shared<MemoryBudget>(bytes_max);
        SnapshotReader reader(store_.files(), store_.engine().snapshot(std::span(&run->id, 1)),
                              budget);
        const auto cursor =
            reader.open_series({*run, run->newest_attempt().number}, "loss", KeyRange());
        std::map<Key, double> found;
        Points batch;
        for (;;) {
            TRY_ASSIGN(const bool more, run_task(store_.executor(), cursor->next(batch)));
            if (!more) {
                return found;
            }
            EXPECT_TRUE(std::ranges::is_sorted(batch.keys));
            for (size_t i = 0; i < batch.size(); ++i) {
                EXPECT_TRUE(found.emplace(batch.keys[i], batch.values[i]).second);
            }
        }
    }
};

TEST_F(CrowdedSeriesTest, IsReadTheSameInWhateverMemoryOnePieceFitsInto) {
    write_attempt(0);
    restart(1, 150);
    write_attempt(1);
    restart(2, 200);
    write_attempt(2);
    const auto whole = read(64U << 20U);
    ASSERT_TRUE(whole.has_value()) << whole.error().to_string();
    EXPECT_GT(whole->size(), 150U);
    const auto want = model_.contents().at({"p/r", "loss"});
    ASSERT_EQ(whole->size(), want.size());
    for (const auto& [key, value] : *whole) {
        EXPECT_EQ(std::bit_cast<uint64_t>(value), want.at(key).value_bits) << key;
    }
    size_t fitting = 0;
    for (size_t bytes_max = 512; bytes_max < (96U << 10U); bytes_max += 512) {
        const auto found = read(bytes_max);
        if (found) {
            EXPECT_EQ(*found, *whole) << bytes_max;
            ++fitting;
        } else {
            EXPECT_EQ(fitting, 0U) << "more memory is no worse: " << bytes_max;
            EXPECT_EQ(found.error().code(), ErrorCode::kResourceExhausted);
            EXPECT_LE(bytes_max, 12U << 10U) << "a piece of 100 rows alone takes 6 KiB";
        }
    }
    EXPECT_GT(fitting, 100U);
}

}  // namespace stepdb::memory_test
