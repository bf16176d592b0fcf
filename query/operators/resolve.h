// Looks at the store for what `start` and `end` stand for, once a query, and makes the plan.
#pragma once

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "query/execution_context.h"
#include "query/plan.h"

namespace stepdb {

Task<Result<Plan>> resolve_plan(ExecutionContext& context, const SeriesQuery& query);

}  // namespace stepdb
