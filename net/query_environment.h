// What a query service stands on and what it keeps within.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/log_event.h"
#include "engine/base/memory_budget.h"
#include "engine/block_cache.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/model/limits.h"
#include "net/query_sides.h"
#include "query/execution_limits.h"

namespace stepdb {

// All of it outlives the service. Executors may be one and the same.
struct QueryEnvironment {
    QueryEnvironment(Executor& engine, std::vector<QuerySide> query, Executor& net,
                     const Clock& time)
        : engine_side(engine), query_sides(std::move(query)), net_side(net), clock(time) {}
    // Queries on one executor, `files` being its own.
    QueryEnvironment(Executor& engine, Executor& query, Executor& net, FileSystem& files,
                     const Clock& time)
        : QueryEnvironment(engine, {QuerySide(query, files)}, net, time) {}

    Executor& engine_side;
    std::vector<QuerySide> query_sides;  // at least one
    Executor& net_side;
    const Clock& clock;  // what `now` stands for
    // Calls `call` on the net side once the time has passed. Unset: no query can be watched.
    std::function<void(std::chrono::microseconds after, std::function<void()> call)> call_after;
    // The time that passes meanwhile; tests have their own.
    std::function<std::chrono::steady_clock::time_point()> steady_now =
        &std::chrono::steady_clock::now;
};

struct QueryLimits {
    QueryLimits() = default;
    std::shared_ptr<MemoryBudget> memory;  // what all queries compute with; null: unbounded
    size_t memory_each_max = std::numeric_limits<size_t>::max();  // of that, one query
    ExecutionLimits execution;                                    // of one query
    std::shared_ptr<BlockCache> cache;  // what they keep for each other; null: nothing
    // When rows take more memory than this and snapshots alone keep more than that of it, so that
    // newer rows would have to wait, the oldest query ends, once it is old enough.
    size_t rows_bytes_min = 0;
    size_t pinned_bytes_max = std::numeric_limits<size_t>::max();
    std::chrono::microseconds pinning_time_min = std::chrono::seconds(2);
    std::chrono::microseconds time_max{kQueryTimeMaxUs};
    // Of that, waiting for memory that others have.
    std::chrono::microseconds memory_wait_max = std::chrono::seconds(10);
    // Of a query that took as long or longer `tell_slow` hears (describe_query), on the thread that
    // computed it; unset: of none.
    std::optional<std::chrono::microseconds> slow_min;
    TellEvent tell_slow;
};

}  // namespace stepdb
