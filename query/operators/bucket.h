// What is known of the points of one bucket. Points come in key order.
#pragma once

#include <cstdint>

#include "engine/model/compensated_sum.h"
#include "engine/model/key.h"
#include "query/stage_ast.h"

namespace stepdb {

struct Bucket {
    uint64_t count = 0;  // finite values; the statistics but first and last are over these
    uint64_t nan = 0;
    uint64_t positive_infinity = 0;
    uint64_t negative_infinity = 0;
    double min = 0;
    double max = 0;
    Key min_key = 0;
    Key max_key = 0;
    CompensatedSum sum;
    double first = 0;  // of any class
    double last = 0;
    Key first_key = 0;
    Key last_key = 0;

    uint64_t points() const { return count + nan + positive_infinity + negative_infinity; }
    // Of at least one finite value: never outside min and max.
    double mean() const;
    void add(Key key, double value);
};

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
