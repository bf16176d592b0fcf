// What scripts cannot say: cancelling, errors from the store, what explain counts, big batches.
#include <gmock/gmock.h>

#include "engine/model/limits.h"
#include "query/parser.h"
#include "tests/query/engine_store.h"
#include "tests/query/map_store.h"
#include "tests/support/sim_executor.h"

namespace stepdb::execution_test {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::unique_ptr<QueryExecution> prepared(std::unique_ptr<QueryExecution> execution) {
    SimExecutor executor;
    const Status done = run_task(executor, execution->prepare());
    CHECK(done.has_value(), "{}", done.error().to_string());
    return execution;
}

std::unique_ptr<QueryExecution> execute(MapStore& store, const std::string& text) {
    Result<Query> query = parse_query(text);
    Result<BoundQuery> bound = bind_query(std::move(query).value(), store.runs());
    return prepared(QueryExecution::create(std::move(bound).value(), store, 0));
}

void fill(MapStore& store, const std::string& metric, int points) {
    for (int i = 0; i < points; ++i) {
        store.add_point("a", "r", metric, Axis::kStepped, key_of_step(i), {0, 1.0});
    }
}

TEST(Execution, ListsRuns) {
    MapStore store;
    fill(store, "x", 1);
    fill(store, "y", 1);
    store.add_point("a", "s", "x", Axis::kStepped, 0, {0, 1.0});
    ASSERT_TRUE(store.finish("a", "s", RunState::kFailed).has_value());
    EXPECT_THAT(store.query("runs", 0).value(), ElementsAre("run,state,created,attempts,metrics",
                                                            "a/r,running,,1,2", "a/s,failed,,1,1"));
}

TEST(Execution, SaysThatTheStoreIsEmpty) {
    MapStore store;
    for (const std::string query : {"runs", "runs a/*", "x @ **"}) {
        EXPECT_THAT(store.query(query, 0).value(), Contains("note the store has no runs")) << query;
    }
    EXPECT_THAT(store.query("x @ a/r", 0).error().message(),
                HasSubstr("there is no run 'a/r'; the store has no runs"));
}

TEST(Execution, ExplainCountsWhatTheQueryTook) {
    MapStore store;
    fill(store, "x", 10);
    fill(store, "y", 10);
    EXPECT_THAT(store.query("explain * @ a/r | steps 1..5 | buckets 3", 0).value(),
                ElementsAre("what,count", "runs,1", "series,2", "pieces,2", "chunks decoded,0",
                            "vectors decoded,0", "values decoded,10", "index nodes used,0",
                            "summaries used,0", "bytes read,0", "rows,6"));
}

// Two blocks of 128 rows and a tail of 8; then all in a segment. Of a block a vector of its values
// is decoded, and one each of times and sequences; steps are a stride.
TEST(Execution, ExplainTellsTailsBlocksAndSegmentsApart) {
    EngineStore store(Reopening::kClose);
    for (int step = 0; step < 264; ++step) {
        ScriptRow row;
        row.project = "a";
        row.run = "r";
        row.step = step;
        row.values = {{"x", step * 0.37}, {"y", 1.0}};
        ASSERT_TRUE(store.add_row(row).has_value());
    }
    EXPECT_THAT(store.query("explain x @ a/r", 0).value(),
                ElementsAre("what,count", "runs,1", "series,1", "pieces,3", "chunks decoded,2",
                            "vectors decoded,6", "values decoded,264", "index nodes used,0",
                            "summaries used,0", "bytes read,0", "rows,264"));
    EXPECT_THAT(store.query("explain x @ a/r | steps 259..", 0).value(),
                ElementsAre("what,count", "runs,1", "series,1", "pieces,1", "chunks decoded,0",
                            "vectors decoded,0", "values decoded,5", "index nodes used,0",
                            "summaries used,0", "bytes read,0", "rows,5"));
    EXPECT_THAT(store.query("explain x @ a/r | steps 10..11", 0).value(),
                ElementsAre("what,count", "runs,1", "series,1", "pieces,1", "chunks decoded,1",
                            "vectors decoded,3", "values decoded,2", "index nodes used,0",
                            "summaries used,0", "bytes read,0", "rows,2"));
    ASSERT_TRUE(store.flush().has_value());
    EXPECT_THAT(store.query("explain x @ a/r", 0).value(),
                ElementsAre("what,count", "runs,1", "series,1", "pieces,3", "chunks decoded,3",
                            "vectors decoded,9", "values decoded,264", "index nodes used,0",
                            "summaries used,0", StartsWith("bytes read,"), "rows,264"));
    EXPECT_THAT(store.query("explain x @ a/r | steps 265..", 0).value(),
                ElementsAre("what,count", "runs,1", "series,1", "pieces,0", "chunks decoded,0",
                            "vectors decoded,0", "values decoded,0", "index nodes used,0",
                            "summaries used,0", "bytes read,0", "rows,0"));
    EXPECT_THAT(store.query("explain x @ a/r", 0).value(), Not(Contains("bytes read,0")));
}

TEST(Execution, SeesACancelAtTheNextBatch) {
    MapStore store(1);
    fill(store, "x", 3 * kResultBatchRows);
    for (const std::string stage : {"", " | buckets 5", " | last 5"}) {
        const auto execution = execute(store, "x @ a/r" + stage);
        SimExecutor executor;
        ResultBlock block;
        execution->cancel();
        const Result<bool> more = run_task(executor, execution->next(block));
        ASSERT_FALSE(more.has_value());
        EXPECT_EQ(more.error().code(), ErrorCode::kCancelled);
    }
}

TEST(Execution, SeesACancelWhileItChoosesAndSorts) {
    MapStore store(1);
    fill(store, "x", 10);
    for (const std::string query :
         {"runs where last(x) = 9", "runs | sort count(x when value > 0)",
          "metrics ** @ a/r where min = max", "x @ a/r where max(x) > 0"}) {
        Result<BoundQuery> bound = bind_query(parse_query(query).value(), store.runs());
        const auto execution = QueryExecution::create(std::move(bound).value(), store, 0);
        execution->cancel();
        SimExecutor executor;
        const Status done = run_task(executor, execution->prepare());
        ASSERT_FALSE(done.has_value()) << query;
        EXPECT_EQ(done.error().code(), ErrorCode::kCancelled) << query;
    }
}

TEST(Execution, OthersHaveTheirTurnWhileALongStepGoesOn) {
    MapStore store;
    fill(store, "x", 1'000'000);
    Result<BoundQuery> bound =
        bind_query(parse_query("runs where count(x when value > 0) = 1M").value(), store.runs());
    SimExecutor executor;
    const auto execution =
        QueryExecution::create(std::move(bound).value(), store, 0, nullptr, &executor);
    bool is_done = false;
    start(execution->prepare(), [&](Status done) {
        EXPECT_TRUE(done.has_value());
        is_done = true;
    });
    bool had_its_turn = false;
    executor.post([&] { had_its_turn = !is_done; });
    executor.run_until_idle();
    EXPECT_TRUE(is_done);
    EXPECT_TRUE(had_its_turn);
}

TEST(Execution, ConditionsReadNoMoreThanDecidesThem) {
    MapStore store;
    for (int run = 0; run < 10; ++run) {
        const std::string name = fmt::format("r{}", run);
        store.add_point("a", name, "x", Axis::kStepped, 0, {0, 1.0 * run});
    }
    const auto values_read = [&](const std::string& query) {
        const uint64_t before = store.cost().values_decoded;
        EXPECT_TRUE(store.query(query, 0).has_value());
        return store.cost().values_decoded - before;
    };
    EXPECT_EQ(values_read("runs where name = r3 and count(x when value > 0) = 1"), 1U);
    EXPECT_EQ(values_read("runs where name != r3 or count(x when value > 0) = 1"), 1U);
    EXPECT_EQ(values_read("runs | show max(x when value > 0), min(x when value > 0).step"), 10U);
    // What was a key of `sort` is not read again, and what is cut off not at all.
    EXPECT_EQ(values_read("runs | show max(x when value > 0) as m | sort m"), 10U);
    EXPECT_EQ(values_read("runs | show max(x when value > 0) | sort name desc | limit 2"), 2U);
}

TEST(Execution, SortKeepsItsKeysWithinTheMemoryOfQueries) {
    MapStore store;
    for (int run = 0; run < 5000; ++run) {
        store.add_point("a", fmt::format("r{}", run), "x", Axis::kStepped, 0, {0, 1.0});
    }
    Result<BoundQuery> bound = bind_query(parse_query("runs | sort last(x)").value(), store.runs());
    const auto execution = QueryExecution::create(
        std::move(bound).value(), store, 0, std::make_shared<MemoryBudget>(size_t{256} << 10U));
    SimExecutor executor;
    const Status done = run_task(executor, execution->prepare());
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code(), ErrorCode::kResourceExhausted);
}

