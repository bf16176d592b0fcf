// `x E`: points with other keys, in the order of these.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// `series` is whose points come out of `input`, with its own keys. Points without a finite x are
// counted in the context. All points are kept in memory, which is charged to the context's.
std::unique_ptr<SeriesCursor> make_reindex(std::unique_ptr<SeriesCursor> input,
                                           ExecutionContext& context, const Series& series,
                                           const ReindexStep& step);

// The points whose x is above 0; the others are counted in the context.
std::unique_ptr<SeriesCursor> make_positive(std::unique_ptr<SeriesCursor> input,
                                            ExecutionContext& context);

}  // namespace stepdb
