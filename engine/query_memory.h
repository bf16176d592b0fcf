// What queries compute with is charged to one budget that all of them share, so that no query, and
// no number of them, takes more than its part of --memory. Each query of a server has a part of it
// (MemoryBudget::Sharing):
//
//   * Of a server's budget a query takes what it comes to need, and keeps it until it ends.
//   * A query that stays small finds room though large ones have taken all they can get.
//   * One that cannot go on ends with an error, unless it has not answered anything yet: then it
//     gives back what it has, waits for as much as it wanted, and begins anew (net/memory_line.h).
#pragma once

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"

namespace stepdb {

// The part of one query, which may take up to `bytes_max` of it.
std::shared_ptr<MemoryBudget> make_query_memory(std::shared_ptr<MemoryBudget> all,
                                                size_t bytes_max);

// The most that one query can have of a budget that others have nothing of.
size_t query_memory_max(const MemoryBudget& all);

// Makes it `bytes` in all that `charge` has taken; kResourceExhausted, which says how much there is
// and who has it, if that is more than is left.
Status charge_query_memory(MemoryCharge& charge, size_t bytes);

}  // namespace stepdb