// The error of a query that may take so much, "" if there is none.
std::string error_within(MapStore& store, const std::string& text, const ExecutionLimits& limits) {
    MapStore fresh = store;  // as costs add up
    Result<BoundQuery> bound = bind_query(parse_query(text).value(), fresh.runs());
    const auto execution = QueryExecution::create(std::move(bound).value(), fresh, 0);
    execution->set_limits(limits);
    SimExecutor executor;
    const Status chosen = run_task(executor, execution->prepare());
    if (!chosen) {
        return chosen.error().message();
    }
    ResultBlock block;
    while (true) {
        const Result<bool> more = run_task(executor, execution->next(block));
        if (!more) {
            EXPECT_EQ(more.error().code(), ErrorCode::kResourceExhausted);
            return more.error().message();
        }
        if (!*more) {
            return "";
        }
    }
}

TEST(Execution, PointsOfAQueryAreBounded) {
    MapStore store(10);
    fill(store, "x", 100);
    fill(store, "y", 100);
    ExecutionLimits limits;
    limits.points_max = 100;
    for (const std::string query : {"x @ a/r", "x @ a/r | ema 0.5", "x @ a/r | last 1",
                                    "runs | show max(x when value > 0)"}) {
        EXPECT_EQ(error_within(store, query, limits), "") << query;
    }
    for (const std::string query :
         {"x, y @ a/r", "x, y @ a/r | buckets 5", "x + y @ a/r", "x, y @ a/r | across mean"}) {
        EXPECT_THAT(error_within(store, query, limits),
                    AllOf(HasSubstr("one query may read 100;"), HasSubstr("--query-points")))
            << query;
    }
}

