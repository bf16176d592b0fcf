// What is known of the points of one bucket of a chart. Points come in key order.
//
// Counts, keys, extremes, first and last are those of a full scan, bit for bit. Sum and mean lie
// within 1e-12 of the sum of absolute values, whatever pieces the points came in.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
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

    uint64_t points() const {
        return uint64_t{count} + nan + positive_infinity + negative_infinity;
    }
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
    // The same value, of any class, `points` times, at least once.
    void add_equal(double value, uint64_t points, Key from, Key to);
    // Any number of values, doubles or float32 as their bits; key_of(i) is the key of values[i].
    template <typename T, typename KeyOf>
    void add(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs = {});

    // The same of values that only their node tells of: all but the first and the last value, which
    // stay as they are, also if there was none.
    template <typename KeyOf>
    void add(const ValueNode& node, const KeyOf& key_of, BucketNeeds needs = {});

  private:
    // Up to so many are looked at here, which is quicker than a call of the wide loops.
    static constexpr size_t kFewValues = 16;

    static double number_of(double value) { return value; }
    static double number_of(uint32_t word) { return widen(word); }
    // The same but for NaN, which become others.
    static double plain_number_of(double value) { return value; }
    static double plain_number_of(uint32_t word) {
        return static_cast<double>(std::bit_cast<float>(word));
    }
    static int64_t image_of(double value) { return ordered_image(value); }
    static int32_t image_of(uint32_t word) { return ordered_image32(word); }
    static double number_of_image(int64_t image) { return from_ordered_image(image); }
    static double number_of_image(int32_t image) { return widen(from_ordered_image32(image)); }
    // The first of the values that is equal bit for bit.
    template <typename T>
    static size_t place_of(std::span<const T> values, double value) {
        if (values.size() > kFewValues) {
            return find_value(values, value);
        }
        size_t at = 0;
        while (at + 1 < values.size() && !same_bits(number_of(values[at]), value)) {
            ++at;
        }
        return at;
    }
    // Of some values, if they are all finite.
    struct Extremes {
        double min = 0;
        double max = 0;
        double plain_sum = 0;
    };
    template <typename T>
    static std::optional<Extremes> look_at_few(std::span<const T> values);
    template <typename T>
    static std::optional<Extremes> look_at_many(std::span<const T> values);
    template <typename T, typename KeyOf>
    bool add_finite(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs);
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
        if (!add_finite(piece, key_in_piece, needs)) {
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

template <typename T>
std::optional<Bucket::Extremes> Bucket::look_at_few(std::span<const T> values) {
    Extremes found;
    auto min = image_of(values.front());
    auto max = min;
    // In four sums, so that no addition waits for the one before.
    constexpr size_t kSums = 4;
    std::array<double, kSums> sums{};
    const auto take = [&](T value, double& part) {
        part += plain_number_of(value);
        const auto image = image_of(value);
        min = std::min(min, image);
        max = std::max(max, image);
    };
    size_t at = 0;
    for (; at + kSums <= values.size(); at += kSums) {
        for (size_t i = 0; i < kSums; ++i) {
            take(values[at + i], sums[i]);
        }
    }
    for (size_t i = 0; at + i < values.size(); ++i) {
        take(values[at + i], sums[i]);
    }
    found.plain_sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    found.min = number_of_image(min);
    found.max = number_of_image(max);
    // What is not finite lies beyond all that is; and then the sum means nothing.
    if (!std::isfinite(found.min) || !std::isfinite(found.max) || !std::isfinite(found.plain_sum)) {
        return std::nullopt;
    }
    return found;
}

template <typename T>
std::optional<Bucket::Extremes> Bucket::look_at_many(std::span<const T> values) {
    Extremes found;
    const ValueScan scan = scan_values(values, {&found.plain_sum, 1});
    if (!scan.finite || !std::isfinite(found.plain_sum)) {
        return std::nullopt;
    }
    found.min = scan.min;
    found.max = scan.max;
    return found;
}

// False, and nothing is added, if they are not all finite or their plain sum is not.
template <typename T, typename KeyOf>
bool Bucket::add_finite(std::span<const T> values, const KeyOf& key_of, BucketNeeds needs) {
    const std::optional<Extremes> found =
        values.size() <= kFewValues ? look_at_few(values) : look_at_many(values);
    if (!found) {
        return false;
    }
    if (needs.ends) {
        begin_or_go_on(key_of(0), number_of(values.front()));
        last = number_of(values.back());
        last_key = key_of(values.size() - 1);
    }
    // By image, -0 is below +0; strictly, so that the earliest of equals stays.
    if (count == 0 || ordered_image(found->min) < ordered_image(min)) {
        min = found->min;
        min_key = needs.places ? key_of(place_of(values, min)) : 0;
    }
    if (count == 0 || ordered_image(found->max) > ordered_image(max)) {
        max = found->max;
        max_key = needs.places ? key_of(place_of(values, max)) : 0;
    }
    count += values.size();
    sum.add(found->plain_sum);
    return true;
}

}  // namespace stepdb
