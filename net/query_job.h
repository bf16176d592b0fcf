// One query on its way from text to answer:
//
//   begin -> engine side: catalog -> its place: parse, bind -> engine side: snapshot
//         -> its place: columns, then a block whenever one is wanted -> net side: the sink
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
          limits(std::move(its_limits)),
          sides(environment.query_sides) {}

    Engine& engine;
    Executor& engine_side;
    Executor& net_side;
    const Clock& clock;
    const QueryLimits limits;
    QuerySides sides;
};

// The net side's end of a query. It outlives the job where answers are still on their way.
struct QueryOutlet {
    ResultSink* sink = nullptr;  // null once the query was given up; net side only
};

// The engine's and the query side's end. Whatever is posted for it keeps it alive.
class QueryJob : public std::enable_shared_from_this<QueryJob> {
  public:
    QueryJob(QueryShared& shared, QueryText asked, std::shared_ptr<QueryOutlet> outlet,
             TurnQueue::Asker asker);

    // The net side's calls. begin() comes once and first.
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
    // `deliver` gets the sink, unless the query was given up. The job itself stays on its side.
    template <typename Deliver>
    void on_net_side(Deliver deliver);

    void bind(const std::shared_ptr<const Catalog>& catalog);
    void execute(PreparedQuery prepared);
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
    const std::shared_ptr<QueryOutlet> outlet_;
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
