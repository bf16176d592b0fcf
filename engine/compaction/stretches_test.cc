#include "engine/compaction/stretches.h"

#include <gtest/gtest.h>

#include <string>

namespace stepdb::stretches_test {

constexpr uint64_t kSchema = 5;

BlockInfo block(Key key_min, uint32_t rows, uint32_t first_column = 0, uint32_t end_column = 10) {
    BlockInfo info;
    info.schema = kSchema;
    info.rows = rows;
    info.columns = 10;
    info.first_column = first_column;
    info.end_column = end_column;
    info.key_min = key_min;
    info.key_max = key_min + rows - 1;
    info.sequence_min = static_cast<uint64_t>(key_min) + 1;
    info.sequence_max = info.sequence_min + rows - 1;
    info.directory_bytes = 100;
    return info;
}

StretchRules rules() {
    StretchRules rules;
    rules.schema = kSchema;
    return rules;
}

// "copy 0 1+2 | decode 3": stretches, their tiles, the blocks of these.
std::string planned(const std::vector<BlockInfo>& blocks, const StretchRules& by = rules()) {
    std::string text;
    for (const MergeStretch& stretch : plan_stretches(blocks, by)) {
        text += text.empty() ? "" : " | ";
        text += stretch.copied ? "copy" : "decode";
        for (const Tile& tile : stretch.tiles) {
            for (size_t i = 0; i < tile.size(); ++i) {
                text += (i == 0 ? ' ' : '+') + std::to_string(tile[i]);
            }
        }
    }
    return text;
}

TEST(Stretches, BlocksThatShareNoKeyAreCopiedInKeyOrder) {
    EXPECT_EQ(planned({block(1024, 512), block(0, 512), block(512, 300)}), "copy 1 2 0");
    EXPECT_EQ(planned({}), "");
}

TEST(Stretches, BlocksThatOverlapAreDecoded) {
    const std::vector<BlockInfo> blocks = {block(0, 512), block(512, 512), block(1000, 512)};
    EXPECT_EQ(planned(blocks), "decode 0 1 2");  // the first one is too little by itself
    EXPECT_EQ(planned({block(0, 9000), block(9000, 512), block(9500, 512), block(10012, 9000)}),
              "copy 0 | decode 1 2 | copy 3");
    EXPECT_EQ(planned({block(0, 512), block(511, 512)}), "decode 0 1");  // one key
}

TEST(Stretches, BlocksOfTheSameRowsAndOtherColumnsAreCopiedTogether) {
    EXPECT_EQ(planned({block(0, 512, 5, 10), block(0, 512, 0, 5), block(512, 512)}), "copy 1+0 2");
    EXPECT_EQ(planned({block(0, 512, 0, 6), block(0, 512, 5, 10)}), "decode 0 1");
    EXPECT_EQ(planned({block(0, 512, 0, 5), block(0, 511, 5, 10)}), "decode 0 1");
}

TEST(Stretches, WhatDoesNotCountInWholeIsDecoded) {
    const std::vector<BlockInfo> blocks = {block(0, 9000), block(9000, 9000)};
    StretchRules some = rules();
    some.last_key = 17998;
    EXPECT_EQ(planned(blocks, some), "copy 0 | decode 1");
    some.last_key = 17999;
    EXPECT_EQ(planned(blocks, some), "copy 0 1");
    some.dead_through = 1;
    EXPECT_EQ(planned(blocks, some), "decode 0 | copy 1");
    std::vector<BlockInfo> of_another = blocks;
    of_another[0].schema = 6;
    EXPECT_EQ(planned(of_another), "decode 0 | copy 1");
    std::vector<BlockInfo> without_values = blocks;
    without_values[0].first_column = without_values[0].end_column = 0;
    EXPECT_EQ(planned(without_values), "decode 0 | copy 1");
}

TEST(Stretches, ABlockHasItsMostRowsAndDirectoriesTheirRoom) {
    StretchRules small = rules();
    small.limits.rows = 1024;
    const std::vector<BlockInfo> blocks = {block(0, 512), block(512, 512), block(1024, 512)};
    EXPECT_EQ(planned(blocks, small), "copy 0 1 | copy 2");
    small = rules();
    small.limits.kept_bytes = 150;
    EXPECT_EQ(planned(blocks, small), "copy 0 | copy 1 | copy 2");
}

// Or a series that logs slowly would stay in many vectors of few values.
TEST(Stretches, SmallBlocksArePackedAnew) {
    std::vector<BlockInfo> blocks;
    for (Key key = 0; key < 1000; key += 100) {
        blocks.push_back(block(key, 100));
    }
    EXPECT_EQ(planned(blocks), "decode 0 1 2 3 4 5 6 7 8 9");
    blocks.push_back(block(1000, 512));
    EXPECT_EQ(planned(blocks), "copy 0 1 2 3 4 5 6 7 8 9 10");
    EXPECT_EQ(planned({block(0, 20)}), "copy 0");
}

}  // namespace stepdb::stretches_test
