#include "engine/segment/column_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/segment/chunk.h"
#include "engine/segment/chunk_parts.h"
#include "tests/support/sim_executor.h"

namespace stepdb::column_reader_test {

// A block of one column, and what is in it.
struct Example {
    std::vector<Key> keys;
    std::vector<std::optional<double>> values;  // by row
    BlockInfo info;
    std::vector<std::byte> axis;
    std::vector<std::byte> chunk;
};

// Steps of a stride, whole ones or not, or jittered ones; of timed blocks times.
void draw_keys(std::mt19937_64& random, uint32_t rows, Example& example) {
    const uint64_t kind = random() % 5;
    example.info.axis = kind == 4 ? Axis::kTimed : Axis::kStepped;
    const auto stride = static_cast<double>(1 + random() % 100);
    double step = static_cast<double>(random() % 1000) - 500;
    for (uint32_t row = 0; row < rows; ++row) {
        switch (kind) {
            case 0:
            case 1:
                step += stride;
                break;
            case 2:
                step += stride / 8;
                break;
            default:
                step += static_cast<double>(1 + random() % 7);
        }
        example.keys.push_back(kind == 4 ? static_cast<Key>(step) : key_of_step(step));
    }
}

std::vector<std::byte> encode_part(const std::vector<std::optional<double>>& values) {
    std::vector<int64_t> rows;
    std::vector<double> present;
    for (size_t row = 0; row < values.size(); ++row) {
        if (values[row]) {
            rows.push_back(static_cast<int64_t>(row));
            present.push_back(*values[row]);
        }
    }
    std::vector<std::byte> chunk;
    if (present.size() == values.size()) {
        encode_full_chunk(present, chunk);
    } else if (!present.empty()) {
        encode_sparse_chunk(static_cast<uint32_t>(values.size()), rows, present, chunk);
    }
    return chunk;
}

Example draw_example(std::mt19937_64& random) {
    Example example;
    std::vector<std::vector<std::byte>> chunks;
    std::vector<ChunkPart> parts;
    const size_t count = 1 + random() % 5;
    for (size_t part = 0; part < count; ++part) {
        const uint32_t rows = 1 + static_cast<uint32_t>(random() % 900);
        std::vector<std::optional<double>> values(rows);
        const uint64_t absent = random() % 4 == 0 ? 2 + random() % 40 : 0;
        const bool is_constant = random() % 5 == 0;
        // The first part has a value, so that the chunk has one.
        for (uint32_t row = 0; row < rows; ++row) {
            if (absent == 0 || (row == 0 && part == 0) || random() % absent != 0) {
                const auto drawn = static_cast<float>(random() % 100000) / 777;
                values[row] = is_constant           ? 4.25
                              : random() % 400 == 0 ? std::nan("")
                                                    : static_cast<double>(drawn);
            }
        }
        if (part > 0 && random() % 8 == 0) {
            values.assign(rows, std::nullopt);
        }
        chunks.push_back(encode_part(values));
        parts.push_back({rows, {}});
        example.values.insert(example.values.end(), values.begin(), values.end());
    }
    for (size_t part = 0; part < count; ++part) {
        parts[part].chunk = chunks[part];
    }
    if (count == 1) {
        example.chunk = chunks[0];
    } else {
        encode_parts_head(parts, example.chunk);
        for (const auto& chunk : chunks) {
            example.chunk.insert(example.chunk.end(), chunk.begin(), chunk.end());
        }
    }
    const auto rows = static_cast<uint32_t>(example.values.size());
    draw_keys(random, rows, example);
    AxisColumns axis;
    axis.keys = example.keys;
    axis.times.assign(rows, 5);
    axis.sequences.assign(rows, 9);
    example.axis = encode_axis_section(axis, example.info.axis);
    example.info.rows = rows;
    example.info.columns = 1;
    example.info.key_min = example.keys.front();
    example.info.key_max = example.keys.back();
    return example;
}

void check_keys(const Example& example, const BlockKeys& keys, std::mt19937_64& random) {
    const auto rows = static_cast<uint32_t>(example.keys.size());
    ASSERT_EQ(keys.rows(), rows);
    EXPECT_TRUE(keys.has_distinct());
    for (uint32_t row = 0; row < rows; ++row) {
        ASSERT_EQ(keys[row], example.keys[row]);
    }
    for (int i = 0; i < 50; ++i) {
        const Key near = example.keys[random() % rows];
        const Key key = near + static_cast<Key>(random() % 3) - 1;
        const auto from = static_cast<uint32_t>(random() % (rows + 1));
        const auto expected =
            std::lower_bound(example.keys.begin() + from, example.keys.end(), key);
        ASSERT_EQ(keys.lower_bound(key, from), expected - example.keys.begin());
    }
}

TEST(ColumnReader, RangesOfRowsAreWhatWasEncoded) {
    std::mt19937_64 random(test_seed(20261129));
    size_t gathered = 0;
    for (int round = 0; round < 200; ++round) {
        const Example example = draw_example(random);
        const auto rows = static_cast<uint32_t>(example.values.size());
        const auto keys =
            BlockKeys::read(*read_axis_parts(example.axis, example.info), example.info);
        ASSERT_TRUE(keys) << keys.error().to_string();
        ASSERT_NO_FATAL_FAILURE(check_keys(example, *keys, random));
        auto parts = ColumnParts::read(example.chunk, rows);
        ASSERT_TRUE(parts) << parts.error().to_string();
        if (round % 2 == 0) {
            parts->gather();
            gathered += parts->nodes().size();
        }
        ColumnReader column(*parts);
        for (int range = 0; range < 20; ++range) {
            const auto begin = static_cast<uint32_t>(random() % rows);
            const auto end = begin + 1 + static_cast<uint32_t>(random() % (rows - begin));
            Bucket bucket;
            ASSERT_TRUE(column.add_to(bucket, {}, *keys, begin, end));
            Bucket expected;
            for (uint32_t row = begin; row < end; ++row) {
                if (example.values[row]) {
                    expected.add(example.keys[row], *example.values[row]);
                }
            }
            ASSERT_EQ(bucket.count, expected.count) << "rows " << begin << " to " << end;
            ASSERT_EQ(bucket.nan, expected.nan);
            ASSERT_EQ(bucket.min, expected.min);
            ASSERT_EQ(bucket.max, expected.max);
            ASSERT_EQ(bucket.min_key, expected.min_key);
            ASSERT_EQ(bucket.max_key, expected.max_key);
            ASSERT_EQ(bucket.first_key, expected.first_key);
            ASSERT_EQ(bucket.last_key, expected.last_key);
            ASSERT_NEAR(bucket.sum.sum(), expected.sum.sum(), 1e-12 * expected.sum.sum());
            const auto first = column.first_present(begin);
            ASSERT_TRUE(first);
            const auto last = column.last_present(end - 1);
            ASSERT_TRUE(last);
            if (expected.points() > 0) {
                ASSERT_TRUE(*first && *last);
                EXPECT_EQ(example.keys[**first], expected.first_key);
                EXPECT_EQ(example.keys[**last], expected.last_key);
            }
        }
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
    EXPECT_GT(gathered, 100U);
}

TEST(ColumnReader, AscendingRangesDecodeNoVectorTwice) {
    std::vector<double> values(10000);
    std::mt19937_64 random(test_seed(20261129));
    for (double& value : values) {
        value = static_cast<double>(random() % 1000) / 16;
    }
    std::vector<std::byte> chunk;
    encode_full_chunk(values, chunk);
    Example example;
    draw_keys(random, 10000, example);
    AxisColumns axis;
    axis.keys = example.keys;
    axis.times.assign(values.size(), 5);
    axis.sequences.assign(values.size(), 9);
    example.info.rows = 10000;
    example.info.columns = 1;
    example.info.key_min = example.keys.front();
    example.info.key_max = example.keys.back();
    const auto section = encode_axis_section(axis, example.info.axis);
    const auto keys = BlockKeys::read(*read_axis_parts(section, example.info), example.info);
    ASSERT_TRUE(keys) << keys.error().to_string();
    const auto parts = ColumnParts::read(chunk, 10000);
    ASSERT_TRUE(parts);
    ColumnReader column(*parts);
    for (uint32_t begin = 0; begin < 10000; begin += 100) {
        Bucket bucket;
        ASSERT_TRUE(column.add_to(bucket, {}, *keys, begin, begin + 100));
        EXPECT_EQ(bucket.count, 100U);
    }
    EXPECT_EQ(column.vectors_decoded(), (10000 + kPackedValuesMax - 1) / kPackedValuesMax);
}

TEST(BlockKeys, KeysThatComeTwiceAreTold) {
    AxisColumns axis;
    axis.keys = {key_of_step(1), key_of_step(2), key_of_step(2), key_of_step(3)};
    axis.times = {1, 2, 3, 4};
    axis.sequences = {1, 2, 3, 4};
    BlockInfo info;
    info.rows = 4;
    info.columns = 1;
    info.key_min = axis.keys.front();
    info.key_max = axis.keys.back();
    const auto section = encode_axis_section(axis, Axis::kStepped);
    const auto keys = BlockKeys::read(*read_axis_parts(section, info), info);
    ASSERT_TRUE(keys);
    EXPECT_FALSE(keys->has_distinct());
    info.key_max = key_of_step(4);
    EXPECT_FALSE(BlockKeys::read(*read_axis_parts(section, info), info));
}

}  // namespace stepdb::column_reader_test
