// One query on its way from text to answer:
//
//   begin -> engine side: catalog -> its place: parse, bind -> engine side: snapshot
//         -> its place: columns, then a block whenever one is wanted -> its receiver
//
// One that finds no memory before its first block waits for it in line and begins anew.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/base/duration_histogram.h"
#include "engine/engine.h"
#include "net/memory_line.h"
#include "net/query_environment.h"
#include "net/query_report.h"
#include "net/query_service.h"
#include "net/query_sides.h"
#include "query/snapshot_query.h"

namespace stepdb {

// How the queries of a service ended, since it was made.
struct QueryCounts {
    std::atomic<uint64_t> done{0};
    std::atomic<uint64_t> failed{0};
    std::atomic<uint64_t> cancelled{0};
    std::atomic<uint64_t> slow{0};
    DurationHistogram durations;  // from arrival to end, however that was
};

// What the queries of a service share; outlives them.
struct QueryShared {
    QueryShared(Engine& its_engine, const QueryEnvironment& environment, QueryLimits its_limits)
        : engine(its_engine),
          engine_side(environment.engine_side),
          net_side(environment.net_side),
          clock(environment.clock),
          call_after(environment.call_after),
          steady_now(environment.steady_now),
          limits(std::move(its_limits)),
          sides(environment.query_sides) {}

    // The part of a query, or of an answer that is kept; null if there is no bound.
    std::shared_ptr<MemoryBudget> make_memory() const;

    Engine& engine;
    Executor& engine_side;
    Executor& net_side;
    const Clock& clock;
    const std::function<void(std::chrono::microseconds, std::function<void()>)> call_after;
    const std::function<std::chrono::steady_clock::time_point()> steady_now;
    const QueryLimits limits;
    QueryCounts counts;
    KnownRuns known_runs;
    MemoryLine memory_line;
    QuerySides sides;  // the first to go: it waits for the queries
};

QueryFacts list_query_facts(const QueryShared& shared);

// Where the answer of a job goes. Called on the job's place, not any more once it was given up; an
// error ends the job, which tells of it by failed().
class AnswerReceiver {
  public:
    virtual ~AnswerReceiver() = default;
    // Before anything is computed; again if the job begins anew. `sequence` is what the snapshot
    // reaches to. False: there is no need to compute, and the job has ended.
    virtual Result<bool> begins(const Snapshot& snapshot, uint64_t sequence,
                                QueryExecution& execution) = 0;
    virtual void prepared(const QueryExecution& execution) = 0;
    virtual Status takes(ResultBlock block) = 0;
    // The job waits for memory. True: it need not make the blocks that were wanted, for which room
    // is kept; they are wanted again after resumes().
    virtual bool gives_back(uint32_t /*wanted*/) { return false; }
    virtual void resumes() {}
    virtual void ended(const QueryExecution& execution, uint64_t rows) = 0;
    virtual void failed(Error error) = 0;
};

// The engine's and the query side's end. Whatever is posted for it keeps it alive.
class QueryJob : public std::enable_shared_from_this<QueryJob> {
  public:
    QueryJob(QueryShared& shared, QueryText asked, std::unique_ptr<AnswerReceiver> receiver,
             TurnQueue::Asker asker);
    ~QueryJob();
    QueryJob(const QueryJob&) = delete;
    QueryJob& operator=(const QueryJob&) = delete;

    // The asker's calls, on the net side. begin() comes once and first.
    void begin();
    void want(uint32_t blocks);
    // Nobody waits for the answer any more, and why: what is being computed stops at the next batch
    // that it reads, and does not wait for its turn to hear of it. The first of several counts.
    void give_up(QueryOutcome outcome, std::string error = "");
    // How long it has waited for memory, and whether it does now; any thread.
    std::chrono::microseconds memory_wait() const;
    bool waits_for_memory() const { return waiting_since_us_ >= 0; }

  private:
    template <typename Work>
    void on_engine_side(Work work);
    template <typename Work>
    void on_query_side(Work work);

    void bind(const std::shared_ptr<const Catalog>& catalog);
    void execute(PreparedQuery prepared, uint64_t sequence);
    void take_prepared(const Status& prepared);
    void make_block();
    void take_block(const Result<bool>& more);
    void begin_answer();
    void end();
    void stop_or_wait(const Error& error);
    void wait_for_memory(size_t bytes);
    void give_back_wanted();
    void begin_anew();
    void fail(Error error);
    void report(QueryOutcome outcome, const std::string& error);
    void report_given_up();
    void release();
    void release_later();

    QueryShared& shared_;
    // The last to go, as who waits for that may destroy what is shared.
    const std::unique_ptr<QuerySides::Place> place_;
    const QueryText asked_;
    const std::unique_ptr<AnswerReceiver> receiver_;
    const std::shared_ptr<MemoryBudget> memory_;  // null: unbounded
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::atomic<bool> cancelled_{false};
    std::mutex query_mutex_;
    // Set before cancelled_ is.
    QueryOutcome why_given_up_ = QueryOutcome::kCancelled;
    std::string given_up_error_;
    // Set and reset on the query side, under the lock, so that give_up() can cancel it from the net
    // side.
    std::unique_ptr<SnapshotQuery> query_;
    // Written on the query side. Since when it waits for memory, in microseconds since begun_; -1:
    // it does not.
    std::atomic<int64_t> waiting_since_us_{-1};
    std::atomic<int64_t> memory_wait_us_{0};  // before
    // The rest is the query side's.
    ResultBlock block_;
    bool is_busy_ = false;  // columns or a block are being made
    bool has_answered_ = false;
    bool has_ended_ = false;
    uint32_t bindings_ = 0;  // made again because a run has changed meanwhile
    bool is_reported_ = false;
    size_t memory_peak_ = 0;
    size_t waited_bytes_ = 0;
    ReadCost cost_;
    uint64_t wanted_ = 0;
    uint64_t rows_ = 0;
};

}  // namespace stepdb
