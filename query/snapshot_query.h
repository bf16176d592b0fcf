// A query on an engine. The engine is asked on its executor, for a moment; the answer is computed
// from the snapshot, on whichever executor `files` belongs to.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/block_cache.h"
#include "engine/engine.h"
#include "query/executor.h"

namespace stepdb {

struct PreparedQuery {
    BoundQuery bound;
    std::shared_ptr<const Catalog> catalog;  // in which the runs were found
    std::shared_ptr<const Snapshot> snapshot;
    std::vector<std::string> notes;        // for the user, beside the answer
    std::shared_ptr<MemoryBudget> memory;  // what the query takes is charged to it, if it is there
    std::shared_ptr<BlockCache> cache;     // of what queries keep for each other, likewise
    ExecutionLimits limits;
};

// What the query wants to know of the engine, and of the queries on it, beside its runs. On the
// engine's executor.
void tell_store(const Engine& engine, const QueryFacts& queries, PreparedQuery& prepared);

// Finds the query's runs and takes a snapshot of them. On the engine's executor. Errors are those
// of bind_query(), which looks into `known` if it is there.
Result<PreparedQuery> prepare_query(Query query, const Engine& engine, KnownRuns* known = nullptr);

// Snapshot, reader and execution under one roof.
class SnapshotQuery {
  public:
    // `files` and `executor`, which may be null, outlive the query; see QueryExecution::create.
    static std::unique_ptr<SnapshotQuery> create(PreparedQuery prepared, FileSystem& files,
                                                 int64_t now_us, Executor* executor);
    ~SnapshotQuery();

    QueryExecution& execution() { return *execution_; }

  private:
    class Source;

    explicit SnapshotQuery(std::unique_ptr<Source> source);

    std::unique_ptr<Source> source_;
    std::unique_ptr<QueryExecution> execution_;
};

}  // namespace stepdb
