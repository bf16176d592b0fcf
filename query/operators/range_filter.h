// Lets points through whose key, or whose time, lies in a range.
#pragma once

#include <memory>

#include "engine/snapshot.h"

namespace stepdb {

enum class FilterBy : uint8_t { kKey, kTime };

std::unique_ptr<SeriesCursor> make_range_filter(std::unique_ptr<SeriesCursor> input, FilterBy by,
                                                KeyRange range);

}  // namespace stepdb
