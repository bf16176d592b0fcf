// Summaries over rows of which keys and times are looked up later.
#pragma once

#include <span>

#include "engine/model/summary.h"

namespace stepdb {

// Of values in rows `first`, `first` + 1 and so on; key and time of a point are its row.
Summary summarize_rows_from(Key first, std::span<const double> values);

}  // namespace stepdb
