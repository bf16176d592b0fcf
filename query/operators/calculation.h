// The points of series that are calculated with others.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// IEEE 754; `%` has the sign of its left side.
double apply_operator(Operator op, double a, double b);

// The points of a stored or calculated series whose keys lie in the range. Context and series
// outlive the cursor.
std::unique_ptr<SeriesCursor> make_source(ExecutionContext& context, const Series& series,
                                          KeyRange range);

}  // namespace stepdb
