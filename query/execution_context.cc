#include "query/execution_context.h"

#include "engine/base/text.h"

namespace stepdb {

Status ExecutionContext::check_goes_on() const {
    if (cancelled.load(std::memory_order_relaxed)) {
        return Error(ErrorCode::kCancelled, "the query was cancelled");
    }
    // Counting is not for nothing: `where` asks for every run.
    if (limits.points_max == std::numeric_limits<uint64_t>::max()) {
        return {};
    }
    const uint64_t points = source.cost().values_decoded;
    if (points > limits.points_max) {
        return make_error(ErrorCode::kResourceExhausted,
                          "the query has read {} points and is not done, and one query may read "
                          "{}; ask for fewer series, a smaller range, or `buckets`, which read "
                          "little of long series, or start the server with more --query-points",
                          points, limits.points_max);
    }
    return {};
}

Status ExecutionContext::check_buckets(uint32_t of_each) const {
    const uint64_t series = selection.series.size();
    if (uint64_t{of_each} * series <= limits.buckets_max) {
        return {};
    }
    return make_error(
        ErrorCode::kResourceExhausted,
        "the query asks for {} buckets of each of {} series, {} in all, and one query "
        "may have {}; ask for fewer of them, or start the server with more "
        "--query-buckets",
        of_each, series, of_each * series, limits.buckets_max);
}

}  // namespace stepdb
