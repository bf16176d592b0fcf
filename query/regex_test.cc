#include "query/regex.h"

#include <gtest/gtest.h>

namespace stepdb::regex_test {

TEST(Regex, FindsTheFirstMatchFromAPlaceOn) {
    const Result<Regex> regex = Regex::compile("(?P<name>[a-zä]+)(=)(?P<value>\\d+)?");
    ASSERT_TRUE(regex);
    EXPECT_EQ(regex->names(), (std::vector<std::string>{"name", "", "value"}));
    const std::string text = "ab=12 ä=";
    std::vector<std::string_view> groups;
    ASSERT_TRUE(regex->search(text, 0, groups));
    EXPECT_EQ(groups, (std::vector<std::string_view>{"ab=12", "ab", "=", "12"}));
    ASSERT_TRUE(regex->search(text, 5, groups));
    EXPECT_EQ(groups[1], "ä");
    EXPECT_EQ(groups[3].data(), nullptr);
    EXPECT_FALSE(regex->search(text, text.size(), groups));
}

TEST(Regex, HoldsItsAnchorsAtTheText) {
    const Result<Regex> regex = Regex::compile("^a");
    std::vector<std::string_view> groups;
    ASSERT_TRUE(regex);
    EXPECT_TRUE(regex->search("aa", 0, groups));
    EXPECT_FALSE(regex->search("aa", 1, groups));
}

TEST(Regex, SaysWhatIsWrongWithIt) {
    const Result<Regex> regex = Regex::compile("a(b");
    ASSERT_FALSE(regex);
    EXPECT_NE(regex.error().message().find("'a(b' is not valid: missing )"), std::string::npos);
}

}  // namespace stepdb::regex_test
