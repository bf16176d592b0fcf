#include "engine/base/natural_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include "engine/base/text.h"

namespace stepdb::natural_order_test {

std::vector<uint32_t> sorted_one_by_one(const std::vector<std::string_view>& texts) {
    std::vector<uint32_t> order(texts.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(
        order, [&](uint32_t a, uint32_t b) { return natural_less(texts[a], texts[b]); });
    return order;
}

void check(const std::vector<std::string>& texts) {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    EXPECT_EQ(natural_order(views), sorted_one_by_one(views));
}

TEST(NaturalOrder, IsThatOfNaturalLess) {
    check({});
    check({"one"});
    check({"r-10", "r-2", "r-1", "r-2", "r-02", "r-", "r", "r-2b", "r-2a", "r-2/a"});
    check({"17", "170", "0017", "18", "1", ""});
    check({"a/9", "a/10", "a9", "a10", "a:1", "a0", "a00", "a"});
    check({"sweep/run-000000000000000001", "sweep/run-000000000000000010",
           "sweep/run-2000000000000000001", "sweep/run-2000000000000000010"});
    check({std::string("1") + std::string(300, '0'), std::string("2") + std::string(300, '0'),
           std::string(300, '9'), std::string(254, '9'), std::string(255, '9') + "b",
           std::string(255, '9') + "a"});
    check({"é1", "é10", "é2", "e\x7f", "\xff", std::string("a\0b", 3), std::string("a\0", 2)});
}

TEST(NaturalOrder, IsThatOfNaturalLessOfAnyTexts) {
    const uint64_t seed = std::random_device()();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](size_t end) {
        return std::uniform_int_distribution<size_t>(0, end - 1)(random);
    };
    for (int round = 0; round < 300; ++round) {
        const std::string alphabet = round % 2 == 0 ? "0019ab/-" : "012:/";
        const std::string prefix = round % 3 == 0 ? "run/10" : "";
        std::vector<std::string> texts(below(60));
        for (std::string& text : texts) {
            text = prefix;
            for (size_t left = below(round % 5 == 0 ? 30 : 6); left > 0; --left) {
                text += alphabet[below(alphabet.size())];
            }
        }
        check(texts);
    }
}

}  // namespace stepdb::natural_order_test
