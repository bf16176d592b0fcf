#include "net/engine_query_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "engine/query_memory.h"
#include "tests/support/sim_store.h"

namespace stepdb::engine_query_service_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Shared by the test and, until the query is destroyed, by it.
struct Answer : ResultSink {
    void on_columns(std::vector<ResultColumn>) override { ++columns; }
    void on_block(ResultBlock block) override {
        rows += block.rows();
        ++blocks;
        last_block = std::move(block);
    }
    void on_blocks_returned(uint32_t blocks_wanted) override { returned += blocks_wanted; }
    void on_resumed() override {
        is_resumed = true;
        query->want(static_cast<uint32_t>(returned));
    }
    void on_end(QueryEnd) override { ended = true; }
    void on_error(Error its_error) override { error = std::move(its_error); }
    const void* asker() const override { return whose; }

    const void* whose = nullptr;
    uint64_t columns = 0;
    uint64_t rows = 0;
    uint64_t blocks = 0;
    ResultBlock last_block;
    RunningQuery* query = nullptr;
    uint64_t returned = 0;  // blocks that were wanted
    bool is_resumed = false;
    bool ended = false;
    std::optional<Error> error;
};

// On one simulated executor, or with queries on others.
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
        run();
    }

    void begin(QueryLimits limits) {
        const QueryEnvironment environment(store_.executor(), store_.executor(), store_.executor(),
                                           store_.files(), store_.clock());
        service_ =
            std::make_unique<EngineQueryService>(store_.engine(), environment, std::move(limits));
    }
    // Queries on so many threads, each of which the test moves on.
    void begin_on(size_t threads, QueryLimits limits = QueryLimits()) {
        std::vector<QuerySide> sides;
        for (size_t at = 0; at < threads; ++at) {
            sides.emplace_back(sides_[at], side_files_[at]);
        }
        const QueryEnvironment environment(store_.executor(), std::move(sides), store_.executor(),
                                           store_.clock());
        service_ =
            std::make_unique<EngineQueryService>(store_.engine(), environment, std::move(limits));
    }
    // A piece of work of this query thread, after all that others have to do; false if it has none.
    bool step(size_t side = 0) {
        store_.run();
        return sides_[side].run_one();
    }
    void run() {
        while (step(0) || step(1)) {
        }
    }
    // Steps of the first query thread until it has nothing to do.
    size_t count_steps() {
        size_t steps = 0;
        while (step()) {
            ++steps;
        }
        return steps;
    }
    RunningQuery& start(std::string text, Answer& answer) {
        running_.push_back(service_->start(QueryText(std::move(text)), answer));
        answer.query = running_.back().get();
        return *running_.back();
    }

    // What the query `stats` answers.
    std::map<std::string, double> stats() {
        Answer answer;
        auto query = service_->start(QueryText("stats"), answer);
        read(*query);
        store_.run();
        query.reset();
        store_.run();
        std::map<std::string, double> facts;
        const std::vector<std::string_view> names = answer.last_block.column(0).texts();
        for (size_t row = 0; row < names.size(); ++row) {
            facts[std::string(names[row])] = answer.last_block.column(1).doubles()[row];
        }
        return facts;
    }

    // All of the answer.
    static void read(RunningQuery& query) { query.want(1'000); }

    // A query of two hundred calculated series, a million points in all.
    static std::string heavy(const std::string& stages = "") {
        std::string terms;
        for (int term = 1; term <= 200; ++term) {
            terms += (term > 1 ? ", m + " : "m + ") + std::to_string(term);
        }
        return terms + " @ p/r" + stages;
    }

    SimDisk disk_;
    SimStore store_;
    std::array<SimExecutor, 2> sides_;
    std::array<SimFileSystem, 2> side_files_ = {SimFileSystem(disk_, sides_[0]),
                                                SimFileSystem(disk_, sides_[1])};
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
    EXPECT_THAT(answer.error->message(),
                AllOf(HasSubstr("longer than 0 s"), HasSubstr("--query-time"),
                      Not(HasSubstr("waited for memory"))));
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

// Of which five thousand points with their windows are more than what a small query takes.
constexpr size_t kLittleMemory = size_t{1} << 20U;

TEST_F(EngineQueryServiceTest, WhoFindsNoMemoryWaitsForOthersAndBeginsAnew) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(kLittleMemory);
    begin(limits);
    // Whoever has the memory.
    const auto holder = make_query_memory(limits.memory, limits.memory_each_max);
    ASSERT_TRUE(holder->try_reserve(query_memory_max(*limits.memory)));
    Answer waits;
    Answer small;
    read(start("m @ p/r | ema 0.9 | last 5k", waits));
    store_.run();
    EXPECT_FALSE(waits.error);
    EXPECT_FALSE(waits.ended);
    read(start("m @ p/r | buckets 100", small));
    store_.run();
    EXPECT_TRUE(small.ended) << "one that stays small finds room meanwhile";
    EXPECT_FALSE(waits.ended);
    EXPECT_EQ(waits.returned, 1'000U) << "whoever keeps room for blocks can give it to others";
    EXPECT_FALSE(waits.is_resumed);
    EXPECT_EQ(stats()["queries waiting for memory"], 1);
    EXPECT_EQ(stats()["query memory bytes"], query_memory_max(*limits.memory));
    holder->release();
    // The end of any query lets the next one go.
    Answer another;
    read(start("m @ p/r | buckets 10", another));
    store_.run();
    EXPECT_TRUE(waits.is_resumed);
    EXPECT_TRUE(waits.ended);
    EXPECT_EQ(waits.rows, 5'000U);
    EXPECT_EQ(waits.columns, 1U);
    EXPECT_EQ(limits.memory->used(), 0U);
    EXPECT_EQ(stats()["queries waiting for memory"], 0);
}

TEST_F(EngineQueryServiceTest, WhoWaitsLongForMemoryIsToldAndOthersGoOn) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(kLittleMemory);
    limits.memory_wait_max = std::chrono::microseconds(-1);
    begin(limits);
    const auto holder = make_query_memory(limits.memory, limits.memory_each_max);
    ASSERT_TRUE(holder->try_reserve(query_memory_max(*limits.memory)));
    Answer waits;
    Answer small;
    read(start("m @ p/r | ema 0.9 | last 5k", waits));
    store_.run();
    EXPECT_EQ(stats()["queries waiting for memory"], 1);
    read(start("m @ p/r | buckets 100", small));
    service_->tick();
    store_.run();
    ASSERT_TRUE(waits.error);
    EXPECT_THAT(waits.error->message(), HasSubstr("s for memory, and others still have"));
    EXPECT_TRUE(small.ended);
    EXPECT_EQ(stats()["queries waiting for memory"], 0);
    EXPECT_EQ(stats()["queries failed"], 1);
}

TEST_F(EngineQueryServiceTest, WhoWaitsForMemoryCanBeGivenUpAndRunsOutOfTime) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(kLittleMemory);
    limits.time_max = std::chrono::microseconds(0);
    begin(limits);
    const auto holder = make_query_memory(limits.memory, limits.memory_each_max);
    ASSERT_TRUE(holder->try_reserve(query_memory_max(*limits.memory)));
    Answer given_up;
    Answer late;
    read(start("m @ p/r | ema 0.9 | last 5k", given_up));
    read(start("m @ p/r | ema 0.9 | last 5k", late));
    store_.run();
    EXPECT_EQ(stats()["queries waiting for memory"], 2);
    running_.erase(running_.begin());
    EXPECT_EQ(stats()["queries waiting for memory"], 1);
    service_->tick();
    store_.run();
    ASSERT_TRUE(late.error);
    EXPECT_THAT(late.error->message(), HasSubstr("waited for memory that other queries had"));
    EXPECT_FALSE(given_up.error);
    EXPECT_EQ(stats()["queries waiting for memory"], 0);
    EXPECT_EQ(stats()["queries failed"], 1);
    EXPECT_EQ(stats()["queries cancelled"], 1);
    holder->release();
    EXPECT_EQ(limits.memory->used(), 0U);
}

TEST_F(EngineQueryServiceTest, WhatOneQueryMayNotHaveIsNotWaitedFor) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(kLittleMemory);
    limits.memory_each_max = 10'000;
    begin(limits);
    Answer answer;
    read(start("m @ p/r | ema 0.9 | last 5k", answer));
    store_.run();
    ASSERT_TRUE(answer.error);
    EXPECT_THAT(answer.error->message(), HasSubstr("--query-memory"));
}

