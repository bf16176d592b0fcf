// The first N points of a series; reads no further.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/snapshot.h"

namespace stepdb {

std::unique_ptr<SeriesCursor> make_first_points(std::unique_ptr<SeriesCursor> input,
                                                uint64_t points);

}  // namespace stepdb
