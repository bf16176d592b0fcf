// The last N points of a series. Keeps at most 2 N of them in memory besides a batch, charged to
// `memory`, if there is one.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/snapshot.h"

namespace stepdb {

std::unique_ptr<SeriesCursor> make_last_points(std::unique_ptr<SeriesCursor> input, uint64_t points,
                                               std::shared_ptr<MemoryBudget> memory);

}  // namespace stepdb