TEST_F(EngineQueryServiceTest, LimitsOfPointsAndBucketsHold) {
    QueryLimits limits;
    limits.execution.points_max = 4'000;
    limits.execution.buckets_max = 50;
    begin(limits);
    Answer points;
    Answer buckets;
    read(start("m @ p/r", points));
    read(start("m @ p/r | buckets 51", buckets));
    store_.run();
    ASSERT_TRUE(points.error);
    EXPECT_THAT(points.error->message(), HasSubstr("--query-points"));
    ASSERT_TRUE(buckets.error);
    EXPECT_THAT(buckets.error->message(), HasSubstr("--query-buckets"));
}

TEST_F(EngineQueryServiceTest, SlowQueriesAreToldOfHoweverTheyEnd) {
    std::vector<LogEvent> told;
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(kLittleMemory);
    limits.slow_min = std::chrono::microseconds(0);
    limits.tell_slow = [&](const LogEvent& event) { told.push_back(event); };
    begin(limits);
    std::array<Answer, 4> answers;
    read(start("m @ p/r | last 7", answers[0]));
    store_.run();
    read(start("missing @ p/r", answers[1]));
    store_.run();
    // Not read to their ends.
    start("m @ p/r | buckets 7", answers[2]);
    start("m @ p/r | buckets 8", answers[3]).note_client_gone();
    store_.run();
    running_.clear();
    store_.run();
    const auto field = [&](size_t at, const std::string& name) {
        for (const LogField& has : told.at(at).fields) {
            if (has.name == name) {
                return has.value;
            }
        }
        return LogField::Value(std::string("no ") + name);
    };
    const auto text = [](const char* value) { return LogField::Value(std::string(value)); };
    ASSERT_EQ(told.size(), 4U);
    EXPECT_EQ(field(0, "outcome"), text("ok"));
    EXPECT_EQ(field(0, "rows"), LogField::Value(uint64_t{7}));
    EXPECT_NE(field(0, "memory_bytes"), LogField::Value(uint64_t{0}));
    EXPECT_NE(field(0, "pieces"), LogField::Value(uint64_t{0}));
    EXPECT_EQ(field(0, "query"), text("m @ p/r | last 7"));
    EXPECT_EQ(field(1, "outcome"), text("error"));
    EXPECT_EQ(field(1, "query"), text("missing @ p/r"));
    EXPECT_EQ(field(2, "outcome"), text("cancelled"));
    EXPECT_EQ(field(2, "query"), text("m @ p/r | buckets 7"));
    EXPECT_EQ(field(3, "outcome"), text("client-gone"));
    EXPECT_EQ(field(3, "query"), text("m @ p/r | buckets 8"));
    EXPECT_EQ(stats()["slow queries"], 4);
    EXPECT_EQ(service_->figures().durations.total(), service_->figures().facts.done +
                                                         service_->figures().facts.failed +
                                                         service_->figures().facts.cancelled);
    told.clear();

    limits.slow_min = std::chrono::hours(1);
    begin(limits);
    Answer quick;
    read(start("m @ p/r", quick));
    store_.run();
    EXPECT_TRUE(quick.ended);
    EXPECT_TRUE(told.empty());
}

