// Puts the operators of a pipeline (plan.h) behind one another, for one series.
#pragma once

#include <memory>
#include <optional>

#include "query/execution_context.h"
#include "query/plan.h"

namespace stepdb {

// The context outlives the cursor.
std::unique_ptr<SeriesCursor> make_pipeline(ExecutionContext& context, const Series& series,
                                            const Pipeline& pipeline);

// The smallest and largest key that come out of it; unset if no point does. Where the pipeline is
// nothing but a range, an end that the range cuts off is the range's own.
// Of a whole stored series it may be that widened by `known`, such as the range of other series,
// which takes less.
Task<Result<std::optional<KeyRange>>> measure_keys(ExecutionContext& context, const Series& series,
                                                   const Pipeline& pipeline,
                                                   std::optional<KeyRange> known = std::nullopt);

// What is to be known of the points that come out of it; without points if none does.
Task<Result<Summary>> summarize(ExecutionContext& context, const Series& series,
                                const Pipeline& pipeline);

// Widens `range` to hold `by`.
void widen_range(std::optional<KeyRange>& range, const KeyRange& by);

}  // namespace stepdb
