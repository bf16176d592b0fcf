#include "engine/segment/summary_section.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace stepdb::summary_section_test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A block of `rows` rows with every tenth key twice: a full column, one that is there every other
// row, one of NaN alone, one of one value, and one too short to have a summary.
struct Example {
    explicit Example(Axis axis, size_t row_count = 3000) : rows(row_count) {
        BlockInfo info;
        info.run = 3;
        info.schema = 2;
        info.axis = axis;
        info.columns = 6;
        std::mt19937_64 random(7);
        for (size_t i = 0; i < rows; ++i) {
            const size_t at = i - (i % 10 == 1 ? 1 : 0);
            times.push_back(static_cast<int64_t>(1'700'000'000'000'000 + at * 1000));
            keys.push_back(axis == Axis::kTimed ? times.back()
                                                : key_of_step(static_cast<double>(at) / 2));
            sequences.push_back(100 + i);
            noise.push_back(static_cast<double>(random() % 1000) / 7 - 50);
        }
        BlockBuilder builder(info, keys, times, sequences);
        builder.add_column(0, noise, {});
        std::vector<uint8_t> present(rows);
        for (size_t i = 0; i < rows; i += 2) {
            present[i] = 1;
        }
        builder.add_column(1, noise, present);
        builder.add_column(3, std::vector<double>(rows, kNan), {});
        builder.add_column(4, std::vector<double>(rows, 0.25), {});
        std::ranges::fill(present, uint8_t{0});
        std::fill_n(present.begin() + 5, std::min(rows - 5, kSummaryValuesMin - 1), uint8_t{1});
        builder.add_column(5, noise, present);
        block = builder.finish();
    }

    size_t rows;
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
    std::vector<double> noise;
    std::shared_ptr<const EncodedBlock> block;
};

class SummarySection : public testing::TestWithParam<Axis> {};

TEST_P(SummarySection, SaysWhatTheColumnsHold) {
    const Example example(GetParam());
    const EncodedBlock& block = *example.block;
    const auto summaries = decode_summaries(summaries_section(block), block.info);
    ASSERT_TRUE(summaries) << summaries.error().to_string();
    ASSERT_EQ(summaries->size(), 4U);
    const auto axis = decode_axis(axis_section(block), block.info);
    for (const uint32_t column : {0U, 1U, 3U, 4U}) {
        const Summary* stored = find_summary(*summaries, column);
        ASSERT_NE(stored, nullptr) << column;
        const auto place = find_chunk(directory_section(block), block.info, column);
        const auto values =
            decode_chunk(strips_section(block).subspan(place->offset, place->bytes), block.info);
        EXPECT_TRUE(agrees(*stored, summarize_column(*axis, *values))) << column;
    }
    EXPECT_EQ(find_summary(*summaries, 2), nullptr);
    EXPECT_EQ(find_summary(*summaries, 5), nullptr);
}

TEST_P(SummarySection, CountsOfEqualKeysTheLast) {
    const Example example(GetParam());
    const auto summaries = decode_summaries(summaries_section(*example.block), example.block->info);
    ASSERT_TRUE(summaries) << summaries.error().to_string();
    EXPECT_EQ(find_summary(*summaries, 0)->count, 2700U);
    // Only the first of each pair is there.
    EXPECT_EQ(find_summary(*summaries, 1)->count, 1500U);
    EXPECT_EQ(find_summary(*summaries, 3)->nan, 2700U);
    EXPECT_EQ(find_summary(*summaries, 4)->variance(), 0);
}

TEST_P(SummarySection, RefusesWhatCannotBe) {
    const Example example(GetParam());
    const EncodedBlock& block = *example.block;
    const Bytes section = summaries_section(block);
    for (size_t bytes = 0; bytes < section.size(); ++bytes) {
        EXPECT_FALSE(decode_summaries(section.first(bytes), block.info)) << bytes;
    }
    BlockInfo narrower = block.info;
    narrower.end_column = 3;
    EXPECT_FALSE(decode_summaries(section, narrower));
    BlockInfo fewer = block.info;
    fewer.rows = 2000;
    EXPECT_FALSE(decode_summaries(section, fewer));
    BlockInfo later = block.info;
    ++later.key_min;
    EXPECT_FALSE(decode_summaries(section, later));
    std::vector<std::byte> newer(section.begin(), section.end());
    newer[0] = std::byte{2};
    EXPECT_EQ(decode_summaries(newer, block.info).error().code(), ErrorCode::kUnsupportedVersion);
}

INSTANTIATE_TEST_SUITE_P(Axes, SummarySection, testing::Values(Axis::kStepped, Axis::kTimed),
                         [](const auto& of) {
                             return of.param == Axis::kStepped ? "Stepped" : "Timed";
                         });

TEST(SummarySection, ShortBlocksHaveNone) {
    const Example example(Axis::kStepped, kSummaryValuesMin - 1);
    EXPECT_EQ(example.block->info.summaries_bytes, 0U);
    EXPECT_TRUE(summaries_section(*example.block).empty());
}

TEST(SummarySection, DeviationsBeyondFloat64AreLeftOut) {
    Example example(Axis::kStepped);
    BlockInfo info = example.block->info;
    info.columns = 1;
    std::vector<double> values(example.rows, 1e300);
    values[7] = -1e300;
    BlockBuilder builder(info, example.keys, example.times, example.sequences);
    builder.add_column(0, values, {});
    EXPECT_EQ(builder.finish()->info.summaries_bytes, 0U);
}

TEST(SummarySection, ASummaryOfOtherValuesDoesNotAgree) {
    const Example example(Axis::kStepped);
    const auto summaries = decode_summaries(summaries_section(*example.block), example.block->info);
    const Summary stored = *find_summary(*summaries, 0);
    EXPECT_TRUE(agrees(stored, stored));
    Summary other = stored;
    ++other.nan;
    EXPECT_FALSE(agrees(stored, other));
    other = stored;
    other.max.key += 1;
    EXPECT_FALSE(agrees(stored, other));
    other = stored;
    other.sum = CompensatedSum(stored.mean() + 1e-6, stored.count);
    EXPECT_FALSE(agrees(stored, other));
}

}  // namespace stepdb::summary_section_test
