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

}  // namespace stepdb
