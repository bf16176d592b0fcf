// `where`: leaves the runs, or the series, of a query for which a condition holds
// (operators/where.cc).
#pragma once

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "query/execution_context.h"
#include "query/expression_ast.h"

namespace stepdb {

// Of the bound query's runs. The condition outlives the task.
Task<Status> filter_runs(ExecutionContext& context, const Expression& condition);

// Of the selection's series.
Task<Status> filter_series(ExecutionContext& context, const Expression& condition);

// Binds the conditions of `when` stages for the pipelines of a query.
Status bind_conditions(ExecutionContext& context, const SeriesQuery& query);

}  // namespace stepdb
