#include "net/engine_query_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/sim_store.h"

namespace stepdb {
namespace {

using ::testing::HasSubstr;

// Shared by the test and, until the query is destroyed, by it.
struct Answer : ResultSink {
    void on_columns(std::vector<ResultColumn>) override {}
    void on_block(ResultBlock block) override { rows += block.rows(); }
    void on_end(QueryEnd) override { ended = true; }
    void on_error(Error its_error) override { error = std::move(its_error); }

    uint64_t rows = 0;
    bool ended = false;
    std::optional<Error> error;
};

// Everything on one simulated executor.
class EngineQueryServiceTest : public ::testing::Test {
  protected:
    // Nothing is flushed but when the test says so.
    static EngineOptions unflushed() {
        EngineOptions options = SimStore::small_options();
        options.memory_blocks_bytes_max = 16U << 20U;
        options.log_live_bytes_max = 16U << 20U;
        return options;
    }

    EngineQueryServiceTest() : store_(disk_, 1, unflushed()) {
        EXPECT_TRUE(store_.open().has_value());
        writer_.connect(store_);
        const auto schema = std::make_shared<const Schema>(*Schema::create(Axis::kStepped, {"m"}));
        for (int step = 0; step < 5'000; step += 100) {
            ModelChange change;
            change.run = "p/r";
            change.schema = schema;
            for (int i = 0; i < 100; ++i) {
                change.rows.push_back({step + i, 1'000, {0.1 * step + i}});
            }
            writer_.send(change);
            store_.run();
        }
    }

    // The service waits for its queries, which end on the executor.
    ~EngineQueryServiceTest() override {
        running_.clear();
        store_.run();
    }

    void begin(QueryLimits limits) {
        const QueryEnvironment environment(store_.executor(), store_.executor(), store_.executor(),
                                           store_.files(), store_.clock());
        service_ =
            std::make_unique<EngineQueryService>(store_.engine(), environment, std::move(limits));
    }
    RunningQuery& start(std::string text, Answer& answer) {
        running_.push_back(service_->start(QueryText(std::move(text)), answer));
        return *running_.back();
    }

    // All of the answer.
    static void read(RunningQuery& query) { query.want(1'000); }

    SimDisk disk_;
    SimStore store_;
    TestWriter writer_{sha256_128(as_bytes("writer"))};
    std::unique_ptr<EngineQueryService> service_;
    std::vector<std::unique_ptr<RunningQuery>> running_;
};

TEST_F(EngineQueryServiceTest, AQueryBeyondTheTimeLimitEndsWithAnError) {
    QueryLimits limits;
    limits.time_max = std::chrono::microseconds(0);
    begin(limits);
    Answer answer;
    RunningQuery& query = start("m @ p/r", answer);
    store_.run();
    EXPECT_FALSE(answer.error);
    service_->tick();
    ASSERT_TRUE(answer.error);
    EXPECT_EQ(answer.error->code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(answer.error->message(), HasSubstr("longer than"));
    read(query);
    store_.run();
    EXPECT_EQ(answer.rows, 0U);
}

TEST_F(EngineQueryServiceTest, TheOldestQueryEndsWhenSnapshotsPinTooMuch) {
    QueryLimits limits;
    limits.pinned_bytes_max = 1'000;
    limits.pinning_time_min = std::chrono::microseconds(0);
    begin(limits);
    Answer old_answer;
    Answer new_answer;
    start("m @ p/r", old_answer);
    store_.run();
    service_->tick();
    EXPECT_FALSE(old_answer.error) << "nothing is pinned yet";
    ASSERT_TRUE(store_.flush().has_value());
    RunningQuery& new_query = start("m @ p/r", new_answer);
    store_.run();
    service_->tick();
    ASSERT_TRUE(old_answer.error);
    EXPECT_THAT(old_answer.error->message(), HasSubstr("oldest"));
    store_.run();
    EXPECT_EQ(store_.engine().memory().pinned(), 0U);
    service_->tick();
    read(new_query);
    store_.run();
    EXPECT_FALSE(new_answer.error);
    EXPECT_TRUE(new_answer.ended);
    EXPECT_EQ(new_answer.rows, 5'000U);
}

TEST_F(EngineQueryServiceTest, WhatQueriesTakeTogetherIsBounded) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(1U << 20U);
    begin(limits);
    Answer too_large;
    Answer fits;
    RunningQuery& large_query = start("m @ p/r | buckets 100k", too_large);
    read(large_query);
    RunningQuery& query = start("m @ p/r | buckets 100", fits);
    read(query);
    store_.run();
    ASSERT_TRUE(too_large.error);
    EXPECT_EQ(too_large.error->code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(too_large.error->message(), HasSubstr("--memory"));
    EXPECT_FALSE(fits.error);
    EXPECT_EQ(fits.rows, 100U);
    EXPECT_EQ(limits.memory->used(), 0U);
}

}  // namespace
}  // namespace stepdb
