#include "engine/block_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace stepdb::block_cache_test {

BlockCache::Place place(uint32_t column) {
    return {1, 2, column};
}

void put(BlockCache& cache, uint32_t column, size_t bytes) {
    cache.put(place(column), std::make_shared<const std::string>(std::to_string(column)), bytes);
}

TEST(BlockCache, KeepsWhatWasUsedLast) {
    BlockCache cache(10'000);
    for (uint32_t column = 0; column < 5; ++column) {
        put(cache, column, 1'500);
    }
    ASSERT_NE(cache.find<std::string>(place(0)), nullptr);
    put(cache, 5, 1'500);
    EXPECT_NE(cache.find<std::string>(place(5)), nullptr);
    put(cache, 6, 1'500);
    EXPECT_LE(cache.bytes(), 10'000U);
    const auto kept = cache.find<std::string>(place(0));
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(*kept, "0");
    EXPECT_EQ(cache.find<std::string>(place(1)), nullptr);
    EXPECT_EQ(cache.find<std::string>({2, 2, 0}), nullptr);
}

TEST(BlockCache, CountsWhatIsLookedForAndWhatIsThere) {
    BlockCache cache(10'000);
    put(cache, 1, 100);
    cache.find<std::string>(place(1));
    cache.find<std::string>(place(2));
    cache.find<std::string>(place(1));
    EXPECT_EQ(cache.uses().looks, 3U);
    EXPECT_EQ(cache.uses().hits, 2U);
}

TEST(BlockCache, WhatIsHeldOutlivesItsPlace) {
    BlockCache cache(2'000);
    put(cache, 1, 1'500);
    const auto held = cache.find<std::string>(place(1));
    put(cache, 2, 1'500);
    EXPECT_EQ(cache.find<std::string>(place(1)), nullptr);
    EXPECT_EQ(*held, "1");
}

TEST(BlockCache, WhatIsLargerThanAllOfItIsNotKept) {
    BlockCache cache(1'000);
    put(cache, 1, 1'001);
    EXPECT_EQ(cache.find<std::string>(place(1)), nullptr);
    EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace stepdb::block_cache_test
