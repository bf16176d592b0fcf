// What query threads share of the cache. For the thread sanitizer: each finds what it or another
// has put there, or nothing.
#include "engine/block_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace stepdb::block_cache_test {

constexpr size_t kBytesMax = 20'000;  // less than a third of what is put

void find_or_put(BlockCache& cache, uint32_t thread) {
    for (uint32_t i = 0; i < 2'000; ++i) {
        const uint32_t column = (i * 7 + thread) % 61;
        const BlockCache::Place place{1, 2, column};
        const auto kept = cache.find<std::string>(place);
        if (kept == nullptr) {
            cache.put(place, std::make_shared<const std::string>(std::to_string(column)), 1'000);
        } else {
            ASSERT_EQ(*kept, std::to_string(column));
        }
        ASSERT_LE(cache.bytes(), kBytesMax);
    }
}

TEST(BlockCache, IsSharedByThreads) {
    BlockCache cache(kBytesMax);
    std::vector<std::thread> threads;
    for (uint32_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&cache, thread] { find_or_put(cache, thread); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_GT(cache.bytes(), kBytesMax / 2);
}

}  // namespace stepdb::block_cache_test
