// The query service of the real server: looks runs up and takes snapshots on the engine's executor,
// parses and computes on those of the query sides, so that a long query delays no commit, and hands
// blocks to the net thread, at most as many as were wanted. A query is computed on one side from
// its beginning to its end; there its blocks, and the pieces of a long one, take turns with those
// of other askers. net/query_job.h is a query's way, net/watches.h that of watched ones.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "engine/engine.h"
#include "net/query_environment.h"
#include "net/query_service.h"

namespace stepdb {

struct QueryShared;
class Watches;

class EngineQueryService : public QueryService {
  public:
    EngineQueryService(Engine& engine, const QueryEnvironment& environment,
                       QueryLimits limits = QueryLimits());

    // Waits, on a thread that is none of the environment's, until nothing is computed any more.
    // Every RunningQuery is destroyed by then; engine side and query sides still work.
    ~EngineQueryService() override;

    std::unique_ptr<RunningQuery> start(QueryText query, ResultSink& sink) override;
    std::unique_ptr<RunningWatch> watch(QueryText query, UpdateSink& sink) override;
    std::unique_ptr<RunningQuery> backup(std::string directory, ResultSink& sink) override;
    std::shared_ptr<MemoryBudget> make_memory() const override;
    QueryFigures figures() const override;
    void tick() override;

  private:
    class Handle;

    void expire_waiting();

    std::map<uint64_t, Handle*> running_;  // by age; net side
    uint64_t started_ = 0;
    std::unique_ptr<QueryShared> shared_;
    std::unique_ptr<Watches> watches_;
};

}  // namespace stepdb
