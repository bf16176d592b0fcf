// What is shown of a run's state.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/snapshot.h"

namespace stepdb {

// "running", "finished", "failed", or "stale": a running run of which nothing was heard for
// kStaleAfterUs, which is derived and never stored.
std::string_view shown_state(const Run& run, const RunActivity& activity, int64_t now_us);

// The step at which an attempt leaves what its run was forked from; none if it reads nothing of it.
std::optional<double> fork_step(const Run& run, uint32_t attempt);

}  // namespace stepdb
