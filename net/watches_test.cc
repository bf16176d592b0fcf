#include "net/watches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "engine/model/life_frame.h"
#include "net/engine_query_service.h"
#include "query/answer_difference.h"
#include "query/parser.h"
#include "query/watched_rows.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_store.h"

namespace stepdb::watches_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

std::string to_text(const ResultBlock& block) {
    std::string text;
    for (uint32_t row = 0; row < block.rows(); ++row) {
        for (size_t column = 0; column < block.width(); ++column) {
            const ColumnCells& cells = block.column(column);
            if (cells.is_null(row)) {
                text += "- ";
            } else if (cells.type() == ColumnType::kText) {
                text += std::string(cells.texts()[row]) + " ";
            } else if (cells.type() == ColumnType::kTime) {
                text += fmt::format("{} ", cells.times()[row]);
            } else if (cells.type() == ColumnType::kUint64) {
                text += fmt::format("{} ", cells.uint64s()[row]);
            } else {
                text += fmt::format("{} ", cells.doubles()[row]);
            }
        }
        text += "\n";
    }
    return text;
}

// One who watches, and takes what it is told when the test says so.
struct Watcher : UpdateSink {
    void on_waiting() override { is_waiting = true; }
    void on_columns(std::vector<ResultColumn> columns) override {
        rows.set_columns({columns.begin() + 2, columns.end()});
    }
    void on_block(ResultBlock block) override {
        told += block.rows();
        blocks.push_back(std::move(block));
    }
    void on_update(ResultUpdate update) override {
        const Status applied = rows.apply(blocks, update.is_reset, update.rows);
        EXPECT_TRUE(applied.has_value()) << applied.error().to_string();
        blocks.clear();
        EXPECT_GE(update.sequence, last.sequence);
        last = std::move(update);
        ++updates;
        resets += last.is_reset ? 1 : 0;
    }
    void on_error(Error its_error) override { error = std::move(its_error); }

    bool take() {
        if (!std::exchange(is_waiting, false)) {
            return false;
        }
        watch->want();
        return true;
    }

    std::string text;
    std::unique_ptr<RunningWatch> watch;
    bool is_waiting = false;
    WatchedRows rows;
    std::vector<ResultBlock> blocks;
    ResultUpdate last;
    uint64_t told = 0;  // rows
    int updates = 0;
    int resets = 0;
    std::optional<Error> error;
};

// Everything on one simulated executor; time passes when the test lets it.
class WatchesTest : public ::testing::Test {
  protected:
    using Time = std::chrono::steady_clock::time_point;

    WatchesTest() : store_(disk_, 1, SimStore::small_options()) {
        EXPECT_TRUE(store_.open().has_value());
        writer_.connect(store_);
        limits_.memory = std::make_shared<MemoryBudget>(512U << 20U);
        QueryEnvironment environment(store_.executor(), store_.executor(), store_.executor(),
                                     store_.files(), store_.clock());
        environment.call_after = [this](std::chrono::microseconds after,
                                        std::function<void()> call) {
            timers_.emplace(now_ + after, std::move(call));
        };
        environment.steady_now = [this] { return now_; };
        service_ = std::make_unique<EngineQueryService>(store_.engine(), environment, limits_);
    }
    ~WatchesTest() override {
        watchers_.clear();
        settle();
        EXPECT_EQ(limits_.memory->used(), 0U);
    }

    // Until nothing happens any more; nobody takes what waits.
    void settle() {
        for (store_.run(); !timers_.empty(); store_.run()) {
            auto timer = timers_.extract(timers_.begin());
            now_ = std::max(now_, timer.key());
            timer.mapped()();
        }
    }
    // Likewise, and all take everything.
    void settle_all() {
        for (settle();
             std::ranges::count_if(watchers_, [](const auto& each) { return each->take(); }) > 0;) {
            settle();
        }
    }

    // Of what was logged so far.
    Watcher& watch(std::string text) {
        store_.run();
        Watcher& watcher = *watchers_.emplace_back(std::make_unique<Watcher>());
        watcher.text = text;
        watcher.watch = service_->watch(QueryText(std::move(text)), watcher);
        return watcher;
    }

