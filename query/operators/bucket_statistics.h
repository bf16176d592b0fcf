// Statistics of a bucket, as a query names them.
#pragma once

#include <cstdint>
#include <span>

#include "engine/model/bucket.h"
#include "engine/model/result_columns.h"
#include "query/operators/x_column.h"
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

// Appends the statistic of each bucket to a column of its type, with nothing where it is not known;
// keys as x.
void append_statistic(ColumnCells& cells, std::span<const Bucket> buckets, Statistic statistic,
                      XColumn x);

}  // namespace stepdb
