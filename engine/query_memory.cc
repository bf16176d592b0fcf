#include "engine/query_memory.h"

#include <algorithm>
#include <utility>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// An eighth of the whole is enough for a chart over merged blocks with the least --memory, and a
// quarter for some of them at a time.
constexpr size_t kSmallPart = 8;
constexpr size_t kSparedPart = 4;

MemoryBudget::Sharing sharing_of(const MemoryBudget& all) {
    return {all.bytes_max() / kSmallPart, all.bytes_max() / kSparedPart};
}

// Why `budget` does not have `wanted` bytes in all.
Error describe_shortage(const MemoryBudget& budget, size_t wanted) {
    const MemoryBudget* all = budget.whole();
    if (all == nullptr) {
        return make_error(
            ErrorCode::kResourceExhausted,
            "the query needs {} of memory, and of the {} that queries share {} are in use; ask for "
            "fewer series, points or buckets at a time, ask again later, or start the server with "
            "more --memory",
            format_size(wanted), format_size(budget.bytes_max()), format_size(budget.used()));
    }
    if (wanted > budget.bytes_max()) {
        return make_error(
            ErrorCode::kResourceExhausted,
            "the query needs {} of memory, and one query may take {} of the {} that all share; ask "
            "for fewer series, points or buckets at a time, or start the server with more "
            "--memory{}",
            format_size(wanted), format_size(budget.bytes_max()), format_size(all->bytes_max()),
            budget.bytes_max() < query_memory_max(*all) ? " or --query-memory" : "");
    }
    const size_t used = all->used();
    return make_error(
        ErrorCode::kResourceExhausted,
        "the query needs {} of memory, and of the {} that queries share it has {} and others have "
        "{}; ask for fewer series, points or buckets at a time, ask again later, or start the "
        "server with more --memory",
        format_size(wanted), format_size(all->bytes_max()), format_size(budget.reserved()),
        format_size(used - std::min(used, budget.reserved())));
}

}  // namespace

std::shared_ptr<MemoryBudget> make_query_memory(std::shared_ptr<MemoryBudget> all,
                                                size_t bytes_max) {
    const MemoryBudget::Sharing sharing = sharing_of(*all);
    const size_t bound = std::min(bytes_max, query_memory_max(*all));
    return std::make_shared<MemoryBudget>(bound, std::move(all), sharing);
}

size_t query_memory_max(const MemoryBudget& all) {
    return all.bytes_max() - all.bytes_max() / kSparedPart;
}

Status charge_query_memory(MemoryCharge& charge, size_t bytes) {
    if (charge.try_set(bytes)) {
        return {};
    }
    MemoryBudget& budget = *charge.budget();
    const size_t wanted = budget.used() + (bytes - charge.bytes());
    budget.set_wanted(wanted);
    return describe_shortage(budget, wanted);
}

}  // namespace stepdb
