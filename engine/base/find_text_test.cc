#include "engine/base/find_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace stepdb::find_text_test {

TEST(FindText, FindsWhatStandsAtEitherEnd) {
    const std::string text = "/a/" + std::string(40, '-') + "/z";
    EXPECT_EQ(find_text(text, "/a/", 0), 0U);
    EXPECT_EQ(find_text(text, "/z", 0), 43U);
    EXPECT_EQ(find_text(text, "/", 1), 2U);
    EXPECT_EQ(find_text(text, "/zz", 0), std::string::npos);
    EXPECT_EQ(find_text(text, text, 0), 0U);
    EXPECT_EQ(find_text(text, text + "z", 0), std::string::npos);
    EXPECT_EQ(find_text(text, "z", text.size()), std::string::npos);
    EXPECT_EQ(find_text("", "z", 0), std::string::npos);
}

// Of few different characters, so that pieces stand in many places, and nearly so in more.
TEST(FindText, FindsWhatStdDoes) {
    const uint64_t seed = std::random_device()();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](size_t end) {
        return std::uniform_int_distribution<size_t>(0, end - 1)(random);
    };
    const auto some = [&](size_t size) {
        std::string text(size, ' ');
        for (char& c : text) {
            c = "ab/"[below(3)];
        }
        return text;
    };
    size_t found = 0;
    for (int round = 0; round < 20'000; ++round) {
        const std::string text = some(below(100));
        const std::string piece = some(1 + below(6));
        const size_t from = below(text.size() + 1);
        // Exactly as much memory as there is text, for the sanitizer.
        const std::vector<char> exact(text.begin(), text.end());
        const size_t at = find_text({exact.data(), exact.size()}, piece, from);
        EXPECT_EQ(at, text.find(piece, from)) << text << " " << piece << " " << from;
        found += at == std::string::npos ? 0 : 1;
    }
    EXPECT_GT(found, 1000U);
}

}  // namespace stepdb::find_text_test
