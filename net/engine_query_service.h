// The query service of the real server: looks runs up and takes snapshots on the engine's executor,
// parses and computes on an executor of its own, so that a long query delays no commit, and hands
// blocks to the net thread, at most as many as were wanted. Queries under way take turns block by
// block.
//
//   start -> engine side: catalog -> query side: parse, bind -> engine side: snapshot
//         -> query side: columns, then a block whenever one is wanted -> net side: the sink
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/base/memory_budget.h"
#include "engine/block_cache.h"
#include "engine/engine.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/model/limits.h"
#include "net/query_service.h"

namespace stepdb {

// What the service stands on; all outlive it. The executors may be one and the same.
struct QueryEnvironment {
    QueryEnvironment(Executor& engine, Executor& query, Executor& net, FileSystem& files,
                     const Clock& time)
        : engine_side(engine), query_side(query), net_side(net), file_system(files), clock(time) {}

    Executor& engine_side;
    Executor& query_side;
    Executor& net_side;
    FileSystem& file_system;  // of the query side
    const Clock& clock;       // what `now` stands for
};

struct QueryLimits {
    QueryLimits() = default;
    std::shared_ptr<MemoryBudget> memory;  // what all queries compute with; null: unbounded
    std::shared_ptr<BlockCache> cache;     // what they keep for each other; null: nothing
    // When rows take more memory than this and snapshots alone keep more than that of it, so that
    // newer rows would have to wait, the oldest query ends, once it is old enough.
    size_t rows_bytes_min = 0;
    size_t pinned_bytes_max = std::numeric_limits<size_t>::max();
    std::chrono::microseconds pinning_time_min = std::chrono::seconds(2);
    std::chrono::microseconds time_max{kQueryTimeMaxUs};
};

class EngineQueryService : public QueryService {
  public:
    EngineQueryService(Engine& engine, const QueryEnvironment& environment,
                       QueryLimits limits = QueryLimits())
        : engine_(engine), environment_(environment), limits_(std::move(limits)) {}

    // Waits, on a thread that is none of the environment's, until nothing is computed any more.
    // Every RunningQuery is destroyed by then; engine side and query side still work.
    ~EngineQueryService() override;

    std::unique_ptr<RunningQuery> start(QueryText query, ResultSink& sink) override;
    void tick() override;

  private:
    struct Outlet;
    class Job;
    class Handle;

    void job_made();
    void job_gone();

    Engine& engine_;
    QueryEnvironment environment_;
    QueryLimits limits_;
    std::map<uint64_t, Handle*> running_;  // by age; net side
    uint64_t started_ = 0;
    std::mutex mutex_;
    std::condition_variable jobs_gone_;
    size_t jobs_ = 0;  // under mutex_
};

}  // namespace stepdb
