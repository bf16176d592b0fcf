// One query on its way from text to answer:
//
//   begin -> engine side: catalog -> its place: parse, bind -> engine side: snapshot
//         -> its place: columns, then a block whenever one is wanted -> its receiver
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/engine.h"
#include "net/query_environment.h"
#include "net/query_service.h"
#include "net/query_sides.h"
#include "query/snapshot_query.h"

namespace stepdb {

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

    Engine& engine;
    Executor& engine_side;
    Executor& net_side;
    const Clock& clock;
    const std::function<void(std::chrono::microseconds, std::function<void()>)> call_after;
    const std::function<std::chrono::steady_clock::time_point()> steady_now;
    const QueryLimits limits;
    QuerySides sides;
};

// Where the answer of a job goes. Called on the job's place, not any more once it was given up; an
// error ends the job, which tells of it by failed().
class AnswerReceiver {
  public:
    virtual ~AnswerReceiver() = default;
    // Before anything is computed. `sequence` is what the snapshot reaches to. False: there is no
    // need to compute, and the job has ended.
    virtual Result<bool> begins(const Snapshot& snapshot, uint64_t sequence,
                                QueryExecution& execution) = 0;
    virtual void prepared(const QueryExecution& execution) = 0;
    virtual Status takes(ResultBlock block) = 0;
    virtual void ended(const QueryExecution& execution, uint64_t rows) = 0;
    virtual void failed(Error error) = 0;
};

// The engine's and the query side's end. Whatever is posted for it keeps it alive.
class QueryJob : public std::enable_shared_from_this<QueryJob> {
  public:
    QueryJob(QueryShared& shared, QueryText asked, std::unique_ptr<AnswerReceiver> receiver,
             TurnQueue::Asker asker);

    // The asker's calls, on the net side. begin() comes once and first.
    void begin();
    void want(uint32_t blocks);
    // Nobody waits for the answer any more: what is being computed stops at the next batch that it
    // reads, and does not wait for its turn to hear of it.
    void give_up();

  private:
    template <typename Work>
    void on_engine_side(Work work);
    template <typename Work>
    void on_query_side(Work work);

    void bind(const std::shared_ptr<const Catalog>& catalog);
    void execute(PreparedQuery prepared, uint64_t sequence);
    void take_columns(const Status& prepared);
    void make_block();
    void take_block(const Result<bool>& more);
    void end();
    void fail(Error error);
    void release();
    void release_later();

    QueryShared& shared_;
    // The last to go, as who waits for that may destroy what is shared.
    const std::unique_ptr<QuerySides::Place> place_;
    const QueryText asked_;
    const std::unique_ptr<AnswerReceiver> receiver_;
    std::atomic<bool> cancelled_{false};
    std::mutex query_mutex_;
    // Set and reset on the query side, under the lock, so that give_up() can cancel it from the net
    // side. The rest is the query side's.
    std::unique_ptr<SnapshotQuery> query_;
    ResultBlock block_;
    bool is_busy_ = false;  // a block is being made
    bool has_ended_ = false;
    uint64_t wanted_ = 0;
    uint64_t rows_ = 0;
};

}  // namespace stepdb
