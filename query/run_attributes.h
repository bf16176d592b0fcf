// The attributes of a run as queries see them: the user's, and those that the server keeps.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "query/bind.h"
#include "query/series_source.h"
#include "query/value.h"

namespace stepdb {

Attributes all_attributes(const SelectedRun& selected, const SeriesSource& source, int64_t now_us);

// One of them; missing if it is not there. `selected` outlives the value.
Value find_attribute(const SelectedRun& selected, std::string_view name, const SeriesSource& source,
                     int64_t now_us);

// Every name under `sys/` that there can be.
std::span<const std::string> system_attribute_names();

}  // namespace stepdb
