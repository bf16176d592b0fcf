#include "engine/model/bucket.h"

#include "engine/base/check.h"

namespace stepdb {

void Bucket::add(Key key, double value) {
    begin_or_go_on(key, value);
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

void Bucket::add_equal(double value, uint64_t points, Key from, Key to) {
    begin_or_go_on(from, value);
    last = value;
    last_key = to;
    if (!std::isfinite(value)) {
        (std::isnan(value) ? nan : value > 0 ? positive_infinity : negative_infinity) += points;
        return;
    }
    if (count == 0 || ordered_image(value) < ordered_image(min)) {
        min = value;
        min_key = from;
    }
    if (count == 0 || ordered_image(value) > ordered_image(max)) {
        max = value;
        max_key = from;
    }
    count += points;
    sum.add(CompensatedSum(value, points));
}

size_t add_points(std::span<const Key> keys, std::span<const double> values, const BucketRow& row,
                  size_t from) {
    const std::span<const Key> edges = row.edges;
    const std::span<Bucket> buckets = row.buckets;
    CHECK(keys.size() == values.size() && edges.size() == buckets.size() + 1,
          "{} keys, {} values, {} edges of {} buckets", keys.size(), values.size(), edges.size(),
          buckets.size());
    size_t bucket = from;
    for (size_t at = 0; at < keys.size();) {
        bucket = bucket_of(edges, bucket, keys[at]);
        const auto begin = keys.begin() + static_cast<ptrdiff_t>(at);
        // Buckets often have few points: looking for the end from here is quicker than halving all.
        auto end = begin + 1;
        if (bucket + 1 == buckets.size()) {
            end = keys.end();
        } else {
            for (ptrdiff_t step = 1; end != keys.end() && *end < edges[bucket + 1]; step *= 2) {
                const auto ahead = end + std::min(step, keys.end() - end);
                if (*(ahead - 1) < edges[bucket + 1]) {
                    end = ahead;
                } else {
                    end = std::lower_bound(end, ahead, edges[bucket + 1]);
                    break;
                }
            }
        }
        const auto count = static_cast<size_t>(end - begin);
        buckets[bucket].add(
            values.subspan(at, count), [&](size_t i) { return keys[at + i]; }, row.needs);
        at += count;
    }
    return bucket;
}

}  // namespace stepdb
