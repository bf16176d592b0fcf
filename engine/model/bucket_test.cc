#include "engine/model/bucket.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

namespace stepdb::bucket_test {

constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

uint64_t test_seed() {
    const char* text = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20261129;
    std::printf("STEPDB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

Bucket one_by_one(std::span<const double> values) {
    Bucket bucket;
    Key key = 0;
    for (const double value : values) {
        bucket.add(key++, value);
    }
    return bucket;
}

Bucket one_by_one(std::initializer_list<double> values) {
    return one_by_one(std::span(values.begin(), values.size()));
}

TEST(Bucket, SumsAreCompensated) {
    EXPECT_EQ(one_by_one({1e100, 1, -1e100, 1}).sum.sum(), 2);
    EXPECT_EQ(one_by_one({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}).sum.sum(), 1);
}

TEST(Bucket, SumsMayLeaveFloat64OnTheWay) {
    EXPECT_EQ(one_by_one({kMax, kMax, -kMax, -kMax, kMax}).sum.sum(), kMax);
    EXPECT_EQ(one_by_one({kMax, kMax}).sum.sum(), kInfinity);
    EXPECT_EQ(one_by_one({-kMax, -kMax}).mean(), -kMax);
}

TEST(Bucket, MeanStaysWithinMinAndMax) {
    EXPECT_EQ(one_by_one({kMax, kMax, kMax}).mean(), kMax);
    EXPECT_EQ(one_by_one({0.1, 0.1, 0.1}).mean(), 0.1);
    EXPECT_EQ(one_by_one({5e-324, 5e-324, 5e-324}).mean(), 5e-324);
}

// All but the sum bit for bit, and the sum within the promise.
void expect_same(const Bucket& bucket, const Bucket& expected, double magnitude) {
    EXPECT_EQ(bucket.count, expected.count);
    EXPECT_EQ(bucket.nan, expected.nan);
    EXPECT_EQ(bucket.positive_infinity, expected.positive_infinity);
    EXPECT_EQ(bucket.negative_infinity, expected.negative_infinity);
    EXPECT_TRUE(same_bits(bucket.min, expected.min)) << bucket.min << " " << expected.min;
    EXPECT_TRUE(same_bits(bucket.max, expected.max)) << bucket.max << " " << expected.max;
    EXPECT_EQ(bucket.min_key, expected.min_key);
    EXPECT_EQ(bucket.max_key, expected.max_key);
    EXPECT_TRUE(same_bits(bucket.first, expected.first));
    EXPECT_TRUE(same_bits(bucket.last, expected.last));
    EXPECT_EQ(bucket.first_key, expected.first_key);
    EXPECT_EQ(bucket.last_key, expected.last_key);
    if (std::isfinite(expected.sum.sum())) {
        EXPECT_LE(std::fabs(bucket.sum.sum() - expected.sum.sum()), 1e-12 * magnitude);
    } else {
        EXPECT_EQ(bucket.sum.sum(), expected.sum.sum());
    }
}

double magnitude_of(std::span<const double> values) {
    double sum = 0;
    for (const double value : values) {
        sum += std::isfinite(value) ? std::fabs(value) : 0;
    }
    return sum;
}

// Noise, few distinct values of both zeros, what is not finite now and then, or the largest there
// are.
std::vector<double> draw_values(std::mt19937_64& random, size_t count) {
    std::vector<double> values(count);
    std::normal_distribution<double> noise(3, 1);
    const uint64_t kind = random() % 4;
    for (double& value : values) {
        const uint64_t drawn = random();
        value = kind == 3   ? (drawn % 2 == 0 ? kMax : -kMax)
                : kind == 2 ? static_cast<double>(drawn % 3) * (drawn % 2 == 0 ? -1.0 : 1.0)
                            : noise(random);
        if (kind == 1 && drawn % 50 == 0) {
            value = drawn % 3 == 0 ? kNan : drawn % 3 == 1 ? kInfinity : -kInfinity;
        }
    }
    return values;
}

TEST(Bucket, IsTheSameWhateverPiecesValuesComeIn) {
    std::mt19937_64 random(test_seed());
    for (int round = 0; round < 300; ++round) {
        const std::vector<double> values = draw_values(random, 1 + random() % 5000);
        Bucket bucket;
        for (size_t at = 0; at < values.size();) {
            const size_t count = std::min<size_t>(1 + random() % 2000, values.size() - at);
            bucket.add(std::span(values).subspan(at, count),
                       [&](size_t i) { return static_cast<Key>(at + i); });
            at += count;
        }
        expect_same(bucket, one_by_one(values), magnitude_of(values));
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
}

TEST(Bucket, PointsFallIntoTheBucketsOfTheirKeys) {
    std::mt19937_64 random(test_seed());
    for (int round = 0; round < 300; ++round) {
        const std::vector<double> values = draw_values(random, 1 + random() % 3000);
        std::vector<Key> keys(values.size());
        Key key = 0;
        for (Key& next : keys) {
            key += static_cast<Key>(1 + random() % (round % 2 == 0 ? 2 : 20));
            next = key;
        }
        // Some edges are equal, and some points lie before the first one or behind the last.
        std::vector<Key> edges(2 + random() % 100);
        for (Key& edge : edges) {
            edge = static_cast<Key>(random() % static_cast<uint64_t>(key + 10));
        }
        std::ranges::sort(edges);
        std::vector<Bucket> buckets(edges.size() - 1);
        const BucketRow row{edges, buckets};
        size_t from = 0;
        for (size_t at = 0; at < keys.size();) {
            const size_t count = std::min<size_t>(1 + random() % 2000, keys.size() - at);
            from = add_points(std::span(keys).subspan(at, count),
                              std::span(values).subspan(at, count), row, from);
            at += count;
        }
        std::vector<Bucket> expected(buckets.size());
        for (size_t i = 0; i < keys.size(); ++i) {
            expected[bucket_of(edges, 0, keys[i])].add(keys[i], values[i]);
        }
        for (size_t i = 0; i < buckets.size(); ++i) {
            expect_same(buckets[i], expected[i], magnitude_of(values));
        }
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
}

}  // namespace stepdb::bucket_test
