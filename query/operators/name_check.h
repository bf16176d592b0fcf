// Whether what expressions name is anywhere: a slip of the pen must not look like an empty answer.
#pragma once

#include "query/execution_context.h"
#include "query/expression.h"

namespace stepdb {

// kNotFound, with the nearest spelling, at the place of an attribute or metric that none of the
// runs has, if there are runs. Those that are asked whether they exist need not.
Status check_names(const ExpressionPlan& plan, const ExecutionContext& context);

}  // namespace stepdb
