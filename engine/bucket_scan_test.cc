// Buckets over blocks long enough to have index nodes: each expect_model() compares those of every
// series, and its outermost keys, with a scan of the plain map (tests/support/sim_store.cc).
#include <limits>
#include <utility>

#include "engine/block_cache.h"
#include "tests/support/engine_fixture.h"

namespace stepdb::bucket_scan_test {

class BucketScanTest : public EngineTest {
  protected:
    BucketScanTest() : EngineTest(options()) {}

    static EngineOptions options() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        options.tail_rows_max = 700;
        options.tail_bytes_max = 1U << 20U;
        options.memory_blocks_bytes_max = 8U << 20U;
        options.log_live_bytes_max = 8U << 20U;
        options.merge_bytes_max = 1U << 20U;
        return options;
    }

    // Rows of these steps, with values that now and then are not finite.
    void send_steps(const std::vector<double>& steps) {
        if (steps.empty()) {
            return;
        }
        ModelChange change;
        change.run = "p/r";
        change.schema = both_;
        for (const double step : steps) {
            const double noise = static_cast<double>(random_.below(100000)) / 7 - 5000;
            const double rare = random_.below(400) == 0 ? draw_odd() : noise;
            const bool is_absent = random_.below(50) == 0;
            change.rows.push_back({step,
                                   1'700'000'000'000'000 + static_cast<int64_t>(step * 10),
                                   {noise, is_absent ? std::nullopt : std::optional(rare)}});
        }
        change.attempt = attempt_;
        send(change);
    }
    double draw_odd() {
        constexpr double kInfinity = std::numeric_limits<double>::infinity();
        switch (random_.below(4)) {
            case 0:
                return std::numeric_limits<double>::quiet_NaN();
            case 1:
                return kInfinity;
            case 2:
                return -kInfinity;
            default:
                return -0.0;
        }
    }
    void send_range(int first, int end, double stride = 1) {
        std::vector<double> steps;
        for (int step = first; step < end; ++step) {
            steps.push_back(step * stride);
            if (steps.size() == 200) {
                send_steps(std::exchange(steps, {}));
            }
        }
        send_steps(steps);
    }
    void flush() {
        store_.run();
        const Status flushed = store_.flush();
        ASSERT_TRUE(flushed) << flushed.error().to_string();
    }
    void compact() {
        const Status compacted = store_.compact();
        ASSERT_TRUE(compacted) << compacted.error().to_string();
        store_.run();
    }
    // In memory, in segments, in merged ones, and after a restart of the process.
    void expect_everywhere() {
        store_.run();
        expect_model();
        flush();
        expect_model();
        compact();
        expect_model();
        EXPECT_EQ(store_.verify(), "");
        reopen();
        expect_model();
    }

    std::shared_ptr<const Schema> both_ = stepped({"loss", "norm"});
    SimRandom random_{20261129};
    uint32_t attempt_ = 0;
};

TEST_F(BucketScanTest, RowsInOrder) {
    send_range(0, 5000);
    expect_everywhere();
    EXPECT_GT(store_.nodes_used(), 0U);
}

