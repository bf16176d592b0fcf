#include "query/operators/bucket_statistics.h"

namespace stepdb {

bool is_known(const Bucket& bucket, Statistic statistic) {
    return is_count(statistic) ||
           (statistic >= Statistic::kFirst ? bucket.points() : bucket.count) > 0;
}

uint64_t count_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kNan:
            return bucket.nan;
        case Statistic::kPositiveInfinity:
            return bucket.positive_infinity;
        case Statistic::kNegativeInfinity:
            return bucket.negative_infinity;
        default:
            return bucket.count;
    }
}

Key key_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kMinX:
            return bucket.min_key;
        case Statistic::kMaxX:
            return bucket.max_key;
        case Statistic::kFirstX:
            return bucket.first_key;
        default:
            return bucket.last_key;
    }
}

double value_of(const Bucket& bucket, Statistic statistic) {
    if (is_count(statistic)) {
        return static_cast<double>(count_of(bucket, statistic));
    }
    switch (statistic) {
        case Statistic::kMin:
            return bucket.min;
        case Statistic::kMax:
            return bucket.max;
        case Statistic::kSum:
            return bucket.sum.sum();
        case Statistic::kMean:
            return bucket.mean();
        case Statistic::kFirst:
            return bucket.first;
        default:
            return bucket.last;
    }
}

}  // namespace stepdb
