#include "query/operators/bucket.h"

#include <algorithm>
#include <cmath>

#include "engine/base/float_bits.h"

namespace stepdb {

void Bucket::add(Key key, double value) {
    if (points() == 0) {
        first = value;
        first_key = key;
    }
    last = value;
    last_key = key;
    if (!std::isfinite(value)) {
        ++(std::isnan(value) ? nan : value > 0 ? positive_infinity : negative_infinity);
        return;
    }
    // By image, -0 is below +0; strictly, so that the earliest of equals stays.
    if (count == 0 || ordered_image(value) < ordered_image(min)) {
        min = value;
        min_key = key;
    }
    if (count == 0 || ordered_image(value) > ordered_image(max)) {
        max = value;
        max_key = key;
    }
    ++count;
    sum.add(value);
}

double Bucket::mean() const {
    return std::clamp(sum.mean(count), min, max);
}

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
