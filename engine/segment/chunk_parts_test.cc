#include "engine/segment/chunk_parts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/base/float_bits.h"
#include "engine/segment/chunk.h"

namespace stepdb::chunk_parts_test {

std::vector<std::byte> full_chunk(const std::vector<double>& values) {
    std::vector<std::byte> chunk;
    encode_full_chunk(values, chunk);
    return chunk;
}

std::vector<std::byte> joined(const std::vector<ChunkPart>& parts) {
    std::vector<std::byte> chunk;
    encode_parts_head(parts, chunk);
    for (const ChunkPart& part : parts) {
        chunk.insert(chunk.end(), part.chunk.begin(), part.chunk.end());
    }
    return chunk;
}

// Chunks of every form, with the rows in between that words of presence do not end at.
struct Example {
    Example() {
        for (int i = 0; i < 300; ++i) {
            noisy.push_back(static_cast<double>(std::sin(static_cast<float>(i))));
        }
        wide = {0.1, std::numeric_limits<double>::quiet_NaN(), -0.0, 1e300, 7};
        encode_sparse_chunk(70, std::vector<int64_t>{3, 64, 69}, std::vector<double>{1.5, -2, 0.1},
                            sparse);
        chunks = {full_chunk(noisy), full_chunk(wide), sparse, full_chunk({4.5, 4.5}), {}};
        const std::vector<uint32_t> rows = {300, 5, 70, 2, 11};
        for (size_t i = 0; i < rows.size(); ++i) {
            parts.push_back({rows[i], chunks[i]});
        }
    }

    std::vector<double> noisy;
    std::vector<double> wide;
    std::vector<std::byte> sparse;
    std::vector<std::vector<std::byte>> chunks;
    std::vector<ChunkPart> parts;
};

TEST(ChunkParts, ValuesAndPresenceAreThoseOfThePartsOneBehindTheOther) {
    const Example example;
    const std::vector<std::byte> chunk = joined(example.parts);
    ASSERT_TRUE(is_in_parts(chunk));
    const auto column = decode_chunk_bytes(chunk, 388);
    ASSERT_TRUE(column.has_value()) << column.error().to_string();
    std::vector<double> values = example.noisy;
    values.insert(values.end(), example.wide.begin(), example.wide.end());
    values.insert(values.end(), {1.5, -2, 0.1, 4.5, 4.5});
    EXPECT_TRUE(std::ranges::equal(column->values, values, same_bits));
    const auto is_present = [&](uint32_t row) {
        return row < 305 || row == 308 || row == 369 || row == 374 || row == 375 || row == 376;
    };
    for (uint32_t row = 0; row < 388; ++row) {
        EXPECT_EQ((column->presence[row / 64] >> (row % 64) & 1U) != 0, is_present(row)) << row;
    }
    const auto form = describe_chunk(chunk, 388);
    ASSERT_TRUE(form.has_value()) << form.error().to_string();
    EXPECT_EQ(form->presence, "5 parts");
    EXPECT_EQ(form->values, values.size());
    EXPECT_EQ(form->constants, 1U);
    EXPECT_TRUE(form->form.float64);
}

TEST(ChunkParts, WithAValueInEveryRowThereIsNoPresence) {
    const Example example;
    const std::vector<std::byte> chunk = joined({example.parts[0], example.parts[3]});
    const auto column = decode_chunk_bytes(chunk, 302);
    ASSERT_TRUE(column.has_value()) << column.error().to_string();
    EXPECT_EQ(column->values.size(), 302U);
    EXPECT_TRUE(column->presence.empty());
}

TEST(ChunkParts, AreTakenApartAsTheyWerePutTogether) {
    const Example example;
    const std::vector<std::byte> chunk = joined(example.parts);
    std::vector<ChunkPart> parts;
    ASSERT_TRUE(append_chunk_parts(example.chunks[0], 300, parts));
    ASSERT_TRUE(append_chunk_parts(chunk, 388, parts));
    ASSERT_TRUE(append_chunk_parts({}, 9, parts));
    ASSERT_EQ(parts.size(), 7U);
    EXPECT_EQ(parts.back().rows, 9U);
    for (size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(parts[i + 1].rows, example.parts[i].rows);
        EXPECT_TRUE(std::ranges::equal(parts[i + 1].chunk, example.parts[i].chunk));
    }
}

TEST(ChunkParts, TheSameConstantInEveryRowIsOne) {
    const std::vector<std::byte> constant = full_chunk({0.25, 0.25});
    const std::vector<std::byte> other = full_chunk({0.5, 0.5});
    const std::vector<std::byte> noisy = full_chunk({0.5, 0.25});
    EXPECT_TRUE(is_one_constant(std::vector<ChunkPart>{{2, constant}, {7, constant}}));
    EXPECT_FALSE(is_one_constant(std::vector<ChunkPart>{{2, constant}, {7, other}}));
    EXPECT_FALSE(is_one_constant(std::vector<ChunkPart>{{2, constant}, {2, {}}}));
    EXPECT_FALSE(is_one_constant(std::vector<ChunkPart>{{2, {}}, {2, {}}}));
    EXPECT_FALSE(is_one_constant(std::vector<ChunkPart>{{2, noisy}, {2, noisy}}));
}

TEST(ChunkParts, WhatDoesNotMakeUpTheChunkIsRefused) {
    const Example example;
    const std::vector<std::byte> chunk = joined(example.parts);
    const auto refused = [](Bytes bytes, uint32_t rows) {
        const auto column = decode_chunk_bytes(bytes, rows);
        const auto form = describe_chunk(bytes, rows);
        return !column && !form && column.error().code() == ErrorCode::kCorruption;
    };
    EXPECT_TRUE(refused(chunk, 387));
    EXPECT_TRUE(refused(chunk, 389));
    EXPECT_TRUE(refused(chunk, 3));
    for (size_t bytes = 1; bytes < chunk.size(); bytes += 7) {
        EXPECT_TRUE(refused(Bytes(chunk).first(bytes), 388)) << bytes;
    }
    std::vector<std::byte> longer = chunk;
    longer.push_back({});
    EXPECT_TRUE(refused(longer, 388));
    EXPECT_TRUE(refused(joined({{5, {}}, {4, {}}}), 9));                             // no value
    EXPECT_TRUE(refused(joined({{388, chunk}, {300, example.chunks[0]}}), 688));     // nested
    EXPECT_TRUE(refused(std::vector<std::byte>{std::byte{16}, std::byte{1}}, 388));  // one part
}

}  // namespace stepdb::chunk_parts_test
