#include "engine/catalog/shared_tree.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

namespace stepdb::shared_tree_test {

using Numbers = SharedTree<uint64_t, std::less<>>;

void expect_same(const Numbers& tree, const std::set<uint64_t>& want) {
    ASSERT_EQ(tree.size(), want.size());
    auto at = want.begin();
    for (const uint64_t number : tree) {
        ASSERT_EQ(number, *at++);
    }
    ASSERT_EQ(at, want.end());
}

TEST(SharedTree, IsAPlainSetWhateverIsPutAndErased) {
    std::mt19937_64 random(11);
    Numbers tree;
    std::set<uint64_t> want;
    for (int step = 0; step < 40'000; ++step) {
        const uint64_t number = random() % 3'000;
        // It grows, and shrinks to nothing, and grows again.
        if (random() % 100 < (step / 8'000 % 2 == 0 ? 80U : 10U)) {
            tree.put(number);
            want.insert(number);
        } else {
            ASSERT_EQ(tree.erase(number), want.erase(number) == 1);
        }
        const uint64_t wanted = random() % 3'000;
        const auto at = want.lower_bound(wanted);
        const auto found = tree.lower_bound(wanted);
        ASSERT_EQ(found == tree.end(), at == want.end());
        if (at != want.end()) {
            ASSERT_EQ(*found, *at);
        }
        ASSERT_EQ(tree.find(wanted) != nullptr, want.contains(wanted));
        if (step % 1'000 == 0) {
            expect_same(tree, want);
        }
    }
    expect_same(tree, want);
}

TEST(SharedTree, CopiesAreApart) {
    std::mt19937_64 random(12);
    std::vector<std::pair<Numbers, std::set<uint64_t>>> versions(1);
    for (int step = 0; step < 3'000; ++step) {
        auto& [tree, want] = versions.back();
        const uint64_t number = random() % 500;
        if (random() % 3 != 0) {
            tree.put(number);
            want.insert(number);
        } else {
            tree.erase(number);
            want.erase(number);
        }
        if (step % 50 == 0) {
            const auto copy = versions.back();
            versions.push_back(copy);
        }
    }
    for (const auto& [tree, want] : versions) {
        expect_same(tree, want);
    }
}

TEST(SharedTree, BuildsFromWhatIsSorted) {
    for (const uint64_t count : {0U, 1U, 32U, 33U, 1'024U, 1'025U, 40'000U}) {
        std::vector<uint64_t> numbers;
        for (uint64_t i = 0; i < count; ++i) {
            numbers.push_back(2 * i);
        }
        Numbers tree = Numbers::build(numbers);
        expect_same(tree, {numbers.begin(), numbers.end()});
        EXPECT_EQ(tree.find(uint64_t{1}), nullptr);
        tree.put(1);
        EXPECT_NE(tree.find(uint64_t{1}), nullptr);
        EXPECT_EQ(tree.size(), count + 1);
    }
}

struct ByFirst {
    static int key(int key) { return key; }
    static int key(const std::pair<int, int>& entry) { return entry.first; }
    bool operator()(const auto& a, const auto& b) const { return key(a) < key(b); }
};

TEST(SharedTree, AnEqualEntryTakesThePlaceOfTheOneThere) {
    SharedTree<std::pair<int, int>, ByFirst> tree;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 1'000; ++i) {
            tree.put({i, i + round});
        }
    }
    EXPECT_EQ(tree.size(), 1'000U);
    EXPECT_EQ(tree.find(400)->second, 401);
}

// A copy that a reader holds costs what has changed since, and that is counted while it is held.
TEST(SharedTree, WhatCopiesHoldIsCharged) {
    const auto budget = std::make_shared<MemoryBudget>();
    Numbers tree;
    for (uint64_t i = 0; i < 100'000; ++i) {
        tree.put(i, budget);
    }
    EXPECT_EQ(budget->used(), 0U);
    EXPECT_LT(tree.memory_bytes(), 100'000U * 16);
    auto held = std::make_unique<Numbers>(tree);
    tree.put(200'000, budget);
    EXPECT_GT(budget->used(), 0U);
    EXPECT_LT(budget->used(), 4'096U);
    for (uint64_t i = 0; i < 100'000; ++i) {
        tree.erase(i, budget);
    }
    EXPECT_GT(budget->used(), 100'000U * sizeof(uint64_t));
    held.reset();
    EXPECT_EQ(budget->used(), 0U);
    EXPECT_EQ(tree.size(), 1U);
}

}  // namespace stepdb::shared_tree_test