TEST(Execution, BucketsOfAQueryAreBounded) {
    MapStore store;
    fill(store, "x", 10);
    fill(store, "y", 10);
    ExecutionLimits limits;
    limits.buckets_max = 100;
    EXPECT_EQ(error_within(store, "x @ a/r | buckets 100", limits), "");
    EXPECT_EQ(error_within(store, "x, y @ a/r | buckets 50 | across max", limits), "");
    for (const std::string query :
         {"x, y @ a/r | buckets 51", "x, y @ a/r | buckets 51 | across max",
          "x, y @ a/r | buckets 51 count | pivot"}) {
        EXPECT_THAT(error_within(store, query, limits),
                    AllOf(HasSubstr("51 buckets of each of 2 series, 102 in all"),
                          HasSubstr("may have 100;"), HasSubstr("--query-buckets")))
            << query;
    }
}

TEST(Execution, BlocksAreBoundedWhateverTheBatches) {
    MapStore store(size_t{3} * kResultBatchRows);
    fill(store, "x", 2 * kResultBatchRows + 5);
    fill(store, "y", 5);
    const auto execution = execute(store, "x, y @ a/r");
    SimExecutor executor;
    ResultBlock block;
    std::vector<uint32_t> rows;
    while (run_task(executor, execution->next(block)).value()) {
        rows.push_back(block.rows());
    }
    EXPECT_THAT(rows, ElementsAre(kResultBatchRows, kResultBatchRows, 10U));
}

TEST(Execution, BucketsBeyondOneBlockComeInSeveral) {
    MapStore store;
    fill(store, "x", 100);
    const Result<AnswerLines> lines = store.query("x @ a/r | buckets 20k count", 0);
    EXPECT_EQ(lines.value().size(), 20001U);
}

// A store whose second batch is damaged, and that has lost a segment with rows of some runs.
class DamagedStore final : public SeriesSource {
  public:
    explicit DamagedStore(MapStore& good) : good_(good) {}

    std::vector<MetricInfo> metrics(RunView view) const override { return good_.metrics(view); }
    std::optional<Axis> find_metric(RunView view, std::string_view metric) const override {
        return good_.find_metric(view, metric);
    }
    std::unique_ptr<SeriesCursor> open_series(RunView view, std::string_view metric,
                                              KeyRange range) override {
        return std::make_unique<Cursor>(good_.open_series(view, metric, range));
    }
    std::unique_ptr<BucketScan> open_buckets(RunView view, std::string_view metric, KeyRange range,
                                             const BucketRow& row) override {
        return bucket_points(open_series(view, metric, range), row);
    }
    Task<Result<Summary>> summarize(RunView view, std::string_view metric,
                                    KeyRange range) override {
        return good_.summarize(view, metric, range);
    }
    Task<Result<std::optional<KeyRange>>> key_range(RunView view, std::string_view metric,
                                                    std::optional<KeyRange> known) override {
        return good_.key_range(view, metric, known);
    }
    ReadCost cost() const override { return good_.cost(); }
    std::shared_ptr<const Error> damage(RunView view) const override {
        return view.run->name.starts_with("lost") ? lost_ : nullptr;
    }

  private:
    class Cursor final : public SeriesCursor {
      public:
        explicit Cursor(std::unique_ptr<SeriesCursor> good) : good_(std::move(good)) {}
        Task<Result<bool>> next(Points& batch) override {
            if (++batches_ > 1) {
                co_return Error(ErrorCode::kCorruption, "segment 7 block 3 is damaged");
            }
            co_return co_await good_->next(batch);
        }

      private:
        std::unique_ptr<SeriesCursor> good_;
        int batches_ = 0;
    };

    MapStore& good_;
    std::shared_ptr<const Error> lost_ =
        std::make_shared<const Error>(ErrorCode::kCorruption, "segment-000003 is lost");
};

