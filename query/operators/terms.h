// From the terms of a series query to its series: those that are stored, and those that are
// calculated with them (operators/terms.cc).
#pragma once

#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "query/execution_context.h"

namespace stepdb {

// In natural order of run and metric. Resolves the queries in parentheses. Errors as of
// select_series(); kInvalidArgument at the place of operands that do not go together.
Task<Result<std::vector<Series>>> select_terms(ExecutionContext& context, const SeriesQuery& query);

}  // namespace stepdb
