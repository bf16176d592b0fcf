// The first operator: the points of a series as the store has them.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// kCancelled once the context is. The context outlives the cursor.
std::unique_ptr<SeriesCursor> make_scan(ExecutionContext& context, const Series& series,
                                        KeyRange range);

}  // namespace stepdb
