// From a series query to its series and the plan of what is done with their points: chooses series
// (terms, `top N by`), looks at the store for what `start` and `end` stand for, once a query, and
// makes the plan (operators/resolve.cc).
#pragma once

#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "query/execution_context.h"
#include "query/plan.h"

namespace stepdb {

struct ResolvedSeries {
    std::vector<Series> series;
    Plan plan;
};

// Of the query whose runs are chosen. It outlives the plan. Errors are those of the query's names
// and ranges, and of reading.
Task<Result<ResolvedSeries>> resolve_series(ExecutionContext& context, const SeriesQuery& query);

// Leaves the series with the largest or smallest values of the stage's expression, in their order
// (operators/rank.cc). `own` is the plan of the stages before it, `ranges` that of the ranges among
// them.
Task<Status> rank_series(ExecutionContext& context, const RankStage& stage, SourceSpan span,
                         const Plan& own, const Plan& ranges, std::vector<Series>& series);

}  // namespace stepdb