    void log(const std::string& run, const std::vector<std::pair<double, double>>& points,
             uint32_t attempt = 0) {
        ModelChange change;
        change.run = run;
        change.attempt = attempt;
        change.schema = schema_;
        for (const auto& [step, value] : points) {
            change.rows.push_back({step, 1'000, {value, -value}});
        }
        writer_.send(change);
    }

    // What the query answers now, on the watcher's grid.
    std::string fresh(const Watcher& watcher) {
        const ResultBlock& rows = watcher.rows.rows();
        double width = 0;
        const auto lo = std::ranges::find(watcher.rows.columns(), "lo", &ResultColumn::name);
        if (lo != watcher.rows.columns().end() && rows.rows() > 0) {
            const auto at = static_cast<size_t>(lo - watcher.rows.columns().begin());
            width = rows.column(at + 1).doubles()[0] - rows.column(at).doubles()[0];
        }
        auto prepared = prepare_query(parse_query(watcher.text).value(), store_.engine());
        EXPECT_TRUE(prepared.has_value()) << prepared.error().to_string();
        const auto query = SnapshotQuery::create(*std::move(prepared), store_.files(),
                                                 store_.clock().now_us(), nullptr);
        QueryExecution& execution = query->execution();
        EXPECT_TRUE(execution.watch(width).has_value());
        EXPECT_TRUE(run_task(store_.executor(), execution.prepare()).has_value());
        std::string text;
        ResultBlock block;
        while (*run_task(store_.executor(), execution.next(block))) {
            text += to_text(block);
        }
        return text;
    }

    SimDisk disk_;
    SimStore store_;
    TestWriter writer_{sha256_128(as_bytes("writer"))};
    std::shared_ptr<const Schema> schema_ =
        std::make_shared<const Schema>(*Schema::create(Axis::kStepped, {"m", "other"}));
    QueryLimits limits_;
    Time now_{1h};
    std::multimap<Time, std::function<void()>> timers_;
    std::unique_ptr<EngineQueryService> service_;
    std::vector<std::unique_ptr<Watcher>> watchers_;
};

TEST_F(WatchesTest, TellsTheAnswerThenWhatChanges) {
    log("p/r", {{1, 0.5}, {2, 0.25}});
    Watcher& watcher = watch("m @ p/r");
    settle_all();
    EXPECT_EQ(to_text(watcher.rows.rows()), "p/r m 1 0.5 \np/r m 2 0.25 \n");
    EXPECT_EQ(watcher.resets, 1);
    EXPECT_EQ(watcher.last.key_columns, 3U);
    log("p/r", {{3, 1}, {1, 2}});
    settle_all();
    EXPECT_EQ(to_text(watcher.rows.rows()), "p/r m 1 2 \np/r m 2 0.25 \np/r m 3 1 \n");
    EXPECT_EQ(watcher.updates, 2);
    EXPECT_EQ(watcher.resets, 1);
    EXPECT_EQ(watcher.told, 4U) << "two rows at first, a changed and a new one then";
    EXPECT_EQ(watcher.last.sequence, store_.engine().sequence());
}

TEST_F(WatchesTest, WhoIsSlowSkipsWhatCameInBetweenAndHoldsUpNobody) {
    log("p/r", {{0, 0}});
    Watcher& slow = watch("m @ p/r | last 1");
    Watcher& quick = watch("m @ p/r | last 1");
    settle_all();
    for (int step = 1; step <= 10; ++step) {
        log("p/r", {{step, 1}});
        settle();
        while (quick.take()) {
            settle();
        }
    }
    EXPECT_EQ(quick.updates, 11);
    EXPECT_EQ(slow.updates, 1);
    settle_all();
    EXPECT_EQ(slow.updates, 2);
    EXPECT_EQ(to_text(slow.rows.rows()), "p/r m 10 1 \n");
    EXPECT_EQ(slow.last.sequence, quick.last.sequence);
}

TEST_F(WatchesTest, WhatIsPublishedOftenIsToldInSteps) {
    log("p/r", {{0, 0}});
    Watcher& watcher = watch("m @ p/r | last 1");
    settle_all();
    for (int step = 1; step <= 100; ++step) {
        log("p/r", {{step, 1}});
        store_.run();
        watcher.take();
        store_.run();
    }
    EXPECT_LE(watcher.updates, 2) << "no time has passed";
    settle_all();
    EXPECT_EQ(to_text(watcher.rows.rows()), "p/r m 100 1 \n");
}

TEST_F(WatchesTest, NothingIsToldOfWhatChangesElsewhere) {
    log("p/r", {{0, 0}});
    Watcher& watcher = watch("m @ p/r");
    settle_all();
    log("p/other", {{0, 0}});
    settle();
    EXPECT_FALSE(watcher.is_waiting);
    log("p/r", {{0, 0}});
    settle();
    EXPECT_FALSE(watcher.is_waiting) << "a point replaced by the same";
    EXPECT_TRUE(timers_.empty());
}

TEST_F(WatchesTest, NewRunsAppearAndDeletedOnesGo) {
    log("p/a", {{0, 1}});
    Watcher& watcher = watch("runs p/* | show last(m)");
    Watcher& of_one = watch("m @ p/a");
    settle_all();
    log("p/b", {{0, 2}});
    settle_all();
    EXPECT_EQ(to_text(watcher.rows.rows()), "p/a 1 \np/b 2 \n");
    writer_.send_life("p/a", encode_delete_run_frame);
    settle_all();
    EXPECT_EQ(to_text(watcher.rows.rows()), "p/b 2 \n");
    ASSERT_TRUE(of_one.error);
    EXPECT_EQ(of_one.error->code(), ErrorCode::kNotFound);
}

TEST_F(WatchesTest, TheGridOfAnOpenRangeIsWidenedByTwo) {
    log("p/r", {{0, 1}, {7, 1}});
    Watcher& watcher = watch("m @ p/r | buckets 8 count");
    Watcher& closed = watch("m @ p/r | steps 0..10 | buckets 3 count");
    settle_all();
    EXPECT_EQ(watcher.rows.rows().rows(), 8U);
    const uint64_t told = watcher.told;
    log("p/r", {{6.5, 1}});
    settle_all();
    EXPECT_EQ(watcher.told, told + 1);
    EXPECT_EQ(watcher.resets, 1);
    log("p/r", {{8, 1}});
    settle_all();
    EXPECT_EQ(watcher.resets, 2);
    EXPECT_EQ(to_text(watcher.rows.rows()),
              "p/r m 0 2 1 \np/r m 2 4 0 \np/r m 4 6 0 \np/r m 6 8 2 \np/r m 8 10 1 \n");
    EXPECT_EQ(closed.resets, 1);
    EXPECT_EQ(closed.rows.rows().column(3).doubles()[2], 10);
}

TEST_F(WatchesTest, WhatCannotBeWatchedIsRefused) {
    log("p/r", {{0, 1}});
    EXPECT_FALSE(watch("m @ p/r |").error);
    watch("explain m @ p/r");
    watch("m @ p/gone");
    settle_all();
    EXPECT_EQ(watchers_[0]->error->code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(watchers_[1]->error->message(), HasSubstr("explain"));
    EXPECT_EQ(watchers_[2]->error->code(), ErrorCode::kNotFound);
}

TEST_F(WatchesTest, AnAnswerThatGrowsTooLargeEndsTheWatch) {
    log("p/r", {{0, 1}});
    Watcher& watcher = watch("m @ p/r | buckets 600k count");
    settle_all();
    EXPECT_FALSE(watcher.error);
    log("p/r", {{1e6, 1}});
    settle_all();
    ASSERT_TRUE(watcher.error);
    EXPECT_EQ(watcher.error->code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(watcher.error->message(), HasSubstr("buckets"));
}

TEST_F(WatchesTest, AWatchThatIsGivenUpLeavesNothing) {
    log("p/r", {{0, 1}});
    watch("m @ p/r");
    watchers_.clear();
    settle();
    watch("m @ p/r");
    settle();
    EXPECT_TRUE(watchers_[0]->is_waiting);
    watchers_[0]->take();
    watchers_.clear();  // within an update
    settle();
    EXPECT_EQ(limits_.memory->used(), 0U);
}

// --- Whatever happens, the updates make the answer ---

class RandomWatches : public WatchesTest {
  protected:
    void change(std::mt19937_64& dice) {
        const std::string run = "p/" + std::string(1, static_cast<char>('a' + dice() % 3));
        const uint32_t attempt = attempts_[run];
        switch (dice() % 12) {
            case 0:
                attempts_[run] = attempt + 1;
                log(run, {{0, 0}}, attempt);
                writer_.send_life(run, [&](uint32_t handle, uint64_t number) {
                    RestartRunFrame frame;
                    frame.handle = handle;
                    frame.attempt = attempt + 1;
                    frame.step = static_cast<double>(dice() % 40);
                    return encode_restart_run_frame(frame, number);
                });
                break;
            case 1:
                log(run, {{0, 0}}, attempt);
                writer_.send_life(run, [&](uint32_t handle, uint64_t number) {
                    DeleteMetricsFrame frame;
                    frame.handle = handle;
                    frame.metrics = {"other"};
                    return encode_delete_metrics_frame(frame, number);
                });
                break;
            case 2:
                if (dice() % 3 == 0) {
                    store_.run();
                    EXPECT_TRUE(store_.flush().has_value());
                }
                break;
            default: {
                std::vector<std::pair<double, double>> points;
                for (uint64_t i = dice() % 4 + 1; i > 0; --i) {
                    points.emplace_back(next_step_ - static_cast<double>(dice() % 10),
                                        static_cast<double>(dice() % 3));
                    next_step_ += static_cast<double>(dice() % 3);
                }
                log(run, points, attempt);
            }
        }
    }

    std::map<std::string, uint32_t> attempts_;
    double next_step_ = 10;
};

TEST_F(RandomWatches, UpdatesMakeTheAnswerOfAFreshQuery) {
    const uint64_t seed = test_seed(1);
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 dice(seed);
    for (const std::string run : {"p/a", "p/b", "p/c"}) {
        log(run, {{1, 1}});
    }
    writer_.fork_run("p/fork", "p/a", 15);
    store_.run();
    for (const char* text :
         {"m @ p/*", "** @ p/*", "o* @ p/c", "m @ p/a | last 3", "m @ p/*, p/a#0 | buckets 16",
          "m @ p/fork", "m @ p/* | steps 5.. | buckets 9 count, mean",
          "m @ p/* | steps 0..50 | buckets 7 min", "m @ p/* | steps end-10..end | buckets 5 last",
          "m @ p/* | buckets 8 | across mean, max", "m @ p/b | buckets 12 mean | pivot",
          "m @ p/* | pivot", "m @ p/a | ema 0.9 | every 4",
          "runs p/* | show last(m), count(m) | sort last(m)", "m @ p/* | sort value | limit 4",
          "metrics ** @ p/* | show count, last.step", "m @ p/* | summary"}) {
        watch(text);
        watch(text);
    }
    settle_all();
    for (int round = 0; round < 150; ++round) {
        for (uint64_t i = dice() % 4; i > 0; --i) {
            change(dice);
        }
        settle();
        for (const auto& watcher : watchers_) {
            if (dice() % 3 == 0 && watcher->take()) {
                store_.run();
            }
        }
        if (dice() % 4 != 0) {
            continue;
        }
        settle_all();
        for (const auto& watcher : watchers_) {
            ASSERT_FALSE(watcher->error) << watcher->text << ": " << watcher->error->to_string();
            ASSERT_EQ(to_text(watcher->rows.rows()), fresh(*watcher))
                << watcher->text << ", round " << round;
        }
    }
}

}  // namespace stepdb::watches_test