TEST(Execution, ListsRunsOfALostSegmentWithoutTheirMetrics) {
    MapStore whole;
    for (const std::string run : {"lost-1", "lost-2", "whole"}) {
        whole.add_point("a", run, "x", Axis::kStepped, 0, {0, 1.0});
    }
    DamagedStore store(whole);
    Result<BoundQuery> bound = bind_query(parse_query("runs").value(), whole.runs());
    const auto execution = prepared(QueryExecution::create(std::move(bound).value(), store, 0));
    SimExecutor executor;
    ResultBlock block;
    ASSERT_TRUE(run_task(executor, execution->next(block)).value());
    ASSERT_EQ(block.rows(), 3U);
    EXPECT_TRUE(block.column(4).is_null(0));
    EXPECT_TRUE(block.column(4).is_null(1));
    EXPECT_FALSE(block.column(4).is_null(2));
    ResultBlock rest;
    ASSERT_FALSE(run_task(executor, execution->next(rest)).value());
    EXPECT_THAT(execution->notes(),
                ElementsAre("the metrics of run a/lost-1 and 1 other cannot be counted: "
                            "segment-000003 is lost"));
}

TEST(Execution, StatisticsOfALostSegmentAreAnErrorNamingTheRun) {
    MapStore whole;
    for (const std::string run : {"lost-1", "whole"}) {
        whole.add_point("a", run, "x", Axis::kStepped, 0, {0, 1.0});
    }
    DamagedStore store(whole);
    const auto prepare = [&](const std::string& query) {
        Result<BoundQuery> bound = bind_query(parse_query(query).value(), whole.runs());
        SimExecutor executor;
        const auto execution = QueryExecution::create(std::move(bound).value(), store, 0);
        return run_task(executor, execution->prepare());
    };
    const Status lost = prepare("runs where last(x) = 1");
    ASSERT_FALSE(lost.has_value());
    EXPECT_EQ(lost.error().message(), "run a/lost-1: segment-000003 is lost");
    EXPECT_TRUE(prepare("runs where name = whole and last(x) = 1").has_value());
}

TEST(Execution, PassesOnTheErrorsOfTheStore) {
    MapStore store(2);
    fill(store, "x", 10);
    DamagedStore damaged(store);
    for (const std::string stages :
         {"", "| first 5", "| last 5", "| buckets 2", "| time start..", "| last 5 | buckets 2"}) {
        Result<Query> query = parse_query("x @ a/r " + stages);
        Result<BoundQuery> bound = bind_query(std::move(query).value(), store.runs());
        const auto execution = QueryExecution::create(std::move(bound).value(), damaged, 0);
        SimExecutor executor;
        // What `start` stands for is read before the answer.
        Status done = run_task(executor, execution->prepare());
        ResultBlock block;
        if (done) {
            const Result<bool> more = run_task(executor, execution->next(block));
            done = more ? Status() : Status(more.error());
        }
        ASSERT_FALSE(done.has_value()) << stages;
        EXPECT_EQ(
            done.error().message(),
            "x of run a/r cannot be read here: segment 7 block 3 is damaged; restore the file "
            "from a backup, or ask for what is not in it")
            << stages;
    }
}

// Not in their order, so that what is kept together reaches far.
void add_points(EngineStore& store, const std::string& run, uint32_t attempt, int first,
                int points) {
    for (int i = 0; i < points; ++i) {
        ScriptRow row;
        row.project = "p";
        row.run = run;
        row.attempt = attempt;
        row.step = first + (i * 7) % points;
        row.values = {{"x", 1}};
        ASSERT_TRUE(store.add_row(row).has_value());
    }
}

// What was cut away of the attempt before, or of a parent, must not hide how far the run goes.
TEST(Execution, FindsTheEndOfARestartAndOfAForkBelowWhatTheyCut) {
    for (const Reopening reopening : {Reopening::kClose, Reopening::kMerge}) {
        EngineStore store(reopening);
        add_points(store, "r", 0, 1, 50);
        ASSERT_TRUE(store.fork("p/f", "p/r", 10).has_value());
        add_points(store, "f", 0, 20, 11);
        ASSERT_TRUE(store.restart("p/r", 1, 15).has_value());
        add_points(store, "r", 1, 16, 25);
        EXPECT_THAT(store.query("x @ p/r | buckets 1 count", 0).value(),
                    ElementsAre("run,metric,lo,hi,count", "p/r,x,1,40,40"));
        EXPECT_THAT(store.query("x @ p/f | buckets 1 count", 0).value(),
                    ElementsAre("run,metric,lo,hi,count", "p/f,x,1,30,21"));
        EXPECT_THAT(store.query("x @ p/r | steps end..", 0).value(),
                    ElementsAre("run,metric,step,value", "p/r,x,40,1"));
    }
}

}  // namespace stepdb::execution_test
