// What one execution may take beside memory, which has a budget of its own.
#pragma once

#include <cstdint>
#include <limits>

namespace stepdb {

struct ExecutionLimits {
    ExecutionLimits() = default;

    // Values decoded, of blocks and of tails: what `explain` counts as such.
    uint64_t points_max = std::numeric_limits<uint64_t>::max();
    // Of all series together.
    uint64_t buckets_max = std::numeric_limits<uint64_t>::max();
};

}  // namespace stepdb
