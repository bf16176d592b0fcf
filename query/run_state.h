// What is shown of a run's state.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/snapshot.h"

namespace stepdb {

// "running", "finished", "failed", or "stale": a running run of which nothing was heard for
// kStaleAfterUs, which is derived and never stored.
std::string_view shown_state(const Run& run, const RunActivity& activity, int64_t now_us);

}  // namespace stepdb
