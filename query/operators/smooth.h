// `ema`, `moving`, `diff`, `rate` and `zscore`: what is made of each finite point and those before
// it. Points that are not finite come out as they are and are for the others as though they were
// not there.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// The windows are charged to `memory`, which may be null.
std::unique_ptr<SeriesCursor> make_smooth(std::unique_ptr<SeriesCursor> input,
                                          const SmoothStage& how, Axis axis,
                                          std::shared_ptr<MemoryBudget> memory);

}  // namespace stepdb
