#include "engine/base/page_heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/bytes.h"

namespace stepdb::page_heap_test {

constexpr size_t kUnit = PageHeap::kSmallUnitBytes;
constexpr size_t kMegabyte = 1U << 20U;

TEST(PageHeap, GivesWhatWasGivenBackToWhatFits) {
    PageHeap heap(kMegabyte);
    std::byte* const first = heap.take(kUnit);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % kPageBytes, 0U);
    std::byte* const second = heap.take(kUnit);
    std::byte* const third = heap.take(kUnit);
    EXPECT_EQ(heap.kept_bytes(), 0U);
    EXPECT_TRUE(heap.give_back(first));
    EXPECT_TRUE(heap.give_back(second));
    EXPECT_EQ(heap.kept_bytes(), 2 * kUnit);
    // Two that lay side by side are one stretch.
    EXPECT_EQ(heap.take(2 * kUnit), first);
    EXPECT_EQ(heap.kept_bytes(), 0U);
    EXPECT_TRUE(heap.give_back(third));
    EXPECT_TRUE(heap.give_back(first));
    EXPECT_FALSE(heap.give_back(first));
}

TEST(PageHeap, KeepsWhatIsNotInUseOfItsBound) {
    PageHeap heap(4 * kUnit);
    std::vector<std::byte*> taken;
    taken.reserve(4);
    for (int i = 0; i < 4; ++i) {
        taken.push_back(heap.take(kUnit));
    }
    ASSERT_TRUE(heap.give_back(taken[0]));
    EXPECT_EQ(heap.kept_bytes(), kUnit);
    std::byte* const more = heap.take(2 * kUnit);  // where nothing has been: 5 units in use
    EXPECT_EQ(heap.kept_bytes(), 0U);
    ASSERT_TRUE(heap.give_back(more));
    EXPECT_EQ(heap.kept_bytes(), kUnit);
    heap.set_limits(4 * kUnit, 0);
    heap.trim();
    EXPECT_EQ(heap.kept_bytes(), 0U);
    EXPECT_EQ(more[0], std::byte{0});  // the kernel's again
}

TEST(PageHeap, CountsHugePagesWhole) {
    PageHeap heap(PageHeap::kHugeFromBytes);
    std::byte* const small = heap.take(kUnit);
    EXPECT_EQ(heap.kept_bytes(), PageHeap::kHugePageBytes - kUnit);
    std::byte* const large = heap.take(3 * PageHeap::kHugePageBytes);
    EXPECT_EQ(heap.kept_bytes(), PageHeap::kHugePageBytes - kUnit);
    ASSERT_TRUE(heap.give_back(large));
    heap.trim();
    EXPECT_EQ(heap.kept_bytes(), 4 * PageHeap::kHugePageBytes - kUnit);  // within the bound
    heap.set_limits(PageHeap::kHugeFromBytes, 0);
    heap.trim();
    // A page of which a part is in use stays.
    EXPECT_EQ(heap.kept_bytes(), PageHeap::kHugePageBytes - kUnit);
    ASSERT_TRUE(heap.give_back(small));
    heap.trim();
    EXPECT_EQ(heap.kept_bytes(), 0U);
}

// Stretches never overlap, whatever their order and sizes, in one arena and in several.
TEST(PageHeap, KeepsWhatIsInUseApart) {
    PageHeap heap(16 * kMegabyte);
    std::mt19937_64 random(1);
    struct Taken {
        std::byte* data;
        size_t bytes;
        std::byte mark;
    };
    std::vector<Taken> taken;
    const auto give_back = [&](size_t at) {
        const Taken one = taken[at];
        EXPECT_EQ(one.data[0], one.mark);
        EXPECT_EQ(one.data[one.bytes - 1], one.mark);
        EXPECT_EQ(one.data[one.bytes / 2], one.mark);
        EXPECT_TRUE(heap.give_back(one.data));
        taken[at] = taken.back();
        taken.pop_back();
    };
    for (int step = 0; step < 2000; ++step) {
        if (taken.size() > 100 || (random() % 2 == 0 && !taken.empty())) {
            give_back(random() % taken.size());
        } else {
            const size_t pages = 1 + random() % (random() % 200 == 0 ? 20'000 : 600);
            const auto mark = static_cast<std::byte>(random());
            std::byte* const data = heap.take(pages * kPageBytes);
            data[0] = mark;
            data[pages * kPageBytes / 2] = mark;
            data[pages * kPageBytes - 1] = mark;
            taken.push_back({data, pages * kPageBytes, mark});
        }
    }
    while (!taken.empty()) {
        give_back(taken.size() - 1);
    }
    EXPECT_LE(heap.kept_bytes(), 16 * kMegabyte);
}

}  // namespace stepdb::page_heap_test
