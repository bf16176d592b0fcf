#include "tools/import/points_table.h"

#include <gtest/gtest.h>

#include "tools/import/testing/log_text.h"

namespace stepdb::points_table_test {

using PointsTables = testing::LogFiles;

std::vector<std::string> shown(const Result<std::vector<LogPart>>& parts) {
    std::vector<std::string> texts;
    for (const LogPart& part : *parts) {
        texts.push_back(
            fmt::format("{} {}+{}..{}", part.run, part.line, part.begin,
                        part.end == UINT64_MAX ? std::string("end") : fmt::format("{}", part.end)));
    }
    return texts;
}

const auto kNoProgress = [](uint64_t) {};

using Texts = std::vector<std::string>;

TEST_F(PointsTables, TellWhereTheirRunsAre) {
    const std::string text = "run,metric,step,value\na,x,0,1\nb,x,0,1\na,x,1,1\n\nc,x,0,1\n";
    EXPECT_EQ(shown(find_parts(write("t", text), open_csv_points, kNoProgress)),
              (Texts{"a 2+22..47", "b 3+30..38", "c 6+47..end"}));
    const std::string lines =
        "{\"run\":\"a\",\"metric\":\"x\",\"step\":0,\"value\":1}\n\n"
        "{\"value\":1,\"run\":\"b\",\"series\":\"x\",\"time\":1}\n";
    EXPECT_EQ(shown(find_parts(write("t", lines), open_json_points, kNoProgress)),
              (Texts{"a 1+0..45", "b 3+45..end"}));
}

TEST_F(PointsTables, EndWhereTheyBreakOff) {
    const std::string text = "run,metric,step,value\na,x,0,1\nb,x,0,1\nb,x\nc,x,0,1\n";
    EXPECT_EQ(shown(find_parts(write("t", text), open_csv_points, kNoProgress)),
              (Texts{"a 2+22..30", "b 3+30..end"}));
}

TEST_F(PointsTables, AreKnownByTheirColumns) {
    const auto is_table = [this](const std::string& header) {
        return !shown(
                    find_parts(write("t", header + "\n1,2,3,4,5\n"), open_csv_points, kNoProgress))
                    .empty();
    };
    EXPECT_TRUE(is_table("run,metric,step,time,value"));
    EXPECT_TRUE(is_table("value,_step,wall_time,Series,RUN"));
    EXPECT_FALSE(is_table("run,metric,step,time,loss"));
    EXPECT_FALSE(is_table("run,metric,step,value,loss"));
    EXPECT_FALSE(is_table("name,metric,step,time,value"));
    EXPECT_TRUE(shown(find_parts(write("t", ""), open_csv_points, kNoProgress)).empty());
    EXPECT_TRUE(shown(find_parts(write("t", "no json"), open_json_points, kNoProgress)).empty());
    EXPECT_TRUE(shown(find_parts(path("none"), open_csv_points, kNoProgress)).empty());
}

TEST(RunIdOfLabel, LeavesOutTheProject) {
    EXPECT_EQ(run_id_of_label("gpt/run-1"), "run-1");
    EXPECT_EQ(run_id_of_label("gpt/run-1#2"), "run-1_2");
    EXPECT_EQ(run_id_of_label("run 1"), "run_1");
}

}  // namespace stepdb::points_table_test
