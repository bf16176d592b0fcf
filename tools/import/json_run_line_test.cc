#include "tools/import/json_run_line.h"

#include <gtest/gtest.h>

namespace stepdb::json_run_line_test {

TEST(JsonRunLine, TellsWhatTheRunIs) {
    LogFacts facts;
    EXPECT_TRUE(take_run_line(R"( {"run": {"id": "r7", "name": "bold owl", "owner": "me",
        "config": {"lr": 1e-3, "layers": 4, "data": {"path": "a\"b"}, "none": null},
        "tags": ["sweep", "ü\"[x]"], "state": "finished", "fork": {"of": "r6", "at": 500}}} )",
                              facts));
    EXPECT_EQ(facts.left_out(), 0U) << facts.first_left_out();
    EXPECT_EQ(facts.id(), "r7");
    EXPECT_EQ(facts.tags(), (StringSet{"sweep", "ü\"[x]"}));
    EXPECT_EQ(facts.state(), RunState::kFinished);
    ASSERT_TRUE(facts.fork());
    EXPECT_EQ(facts.fork()->parent, "r6");
    EXPECT_EQ(facts.fork()->step, 500);
    EXPECT_EQ(facts.attributes().size(), 6U);
    EXPECT_EQ(std::get<double>(facts.attributes().at("config/lr")), 1e-3);
    EXPECT_EQ(std::get<int64_t>(facts.attributes().at("config/layers")), 4);
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("config/data/path")), "a\"b");
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("sys/name")), "bold owl");
    EXPECT_EQ(std::get<std::string>(facts.attributes().at("sys/owner")), "me");
}

TEST(JsonRunLine, OfSeveralTheLaterStands) {
    LogFacts facts;
    EXPECT_TRUE(take_run_line(R"({"run":{"state":"failed","config":{"a":1,"b":1}}})", facts));
    EXPECT_TRUE(take_run_line(R"({"run":{"state":"running","config":{"b":2}}})", facts));
    EXPECT_EQ(facts.state(), RunState::kRunning);
    EXPECT_EQ(std::get<int64_t>(facts.attributes().at("config/a")), 1);
    EXPECT_EQ(std::get<int64_t>(facts.attributes().at("config/b")), 2);
}

TEST(JsonRunLine, LeavesOtherLinesAlone) {
    LogFacts facts;
    for (const std::string_view line :
         {R"({"run": {"loss": 1}})", R"({"run": {"config": {"a": 1}}, "step": 1})",
          R"({"run": {"config": {"a": 1}, "step": 1}})", R"({"run": {}})", R"({"run": 7})",
          R"({"run": {"config": 3}})", R"({"step": 1, "run": {"id": "x"}})", R"({"runs": {}})",
          R"({"run": {"id": "x"})", R"({"run": {"id": "x"}} more)", R"([{"run": {"id": "x"}}])", "",
          "{", R"({"run")"}) {
        EXPECT_FALSE(take_run_line(line, facts)) << line;
    }
    EXPECT_TRUE(facts.empty());
    EXPECT_EQ(facts.id(), "");
    EXPECT_EQ(facts.left_out(), 0U);
}

TEST(JsonRunLine, LeavesOutWhatIsWrong) {
    for (const std::string_view member :
         {R"("state": "lost")", R"("state": 1)", R"("tags": "sweep")", R"("tags": [1])",
          R"("tags": [""])", R"("fork": {"of": "r6"})", R"("fork": {"at": 5})",
          R"("fork": {"of": "r6", "at": NaN})", R"("id": 5)", R"("name": null)",
          R"("config": {"a": [1]})"}) {
        LogFacts facts;
        EXPECT_TRUE(take_run_line(fmt::format("{{\"run\": {{{}}}}}", member), facts)) << member;
        EXPECT_EQ(facts.left_out(), 1U) << member;
        EXPECT_NE(facts.first_left_out(), "");
        EXPECT_TRUE(facts.empty()) << member;
    }
}

}  // namespace stepdb::json_run_line_test
