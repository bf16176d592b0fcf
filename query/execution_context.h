// What everything that executes a query shares.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/memory_budget.h"
#include "query/bind.h"
#include "query/execution_limits.h"
#include "query/expression.h"
#include "query/selection.h"
#include "query/series_source.h"
#include "query/turns.h"

namespace stepdb {

// Points that have no place on the x that was asked for.
struct LeftOutPoints {
    uint64_t without_x = 0;     // missing or not finite
    uint64_t not_positive = 0;  // on a logarithmic x
};

struct ExecutionContext {
    ExecutionContext(BoundQuery its_query, SeriesSource& its_source, int64_t its_now_us,
                     std::shared_ptr<MemoryBudget> its_memory, Executor* executor)
        : bound(std::move(its_query)),
          source(its_source),
          now_us(its_now_us),
          memory(std::move(its_memory)),
          turns(executor) {}

    // Before every batch that is read: kCancelled once the query is, kResourceExhausted once it has
    // read more points than it may.
    Status check_goes_on() const;
    // kResourceExhausted if as many buckets of each selected series are more than it may have.
    Status check_buckets(uint32_t of_each) const;

    BoundQuery bound;
    // Runs that were bound and for which `where` does not hold.
    std::vector<const SelectedRun*> left_out;
    SeriesSource& source;
    int64_t now_us;
    std::shared_ptr<MemoryBudget> memory;  // may be null: unbounded
    ExecutionLimits limits;
    Turns turns;
    std::vector<std::unique_ptr<const PointExpression>> expressions;  // on points, by number
    Selection selection;
    Plan plan;                               // of series queries
    std::vector<MemoryCharge> name_charges;  // of the series
    LeftOutPoints left_out_points;
    std::vector<std::string> notes;      // for the user, beside the answer
    std::atomic<bool> cancelled{false};  // set from any thread, seen at the next batch
    // Set if the query is watched: the width of its grid, 0 if it has none yet. A grid that is laid
    // leaves its own here.
    std::optional<double> watched_width;
};

}  // namespace stepdb
