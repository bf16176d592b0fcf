// The points for which a condition holds.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// `series` is whose points come out of `input`. The context outlives the cursor.
std::unique_ptr<SeriesCursor> make_when_filter(std::unique_ptr<SeriesCursor> input,
                                               ExecutionContext& context, const Series& series,
                                               const WhenStep& step);

}  // namespace stepdb
