// `every W STATISTIC`: one point for each window [k W, (k+1) W) in which there is a point.
#pragma once

#include <memory>

#include "query/execution_context.h"

namespace stepdb {

// Keys are steps or numbers, or microseconds if the stage has a duration.
std::unique_ptr<SeriesCursor> make_every(std::unique_ptr<SeriesCursor> input,
                                         const EveryStage& how);

}  // namespace stepdb
