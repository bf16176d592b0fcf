#include "engine/segment/value_nodes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/base/float_bits.h"
#include "engine/segment/chunk.h"
#include "tests/support/sim_executor.h"

namespace stepdb::value_nodes_test {

constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Written {
    std::vector<std::byte> bytes;
    std::vector<double> values;
    bool float64 = false;

    Result<ValueNodes> read() const {
        Bytes all = bytes;
        return ValueNodes::read(all, float64, values.size());
    }
};

Written write(std::vector<double> values, bool float64) {
    Written written;
    written.float64 = float64;
    written.bytes.resize(nodes_bytes_max(values.size()));
    const std::byte* const end = write_nodes(values, float64, written.bytes.data());
    written.bytes.resize(static_cast<size_t>(end - written.bytes.data()));
    written.values = std::move(values);
    return written;
}

std::vector<double> draw_values(std::mt19937_64& random, size_t count, bool float64) {
    std::vector<double> values(count);
    const uint64_t rare = 1 + random() % 600;
    for (double& value : values) {
        const auto drawn = static_cast<double>(random() % 2000) / 3 - 300;
        value = float64 ? drawn : static_cast<double>(static_cast<float>(drawn));
        if (random() % rare == 0) {
            const uint64_t kind = random() % 4;
            value = kind == 0 ? kNan : kind == 1 ? kInfinity : kind == 2 ? -kInfinity : -0.0;
        }
    }
    return values;
}

TEST(ValueNodes, TellWhatAScanOfTheirVectorTells) {
    std::mt19937_64 random(test_seed(20261129));
    for (int round = 0; round < 300; ++round) {
        const bool float64 = random() % 2 == 0;
        const Written written = write(draw_values(random, 1 + random() % 2000, float64), float64);
        const auto nodes = written.read();
        ASSERT_TRUE(nodes) << nodes.error().to_string();
        EXPECT_TRUE(nodes->agrees(written.values));
        for (size_t at = 0; at < written.values.size(); at += kPackedValuesMax) {
            const auto here =
                std::span(written.values)
                    .subspan(at, std::min(kPackedValuesMax, written.values.size() - at));
            Bucket expected;
            for (size_t i = 0; i < here.size(); ++i) {
                expected.add(static_cast<Key>(i), here[i]);
            }
            Bucket bucket;
            const auto node = nodes->node(at / kPackedValuesMax);
            ASSERT_TRUE(node);
            bucket.add(*node, [](size_t i) { return static_cast<Key>(i); });
            EXPECT_EQ(bucket.count, expected.count);
            EXPECT_EQ(bucket.nan, expected.nan);
            EXPECT_EQ(bucket.positive_infinity, expected.positive_infinity);
            EXPECT_EQ(bucket.negative_infinity, expected.negative_infinity);
            EXPECT_TRUE(same_bits(bucket.min, expected.min));
            EXPECT_TRUE(same_bits(bucket.max, expected.max));
            EXPECT_EQ(bucket.min_key, expected.min_key);
            EXPECT_EQ(bucket.max_key, expected.max_key);
            EXPECT_NEAR(bucket.sum.sum(), expected.sum.sum(), 1e-9);
        }
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
}

TEST(ValueNodes, WordsGiveTheNodesOfTheirDoubles) {
    std::mt19937_64 random(test_seed(20261129));
    const std::vector<double> values = draw_values(random, 3000, false);
    std::vector<uint32_t> words;
    words.reserve(values.size());
    for (const double value : values) {
        words.push_back(narrow(value).value());
    }
    std::vector<std::byte> bytes(nodes_bytes_max(words.size()));
    const std::byte* const end = write_nodes(words, bytes.data());
    bytes.resize(static_cast<size_t>(end - bytes.data()));
    EXPECT_EQ(bytes, write(values, false).bytes);
}

TEST(ValueNodes, SumsBeyondFloat64AreLeftToTheValues) {
    std::vector<double> values(600, 1.5);
    values[300] = kMax;
    values[301] = kMax;
    const Written written = write(values, true);
    const auto nodes = written.read();
    ASSERT_TRUE(nodes);
    EXPECT_TRUE(nodes->node(0));
    EXPECT_FALSE(nodes->node(1));
    EXPECT_TRUE(nodes->node(2));
    EXPECT_TRUE(nodes->agrees(values));
}

TEST(ValueNodes, OthersValuesDoNotAgree) {
    std::mt19937_64 random(test_seed(20261129));
    const Written written = write(draw_values(random, 1000, true), true);
    const auto nodes = written.read();
    ASSERT_TRUE(nodes);
    for (const double other : {1e6, -1e6, kNan, kInfinity}) {
        std::vector<double> values = written.values;
        values[700] = other;
        EXPECT_FALSE(nodes->agrees(values)) << other;
    }
}

TEST(ValueNodes, BytesThatAreNoneAreRefused) {
    std::mt19937_64 random(test_seed(20261129));
    for (int round = 0; round < 2000; ++round) {
        Written written = write(draw_values(random, 1 + random() % 600, true), true);
        if (round % 2 == 0) {
            written.bytes.resize(random() % written.bytes.size());
        } else {
            written.bytes[random() % written.bytes.size()] ^=
                static_cast<std::byte>(1 + random() % 255);
        }
        const auto nodes = written.read();
        if (nodes) {
            static_cast<void>(nodes->agrees(written.values));
        }
    }
}

TEST(ValueNodes, ChunksHaveThemFromAVectorOnUnlessTheyAreConstant) {
    const auto encode = [](std::vector<double> values) {
        std::vector<std::byte> chunk;
        encode_full_chunk(values, chunk);
        return read_chunk_sections(chunk, static_cast<uint32_t>(values.size()))->nodes.has_value();
    };
    std::vector<double> values(256);
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<double>(i * i);
    }
    EXPECT_TRUE(encode(values));
    values.pop_back();
    EXPECT_FALSE(encode(values));
    EXPECT_FALSE(encode(std::vector<double>(1000, 7.0)));
}

TEST(ValueNodes, AChunkWithNodesOfOtherValuesIsNoChunk) {
    std::vector<double> values(512);
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<double>((i * 7919) % 1000);
    }
    std::vector<std::byte> chunk;
    encode_full_chunk(values, chunk);
    EXPECT_TRUE(verify_chunk(chunk, 512));
    // The sum of the last node ends before the count of vectors that are not finite.
    chunk[chunk.size() - sizeof(uint32_t) - 2] ^= std::byte{1};
    EXPECT_FALSE(verify_chunk(chunk, 512));
    EXPECT_TRUE(decode_chunk_bytes(chunk, 512));
}

}  // namespace stepdb::value_nodes_test
