// `where`: leaves the runs, or the series, of a query for which a condition holds
// (operators/where.cc).
#pragma once

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "query/execution_context.h"
#include "query/expression_ast.h"

namespace stepdb {

// Of the runs of a scope of the bound query, before series are selected. The condition outlives the
// task.
Task<Status> filter_runs(ExecutionContext& context, const Expression& condition, size_t scope);

// Of the selection's series.
Task<Status> filter_series(ExecutionContext& context, const Expression& condition);

}  // namespace stepdb
