// Statistics of a bucket, as a query names them.
#pragma once

#include <cstdint>

#include "engine/model/bucket.h"
#include "query/stage_ast.h"

namespace stepdb {

inline bool is_count(Statistic statistic) {
    return statistic <= Statistic::kNegativeInfinity;
}
inline bool is_key(Statistic statistic) {
    return statistic == Statistic::kMinX || statistic == Statistic::kMaxX ||
           statistic == Statistic::kFirstX || statistic == Statistic::kLastX;
}
// Counts always are; first and last are if any point is there, the others if a finite one is.
bool is_known(const Bucket& bucket, Statistic statistic);
// Of one that is_count().
uint64_t count_of(const Bucket& bucket, Statistic statistic);
// Of one that is_key(), and is known.
Key key_of(const Bucket& bucket, Statistic statistic);
// Of one that is no key, and is known.
double value_of(const Bucket& bucket, Statistic statistic);

}  // namespace stepdb