// Wherever the rows lie: the cost of a chart follows its buckets.
TEST_F(BucketScanTest, DecodesNoMoreThanTwoVectorsABucket) {
    for (int first = 0; first < 100'000; first += 500) {
        ModelChange change;
        change.run = "p/r";
        change.schema = both_;
        for (int step = first; step < first + 500; ++step) {
            const double noise = static_cast<double>(random_.below(100000)) / 7;
            change.rows.push_back({step, 1'700'000'000'000'000 + step, {noise, 1.0}});
        }
        writer_.send(change);
        store_.run();
    }
    for (const bool settled : {false, true}) {
        if (settled) {
            flush();
            compact();
        }
        const auto run = store_.engine().catalog()->runs().find(RunPath{"p", "r"});
        ASSERT_NE(run, nullptr);
        const auto taken = store_.engine().snapshot({{(*run)->id}});
        SnapshotReader reader(store_.files(), taken);
        std::vector<Key> edges;
        for (int i = 0; i <= 20; ++i) {
            edges.push_back(key_of_step(i * 4999.5));
        }
        std::vector<Bucket> buckets(edges.size() - 1);
        const BucketRow row{edges, buckets};
        const auto scan = reader.open_buckets(RunView(*taken->runs().front(), 0), "loss",
                                              {edges.front(), edges.back()}, row);
        uint64_t points = 0;
        while (true) {
            const Result<size_t> some = run_task(store_.executor(), scan->next());
            ASSERT_TRUE(some) << some.error().to_string();
            if (*some == 0) {
                break;
            }
        }
        for (const Bucket& bucket : buckets) {
            points += bucket.points();
        }
        EXPECT_EQ(points, 99'991U);
        EXPECT_LE(reader.cost().vectors_decoded, 2 * buckets.size());
        EXPECT_GT(reader.cost().nodes_used, 300U);
    }
}

// Metrics of a block share its keys, its directory and the strips of their chunks: each is read
// once.
TEST_F(BucketScanTest, ReadsWhatSeriesShareOnce) {
    constexpr int kMetrics = 300;
    std::vector<std::string> names;
    names.reserve(kMetrics);
    for (int i = 0; i < kMetrics; ++i) {
        names.push_back(fmt::format("layers/{}", i));
    }
    ModelChange change;
    change.run = "p/r";
    change.schema = stepped(names);
    for (int step = 0; step < 600; ++step) {
        auto& row = change.rows.emplace_back();
        row.step = step;
        row.time_us = 1'700'000'000'000'000 + step;
        for (size_t i = 0; i < names.size(); ++i) {
            row.values.emplace_back(static_cast<double>(random_.below(100)));
        }
    }
    writer_.send(change);
    flush();
    const auto run = store_.engine().catalog()->runs().find(RunPath{"p", "r"});
    ASSERT_NE(run, nullptr);
    const auto taken = store_.engine().snapshot({{(*run)->id}});
    const auto cache = std::make_shared<BlockCache>(64U << 20U);
    const std::vector<Key> edges = {key_of_step(0), key_of_step(150), key_of_step(599)};
    for (const bool is_first : {true, false}) {
        SnapshotReader reader(store_.files(), taken, nullptr, cache);
        for (const std::string& name : names) {
            std::vector<Bucket> buckets(2);
            const BucketRow row{edges, buckets};
            const auto scan = reader.open_buckets(RunView(*taken->runs().front(), 0), name,
                                                  {edges.front(), edges.back()}, row);
            Result<size_t> some = size_t{1};
            while (some && *some != 0) {
                some = run_task(store_.executor(), scan->next());
            }
            ASSERT_TRUE(some) << some.error().to_string();
            EXPECT_EQ(buckets[0].points(), 150U);
            EXPECT_EQ(buckets[1].points(), 450U);
        }
        EXPECT_LE(reader.cost().bytes_read,
                  is_first ? store_.engine().stats().segment_bytes : uint64_t{0});
    }
}

TEST_F(BucketScanTest, StepsThatAreNoStride) {
    std::vector<double> steps;
    double step = 0;
    for (int i = 0; i < 4000; ++i) {
        step += static_cast<double>(1 + random_.below(9)) / 8;
        steps.push_back(step);
        if (steps.size() == 200) {
            send_steps(std::exchange(steps, {}));
        }
    }
    expect_everywhere();
    EXPECT_GT(store_.nodes_used(), 0U);
}

TEST_F(BucketScanTest, LateRowsAmongBlocks) {
    send_range(0, 6000, 2);
    flush();
    for (int i = 0; i < 40; ++i) {
        send_steps({static_cast<double>(2 * random_.below(6000) + 1)});
    }
    expect_everywhere();
}

TEST_F(BucketScanTest, PointsLoggedAgainInLaterBlocks) {
    send_range(0, 6000);
    flush();
    for (int i = 0; i < 60; ++i) {
        send_steps({static_cast<double>(random_.below(6100))});
    }
    store_.run();
    expect_model();
    // Once more, from a segment of their own.
    expect_everywhere();
}

TEST_F(BucketScanTest, KeysTwiceWithinABlock) {
    send_range(0, 650);
    send_steps({5, 600, 649});
    send_range(650, 4000);
    send_steps({3999, 10});
    expect_everywhere();
}

TEST_F(BucketScanTest, MoreOverlapsThanAreGoneAround) {
    send_range(0, 3000);
    flush();
    send_range(1000, 4000);
    flush();
    send_range(500, 1500);
    expect_everywhere();
}

TEST_F(BucketScanTest, BlocksWithoutValuesOfTheMetric) {
    send_range(0, 1400);
    ModelChange change;
    change.run = "p/r";
    change.schema = both_;
    for (int step = 1400; step < 2800; ++step) {
        change.rows.push_back({step, 1'700'000'000'000'000 + step, {step * 0.5, std::nullopt}});
    }
    send(change);
    send_range(2800, 4000);
    expect_everywhere();
}

TEST_F(BucketScanTest, MetricsDeletedWithinABlock) {
    send_range(0, 3000);
    store_.run();
    writer_.send_life("p/r", [](uint32_t handle, uint64_t number) {
        DeleteMetricsFrame frame;
        frame.handle = handle;
        frame.metrics = {"loss"};
        return encode_delete_metrics_frame(frame, number);
    });
    model_.delete_metrics("p/r", {"loss"});
    send_range(3000, 6000);
    expect_everywhere();
}

// The block of the first attempt reaches far beyond the cut, and late rows of the second one lie
// before and behind it.
TEST_F(BucketScanTest, LateRowsBehindTheCutOfABlock) {
    send_range(0, 6000);
    flush();
    writer_.send_life("p/r", [](uint32_t handle, uint64_t number) {
        RestartRunFrame frame;
        frame.handle = handle;
        frame.attempt = 1;
        frame.step = 3000;
        return encode_restart_run_frame(frame, number);
    });
    model_.restart("p/r", 1, 3000);
    attempt_ = 1;
    send_range(3001, 6000);
    flush();
    send_steps({100.5, 3500.5, 5000.5});
    expect_everywhere();
}

TEST_F(BucketScanTest, RestartsBehindAndAmongBlocks) {
    for (attempt_ = 0; attempt_ < 3; ++attempt_) {
        if (attempt_ > 0) {
            const double cut = 2500.0 * attempt_ - 700;
            writer_.send_life("p/r", [&](uint32_t handle, uint64_t number) {
                RestartRunFrame frame;
                frame.handle = handle;
                frame.attempt = attempt_;
                frame.step = cut;
                return encode_restart_run_frame(frame, number);
            });
            model_.restart("p/r", attempt_, cut);
        }
        const int first = 2500 * static_cast<int>(attempt_) - (attempt_ > 0 ? 690 : 0);
        send_range(first, first + 2500);
        store_.run();
        expect_model();
    }
    --attempt_;
    expect_everywhere();
}

}  // namespace stepdb::bucket_scan_test
