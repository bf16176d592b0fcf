#include "engine/segment/block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

#include "engine/base/checksum.h"
#include "engine/base/float_bits.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"

namespace stepdb::block_test {

uint64_t test_seed() {
    const char* text = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20261123;
    std::printf("STEPDB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

// Rows as given to the builder.
struct Table {
    BlockInfo info;
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
    std::map<uint32_t, std::vector<double>> values;
    std::map<uint32_t, std::vector<uint8_t>> present;
};

std::shared_ptr<const EncodedBlock> build(const Table& table) {
    BlockBuilder builder(table.info, table.keys, table.times, table.sequences);
    for (const auto& [column, values] : table.values) {
        const auto present = table.present.find(column);
        builder.add_column(
            column, values,
            present == table.present.end() ? std::span<const uint8_t>() : present->second);
    }
    return builder.finish();
}

Result<ColumnValues> read_column(const EncodedBlock& block, uint32_t column) {
    TRY_ASSIGN(const ChunkPlace place, find_chunk(directory_section(block), block.info, column));
    if (place.bytes == 0) {
        return ColumnValues{};
    }
    const Bytes strips = strips_section(block);
    EXPECT_EQ(xxh3(strips.subspan(place.strip_offset, place.strip_bytes), content_seed(block.info)),
              place.strip_checksum);
    EXPECT_GE(place.offset, place.strip_offset);
    EXPECT_LE(place.offset + place.bytes, place.strip_offset + place.strip_bytes);
    return decode_chunk(strips.subspan(place.offset, place.bytes), block.info);
}

void check_block(const Table& table) {
    const auto block = build(table);
    ASSERT_EQ(block->bytes.size(), block->info.total_bytes());
    const size_t rows = table.keys.size();
    ASSERT_EQ(block->info.rows, rows);
    std::vector<size_t> order(rows);
    for (size_t i = 0; i < rows; ++i) {
        order[i] = i;
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return std::pair(table.keys[a], table.sequences[a]) <
               std::pair(table.keys[b], table.sequences[b]);
    });
    const auto axis = decode_axis(axis_section(*block), block->info);
    ASSERT_TRUE(axis) << axis.error().to_string();
    for (size_t i = 0; i < rows; ++i) {
        ASSERT_EQ(axis->keys[i], table.keys[order[i]]);
        ASSERT_EQ(axis->times[i],
                  table.info.axis == Axis::kTimed ? table.keys[order[i]] : table.times[order[i]]);
        ASSERT_EQ(axis->sequences[i], table.sequences[order[i]]);
    }
    for (uint32_t column = 0; column < table.info.columns; ++column) {
        const auto read = read_column(*block, column);
        ASSERT_TRUE(read) << read.error().to_string();
        const auto values = table.values.find(column);
        const auto present = table.present.find(column);
        size_t at = 0;
        for (size_t i = 0; i < rows && values != table.values.end(); ++i) {
            const bool wanted = present == table.present.end() || present->second[order[i]] != 0;
            const bool there =
                !read->values.empty() &&
                (read->presence.empty() || (read->presence[i / 64] >> (i % 64) & 1U) != 0);
            ASSERT_EQ(there, wanted) << "column " << column << " row " << i;
            if (wanted) {
                ASSERT_EQ(bits_of(read->values[at]), bits_of(values->second[order[i]]));
                ++at;
            }
        }
        ASSERT_EQ(read->values.size(), at);
    }
}

Table random_table(std::mt19937_64& random) {
    Table table;
    const size_t rows = random() % 4 == 0 ? 1 + random() % 3 : 1 + random() % 700;
    table.info.run = random();
    table.info.schema = random();
    table.info.attempt = static_cast<uint32_t>(random());
    table.info.axis = random() % 2 == 0 ? Axis::kStepped : Axis::kTimed;
    table.info.columns = static_cast<uint32_t>(1 + random() % 40);
    const bool late = random() % 2 == 0;
    for (size_t i = 0; i < rows; ++i) {
        const uint64_t ordinal = late && random() % 5 == 0 ? random() % (i + 1) : i;
        table.keys.push_back(table.info.axis == Axis::kStepped
                                 ? key_of_step(static_cast<double>(ordinal) * 0.5)
                                 : static_cast<int64_t>(1700000000000000 + ordinal * 1000));
        table.times.push_back(static_cast<int64_t>(1700000000000000 + i * 1000 + random() % 99));
        table.sequences.push_back(1000 + i);
    }
    for (uint32_t column = 0; column < table.info.columns; ++column) {
        if (random() % 5 == 0) {
            continue;
        }
        auto& values = table.values[column];
        const uint64_t kind = random() % 4;
        for (size_t i = 0; i < rows; ++i) {
            values.push_back(kind == 0   ? 1.0
                             : kind == 1 ? widen(static_cast<uint32_t>(random()))
                             : kind == 2 ? std::bit_cast<double>(uint64_t{random()})
                                         : static_cast<double>(random() % 1000) / 10);
        }
        if (random() % 2 == 0) {
            auto& present = table.present[column];
            const uint64_t sparse = random() % 5;
            for (size_t i = 0; i < rows; ++i) {
                const bool there = sparse == 0   ? random() % 2 == 0
                                   : sparse == 1 ? i % 10 == 0
                                   : sparse == 2 ? i > rows / 2
                                   : sparse == 3 ? random() % 50 == 0
                                                 : i != 0;
                present.push_back(there ? 1 : 0);
            }
        }
    }
    return table;
}

TEST(Block, RandomRowsComeBackSortedAndBitForBit) {
    std::mt19937_64 random(test_seed());
    for (int round = 0; round < 150; ++round) {
        ASSERT_NO_FATAL_FAILURE(check_block(random_table(random))) << "round " << round;
    }
}

TEST(Block, EqualKeysKeepTheOrderOfTheirSequences) {
    Table table;
    table.info.columns = 1;
    table.keys = {5, 3, 5, 3};
    table.times = {1, 2, 3, 4};
    table.sequences = {9, 8, 7, 8};
    table.values[0] = {1, 2, 3, 4};
    const auto block = build(table);
    const auto column = read_column(*block, 0);
    ASSERT_TRUE(column);
    EXPECT_EQ(column->values, (std::vector<double>{2, 4, 3, 1}));
    EXPECT_EQ(block->info.key_min, 3);
    EXPECT_EQ(block->info.key_max, 5);
    EXPECT_EQ(block->info.time_min, 1);
    EXPECT_EQ(block->info.time_max, 4);
    EXPECT_EQ(block->info.sequence_min, 7U);
    EXPECT_EQ(block->info.sequence_max, 9U);
}

Table one_row(uint32_t columns, std::mt19937_64& random) {
    Table table;
    table.info.columns = columns;
    table.keys = {key_of_step(1000)};
    table.times = {1700000000000000};
    table.sequences = {123456789};
    std::normal_distribution<double> normal;
    for (uint32_t column = 0; column < columns; ++column) {
        table.values[column] = {static_cast<double>(static_cast<float>(normal(random)))};
    }
    return table;
}

TEST(Block, OneRowIsCheapNarrowAndWide) {
    std::mt19937_64 random(test_seed());
    const auto narrow_block = build(one_row(1, random));
    std::printf("1 row x 1 metric: %zu bytes\n", narrow_block->bytes.size());
    EXPECT_LE(narrow_block->bytes.size(), 64U);
    const auto wide = build(one_row(100000, random));
    std::printf("1 row x 100,000 metrics: %.3f bytes/point\n",
                static_cast<double>(wide->bytes.size()) / 100000);
    EXPECT_LE(wide->bytes.size(), 100000 * 5.3);
    for (const uint32_t column : {0U, 1U, 4095U, 54321U, 99999U}) {
        const auto read = read_column(*wide, column);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->values.size(), 1U);
    }
}

TEST(Block, NoisyFloat32CostsItsNoise) {
    std::mt19937_64 random(test_seed());
    std::normal_distribution<double> normal;
    Table table;
    table.info.columns = 100;
    for (int row = 0; row < 512; ++row) {
        table.keys.push_back(key_of_step(row));
        table.times.push_back(1700000000000000 + int64_t{row} * 1000000 +
                              static_cast<int>(random() % 9999));
        table.sequences.push_back(static_cast<uint64_t>(row));
        for (uint32_t column = 0; column < 100; ++column) {
            table.values[column].push_back(
                static_cast<double>(static_cast<float>(std::exp(0.1 * normal(random)))));
        }
    }
    const double bytes = static_cast<double>(build(table)->bytes.size()) / 51200;
    std::printf("10 %% noise, 512 rows x 100 metrics: %.3f bytes/point\n", bytes);
    EXPECT_LE(bytes, 3.1);  // with summaries and index nodes
}

TEST(Chunk, WordsOfFloat32MakeTheChunkOfTheirDoubles) {
    std::mt19937_64 random(test_seed());
    for (const size_t count : std::vector<size_t>{1, 2, 255, 256, 257, 512, 1000}) {
        for (const uint32_t mask : std::vector<uint32_t>{0, 0xFFFF, 0xFF800000, 0xFFFFFFFF}) {
            std::vector<uint32_t> words(count);
            std::vector<double> values(count);
            for (size_t i = 0; i < count; ++i) {
                words[i] = bits_of(1.0F) ^ (static_cast<uint32_t>(random()) & mask);
                values[i] = widen(words[i]);
            }
            std::vector<std::byte> of_doubles;
            encode_full_chunk(values, of_doubles);
            std::vector<std::byte> of_words(full_chunk_bytes_max(count));
            const std::byte* const end =
                encode_full_chunk(std::span<const uint32_t>(words), of_words.data());
            of_words.resize(static_cast<size_t>(end - of_words.data()));
            ASSERT_EQ(of_words, of_doubles) << count << " values, bits " << mask;
        }
    }
}

bool is_same(const ChunkPlace& a, const ChunkPlace& b) {
    return a.offset == b.offset && a.bytes == b.bytes && a.strip_offset == b.strip_offset &&
           a.strip_bytes == b.strip_bytes && a.strip_checksum == b.strip_checksum &&
           a.strip == b.strip;
}

TEST(Block, ColumnsAreFoundInTheirOwnStripAndAbsentOnesAreNot) {
    std::mt19937_64 random(test_seed());
    Table table = one_row(9000, random);
    for (uint32_t column = 100; column < 8900; ++column) {
        if (column % 3 != 0) {
            table.values.erase(column);
        }
    }
    table.values.erase(0);
    check_block(table);
    const auto block = build(table);
    const auto directory = BlockDirectory::read(directory_section(*block), block->info);
    ASSERT_TRUE(directory);
    EXPECT_GE(directory->strips().size(), 1U);
    for (const Strip& strip : directory->strips()) {
        EXPECT_LE(strip.bytes, 16U << 10U);
    }
    const auto places = ChunkPlaces::read(directory_section(*block), block->info);
    ASSERT_TRUE(places);
    for (uint32_t column = 0; column < block->info.columns; ++column) {
        const auto place = directory->place(column);
        ASSERT_TRUE(place);
        ASSERT_TRUE(is_same((*places)[column], *place)) << column;
    }
}

TEST(Block, BlockWithoutAnyValueIsABlock) {
    Table table;
    table.info.columns = 7;
    table.keys = {1, 2};
    table.times = {1, 2};
    table.sequences = {1, 2};
    check_block(table);
    table.values[3] = {1, 2};
    table.present[3] = {0, 0};
    check_block(table);
}

// A block that begins in a small buffer, in a large one or in none has the same sections.
TEST(Block, TheBufferItBeginsInMakesNoDifference) {
    std::mt19937_64 random(test_seed());
    std::normal_distribution<double> normal;
    Table table;
    table.info.columns = 400;
    for (int row = 0; row < 500; ++row) {
        table.keys.push_back(key_of_step(row));
        table.times.push_back(row);
        table.sequences.push_back(static_cast<uint64_t>(row));
    }
    for (uint32_t column = 0; column < table.info.columns; ++column) {
        // Few bytes a column at first, many then.
        for (int row = 0; row < 500; ++row) {
            table.values[column].push_back(column < 300 ? column : normal(random));
        }
    }
    const auto plain = build(table);
    for (const size_t bytes : {0U, 100U, 1U << 20U, 8U << 20U}) {
        BlockBuilder builder(table.info, table.keys, table.times, table.sequences);
        builder.use_buffer(LargeBuffer(bytes));
        for (const auto& [column, values] : table.values) {
            builder.add_column(column, values, {});
        }
        const auto block = builder.finish();
        EXPECT_TRUE(std::ranges::equal(block->bytes, plain->bytes)) << bytes;
        EXPECT_EQ(block->bytes.size(), block->info.total_bytes());
        EXPECT_LE(block->bytes.capacity(), block->bytes.size() * 5 / 4 + (64U << 10U));
    }
    check_block(table);
}

TEST(Block, GarbledSectionsNeverCrash) {
    std::mt19937_64 random(test_seed());
    for (int round = 0; round < 400; ++round) {
        const auto block = build(random_table(random));
        EncodedBlock bad;
        bad.info = block->info;
        bad.bytes = LargeBuffer(block->bytes.size());
        std::copy(block->bytes.begin(), block->bytes.end(), bad.bytes.begin());
        const auto bytes = std::make_unique<std::byte[]>(bad.bytes.size());
        for (auto flips = 1 + random() % 4; flips > 0; --flips) {
            const size_t strips_bytes = random() % 2 == 0 ? bad.info.strips_bytes : 0;
            const size_t range = bad.bytes.size() - strips_bytes;
            bad.bytes[strips_bytes + random() % range] = static_cast<std::byte>(random());
        }
        // Of its exact size, so that a sanitizer sees reads beyond it.
        std::copy(bad.bytes.begin(), bad.bytes.end(), bytes.get());
        const Bytes strips(bytes.get(), bad.info.strips_bytes);
        const Bytes rest(bytes.get() + strips.size(), bad.bytes.size() - strips.size());
        if (random() % 10 == 0) {
            bad.info.rows = static_cast<uint32_t>(random());
        }
        const auto axis = decode_axis(rest.first(bad.info.axis_bytes), bad.info);
        const Bytes directory = rest.subspan(bad.info.axis_bytes, bad.info.directory_bytes);
        const auto places = ChunkPlaces::read(directory, bad.info);
        for (uint32_t column = 0; column < bad.info.columns; ++column) {
            const auto place = find_chunk(directory, bad.info, column);
            if (place && places) {
                ASSERT_TRUE(is_same((*places)[column], *place)) << column;
            }
            if (place && place->bytes != 0) {
                ASSERT_LE(place->offset + place->bytes, strips.size());
                const auto read =
                    decode_chunk(strips.subspan(place->offset, place->bytes), bad.info);
                if (read) {
                    ASSERT_FALSE(read->values.empty());
                }
            }
        }
    }
}

}  // namespace stepdb::block_test
