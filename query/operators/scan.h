// The first operator: the points of a series as the store has them.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// An error of the store, with the series that was read if it is one of damage.
Error name_series(const Error& error, const ExecutionContext& context, const Series& series);

// kCancelled once the context is. Context and series outlive the cursor.
std::unique_ptr<SeriesCursor> make_scan(ExecutionContext& context, const Series& series,
                                        KeyRange range);

}  // namespace stepdb
