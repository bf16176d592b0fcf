// What queries compute with is charged to one budget that all of them share, so that no query, and
// no number of them, takes more than its part of --memory.
#pragma once

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/base/text.h"

namespace stepdb {

// Makes it `bytes` in all that `charge` has taken; kResourceExhausted if that is more than is left.
inline Status charge_query_memory(MemoryCharge& charge, size_t bytes) {
    if (charge.try_set(bytes)) {
        return {};
    }
    const MemoryBudget& budget = *charge.budget();
    return make_error(ErrorCode::kResourceExhausted,
                      "the query needs {} of memory in one place, and of the {} that queries share "
                      "{} are in use; ask for fewer series, points or buckets at a time, ask again "
                      "later, or start the server with more --memory",
                      format_size(bytes), format_size(budget.bytes_max()),
                      format_size(budget.used()));
}

}  // namespace stepdb
