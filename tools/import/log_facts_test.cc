#include "tools/import/log_facts.h"

#include <gtest/gtest.h>

#include <cmath>

namespace stepdb::log_facts_test {

AttributeType type_of(const LogFacts& facts, const std::string& name) {
    return attribute_type(facts.attributes().at(name));
}

TEST(LogFacts, TakesATextAsTheTypeItReadsAs) {
    LogFacts facts;
    facts.set_typed("none", "None");
    facts.set_typed("yes", "True");
    facts.set_typed("layers", "-12");
    facts.set_typed("seed", "18446744073709551616");
    facts.set_typed("lr", "3e-4");
    facts.set_typed("temperature", "nan");
    facts.set_typed("date", "2024-10-13T01:00:00");
    facts.set_typed("optimizer", "adamw");
    facts.set_typed("empty", "");
    EXPECT_EQ(type_of(facts, "none"), AttributeType::kNull);
    EXPECT_EQ(std::get<bool>(facts.attributes().at("yes")), true);
    EXPECT_EQ(std::get<int64_t>(facts.attributes().at("layers")), -12);
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("seed")), "18446744073709551616");
    EXPECT_EQ(std::get<double>(facts.attributes().at("lr")), 3e-4);
    EXPECT_TRUE(std::isnan(std::get<double>(facts.attributes().at("temperature"))));
    EXPECT_EQ(std::get<Datetime>(facts.attributes().at("date")).us, 1'728'781'200'000'000);
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("optimizer")), "adamw");
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("empty")), "");
}

TEST(LogFacts, KeepsTheTypesOfJson) {
    LogFacts facts;
    const JsonSink take = [&](const JsonLeaf& leaf) -> Status {
        facts.set_leaf("config/" + std::string(leaf.path), leaf);
        return {};
    };
    ASSERT_TRUE(scan_json_object(R"({"a": 1, "b": 1.0, "c": true, "d": "1", "e": null, "f": [1],
                                     "g": {"h": NaN}, "i": 9223372036854775808})",
                                 take));
    EXPECT_EQ(std::get<int64_t>(facts.attributes().at("config/a")), 1);
    EXPECT_EQ(std::get<double>(facts.attributes().at("config/b")), 1.0);
    EXPECT_EQ(std::get<bool>(facts.attributes().at("config/c")), true);
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("config/d")), "1");
    EXPECT_EQ(type_of(facts, "config/e"), AttributeType::kNull);
    EXPECT_TRUE(std::isnan(std::get<double>(facts.attributes().at("config/g/h"))));
    EXPECT_EQ(std::get<double>(facts.attributes().at("config/i")), 9223372036854775808.0);
    EXPECT_EQ(facts.left_out(), 1U);
    EXPECT_EQ(facts.first_left_out(), "attribute 'config/f': an array");
}

TEST(LogFacts, LeavesOutWhatNoRunMayHave) {
    LogFacts facts;
    facts.set_text("sys/created", "now");
    facts.set_text("", "x");
    facts.set_text("a", "not UTF-8: \xff");
    facts.set_text("b", std::string(1U << 20U, 'x'));
    facts.set_text("c", std::string(1U << 20U, 'x'));
    facts.add_tag("");
    EXPECT_EQ(facts.left_out(), 5U);
    EXPECT_NE(facts.first_left_out().find("sys/created"), std::string::npos);
    EXPECT_EQ(facts.attributes().size(), 1U);
    EXPECT_TRUE(facts.tags().empty());
}

TEST(LogFacts, OfSeveralLogsTheLaterStands) {
    LogFacts first;
    first.set_text("a", "1");
    first.set_text("b", "1");
    first.add_tag("x");
    first.set_state(RunState::kFailed);
    LogFacts second;
    second.set_text("b", "2");
    second.add_tag("y");
    first.merge(second);
    EXPECT_EQ(std::get<std::string>(first.attributes().at("a")), "1");
    EXPECT_EQ(std::get<std::string>(first.attributes().at("b")), "2");
    EXPECT_EQ(first.tags(), (StringSet{"x", "y"}));
    EXPECT_EQ(first.state(), RunState::kFailed);
    EXPECT_FALSE(first.empty());
    EXPECT_TRUE(LogFacts().empty());
}

}  // namespace stepdb::log_facts_test