TEST_F(EngineQueryServiceTest, QueriesOfOneAskerAreOnAllThreads) {
    begin_on(2);
    std::array<Answer, 20> answers;
    for (Answer& answer : answers) {
        read(start("m @ p/r | buckets 10", answer));
    }
    const auto count_ended = [&] { return std::ranges::count_if(answers, &Answer::ended); };
    while (step(0)) {
    }
    EXPECT_EQ(count_ended(), 10);
    while (step(1)) {
    }
    EXPECT_EQ(count_ended(), 20);
}

// The light one has four pieces of work up to its end: that blocks are wanted, its binding, its
// first block, and the end. Before each there is one of the other asker's.
TEST_F(EngineQueryServiceTest, ManyHeavyQueriesOfOneAskerLeaveOthersTheirTurns) {
    begin_on(1);
    std::array<Answer, 64> heavy_answers;
    for (Answer& answer : heavy_answers) {
        answer.whose = &heavy_answers;
        read(start(heavy(), answer));
    }
    const auto has_block = [](const Answer& answer) { return answer.blocks > 0; };
    while (!std::ranges::all_of(heavy_answers, has_block)) {
        ASSERT_TRUE(step());
    }
    Answer light;
    light.whose = &light;
    read(start("m @ p/r | buckets 10", light));
    size_t steps = 0;
    while (!light.ended) {
        ASSERT_TRUE(step());
        ++steps;
        store_.run();
    }
    EXPECT_EQ(light.rows, 10U);
    EXPECT_LE(steps, 8U);
    EXPECT_FALSE(std::ranges::any_of(heavy_answers, &Answer::ended));
}

TEST_F(EngineQueryServiceTest, AQueryThatIsGivenUpStopsInTheMiddleOfABlock) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>();
    begin_on(1, limits);
    const std::string text = heavy(" | buckets 5");
    Answer whole;
    read(start(text, whole));
    EXPECT_GT(count_steps(), 8U);
    EXPECT_EQ(whole.rows, 1'000U);
    EXPECT_EQ(whole.blocks, 1U);

    Answer given_up;
    read(start(text, given_up));
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(step());
    }
    EXPECT_GT(limits.memory->used(), 0U) << "it should be in the middle of its work";
    running_.clear();
    // Each of both hears that it is given up; the turn under way comes to its end, and what it held
    // goes.
    EXPECT_LE(count_steps(), 4U);
    EXPECT_EQ(given_up.blocks, 0U);
    EXPECT_EQ(limits.memory->used(), 0U);
}

}  // namespace stepdb::engine_query_service_test
