// What is known of the points of one bucket of a chart. Points come in key order.
//
// Counts, keys, extremes, first and last are those of a full scan, bit for bit. Sum and mean lie
// within 1e-12 of the sum of absolute values, whatever pieces the points came in.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "engine/base/float_bits.h"
#include "engine/model/compensated_sum.h"
#include "engine/model/key.h"
#include "engine/model/value_loops.h"

namespace stepdb {

// What is known of values that follow each other without looking at them.
struct ValueNode {
    uint32_t count = 0;  // finite values, which min, max and sum are of
    uint32_t nan = 0;
    uint32_t positive_infinity = 0;
    uint32_t negative_infinity = 0;
    double min = 0;  // the earliest of equals; -0 is below +0
    double max = 0;
    uint32_t min_at = 0;  // which of the values it is
    uint32_t max_at = 0;
    double sum = 0;

    bool operator==(const ValueNode&) const = default;
};

// What is wanted of buckets beside counts, extremes and sum; what is not may mean nothing.
struct BucketNeeds {
    bool places = true;  // min_key, max_key
    bool ends = true;    // first and last, with their keys
};

struct Bucket {
    uint64_t count = 0;  // finite values; the statistics but first and last are over these
    uint64_t nan = 0;
    uint64_t positive_infinity = 0;
    uint64_t negative_infinity = 0;
    double min = 0;  // -0 is below +0
    double max = 0;
    Key min_key = 0;  // the earliest of equals
    Key max_key = 0;
    CompensatedSum sum;
    double first = 0;  // of any class
    double last = 0;
    Key first_key = 0;
    Key last_key = 0;

    uint64_t points() const { return count + nan + positive_infinity + negative_infinity; }
    // Of at least one finite value: never outside min and max.
    double mean() const { return std::clamp(sum.mean(count), min, max); }

    void add(Key key, double value);
    // Any number of values, doubles or float32 as their bits; key_of(i) is the key of values[i].
    template <typename T, typename KeyOf>
    void add(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs = {});

    // The same of values that only their node tells of: all but the first and the last value, which
    // stay as they are, also if there was none.
    template <typename KeyOf>
    void add(const ValueNode& node, const KeyOf& key_of, BucketNeeds needs = {});

  private:
    // Up to so many are added one by one, which takes no longer then and rounds less.
    static constexpr size_t kFewValues = 16;

    static double number_of(double value) { return value; }
    static double number_of(uint32_t word) { return widen(word); }
    template <typename T, typename KeyOf>
    bool add_many(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs);
    void begin_or_go_on(Key key, double value) {
        if (points() == 0) {
            first = value;
            first_key = key;
        }
    }
};

// The bucket of a key among those with these edges: bucket i has edges[i] <= key < edges[i + 1],
// the last one all that is not below its own, the first all that is below edges[1]. Not before
// bucket `from`, which is that of a key at most as large: keys that come in order are placed in
// time linear in points and buckets. At least two edges, which never fall.
inline size_t bucket_of(std::span<const Key> edges, size_t from, Key key) {
    const size_t last = edges.size() - 2;
    while (from < last && edges[from + 1] <= key) {
        ++from;
    }
    return from;
}

// The buckets between edges, one more of these than of buckets: where points go.
struct BucketRow {
    std::span<const Key> edges;
    std::span<Bucket> buckets;
    BucketNeeds needs = {};
};

// Adds points in key order to the buckets, as bucket_of places them; begins at bucket `from`, and
// returns where it ended.
size_t add_points(std::span<const Key> keys, std::span<const double> values, const BucketRow& row,
                  size_t from);

template <typename T, typename KeyOf>
void Bucket::add(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs) {
    for (size_t at = 0; at < values.size();) {
        const std::span<const T> piece =
            values.subspan(at, std::min(values.size() - at, kPlainValues));
        const auto key_in_piece = [&](size_t i) { return key_of(at + i); };
        if (piece.size() <= kFewValues || !add_many(piece, key_in_piece, needs)) {
            for (size_t i = 0; i < piece.size(); ++i) {
                add(key_in_piece(i), number_of(piece[i]));
            }
        }
        at += piece.size();
    }
}

template <typename KeyOf>
void Bucket::add(const ValueNode& node, const KeyOf& key_of, BucketNeeds needs) {
    nan += node.nan;
    positive_infinity += node.positive_infinity;
    negative_infinity += node.negative_infinity;
    if (node.count == 0) {
        return;
    }
    if (count == 0 || ordered_image(node.min) < ordered_image(min)) {
        min = node.min;
        min_key = needs.places ? key_of(node.min_at) : 0;
    }
    if (count == 0 || ordered_image(node.max) > ordered_image(max)) {
        max = node.max;
        max_key = needs.places ? key_of(node.max_at) : 0;
    }
    count += node.count;
    sum.add(node.sum);
}

// False, and nothing is added, if they are not all finite or their plain sum is not.
template <typename T, typename KeyOf>
bool Bucket::add_many(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs) {
    double plain_sum = 0;
    const ValueScan scan = scan_values(values, {&plain_sum, 1});
    if (!scan.finite || !std::isfinite(plain_sum)) {
        return false;
    }
    if (needs.ends) {
        begin_or_go_on(key_of(0), number_of(values.front()));
        last = number_of(values.back());
        last_key = key_of(values.size() - 1);
    }
    // By image, -0 is below +0; strictly, so that the earliest of equals stays.
    if (count == 0 || ordered_image(scan.min) < ordered_image(min)) {
        min = scan.min;
        min_key = needs.places ? key_of(find_value(values, min)) : 0;
    }
    if (count == 0 || ordered_image(scan.max) > ordered_image(max)) {
        max = scan.max;
        max_key = needs.places ? key_of(find_value(values, max)) : 0;
    }
    count += values.size();
    sum.add(plain_sum);
    return true;
}

}  // namespace stepdb
