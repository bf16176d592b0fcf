#include "tools/import/mlflow_run.h"

#include <gtest/gtest.h>

#include "tools/import/run_id.h"
#include "tools/import/testing/log_text.h"

namespace stepdb::mlflow_run_test {

TEST(FlatYaml, ReadsMembersOfTheTopAlone) {
    const auto values = parse_flat_yaml(
        "# a comment: x\r\nrun_id: 3f2a\r\nname: 'it''s: here'\nwords: \"a \\\"b\\\"\"\nempty: ''\n"
        "gone: null\nnone:\ntags:\n- key: a\n  value: b\nstatus: 3");
    const std::map<std::string, std::string, std::less<>> want = {{"run_id", "3f2a"},
                                                                  {"name", "it's: here"},
                                                                  {"words", "a \"b\""},
                                                                  {"empty", ""},
                                                                  {"status", "3"}};
    EXPECT_EQ(values, want);
    EXPECT_TRUE(parse_flat_yaml("").empty());
    EXPECT_TRUE(parse_flat_yaml(":\n:x\n\xff").empty());
}

class MlflowRun : public testing::LogFiles {};

TEST_F(MlflowRun, IsToldFromExperimentsAndModels) {
    write("1/meta.yaml", "experiment_id: '1'\nname: exp\n");
    write("1/a/meta.yaml", "run_id: a\n");
    write("1/b/metrics/x", "1 2 3\n");
    write("1/b/artifacts/inner/metrics/x", "1 2 3\n");
    write("1/models/m-1/meta.yaml", "model_id: m-1\n");
    write("1/models/m-1/metrics/x", "1 2 3\n");
    write(".trash/c/metrics/x", "1 2 3\n");
    LogFilePattern pattern;
    pattern.shown = "MLflow run";
    pattern.is_run_directory = is_mlflow_run;
    const auto runs_in = [&](const std::string& name) {
        std::vector<std::string> runs;
        for (const FoundFile& file : find_files({path(name)}, pattern).files) {
            runs.push_back(file.run);
        }
        return runs;
    };
    EXPECT_EQ(runs_in(""), (std::vector<std::string>{"1.a", "1.b"}));
    EXPECT_EQ(runs_in("1"), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(runs_in("1/b"), (std::vector<std::string>{"b"}));
    EXPECT_EQ(runs_in("1/b/"), (std::vector<std::string>{"b"}));
    EXPECT_EQ(runs_in("1/b/."), (std::vector<std::string>{"b"}));
    EXPECT_EQ(runs_in(".trash"), (std::vector<std::string>{"c"}));
    EXPECT_NE(find_files({path("1/a")}, pattern).files.size(), 0U);
    EXPECT_EQ(find_files({path("1/models")}, pattern).errors.size(), 1U);
}

TEST_F(MlflowRun, TellsParamsTagsAndState) {
    write("1/meta.yaml", "experiment_id: '1'\nname: exp one\n");
    write("1/a/meta.yaml",
          "artifact_uri: file:///x\nend_time: null\nexperiment_id: '1'\nlifecycle_stage: active\n"
          "run_id: a\nrun_name: from meta\nstart_time: 1766470857502\nstatus: 4\nuser_id: me\n");
    write("1/a/params/lr", "0.1");
    write("1/a/params/model/layers", "12\n");
    write("1/a/params/name with dots.x", "a\nb\n");
    write("1/a/tags/mlflow.runName", "bold-owl-1");
    write("1/a/tags/team", "7");
    const Result<LogFacts> facts = read_mlflow_facts(path("1/a"));
    ASSERT_TRUE(facts);
    const Attributes& attributes = facts->attributes();
    EXPECT_EQ(std::get<double>(attributes.at("config/lr")), 0.1);
    EXPECT_EQ(std::get<int64_t>(attributes.at("config/model/layers")), 12);
    EXPECT_EQ(std::get<std::string>(attributes.at("config/name with dots.x")), "a\nb");
    EXPECT_EQ(std::get<std::string>(attributes.at("sys/name")), "bold-owl-1");
    EXPECT_EQ(std::get<std::string>(attributes.at("sys/owner")), "me");
    EXPECT_EQ(std::get<std::string>(attributes.at("tags/team")), "7");
    EXPECT_EQ(std::get<std::string>(attributes.at("mlflow/run_id")), "a");
    EXPECT_EQ(std::get<std::string>(attributes.at("mlflow/experiment_id")), "1");
    EXPECT_EQ(std::get<std::string>(attributes.at("mlflow/experiment")), "exp one");
    EXPECT_EQ(std::get<Datetime>(attributes.at("mlflow/start_time")).us, 1'766'470'857'502'000);
    EXPECT_EQ(attributes.size(), 10U);
    EXPECT_EQ(facts->state(), RunState::kFailed);
    EXPECT_EQ(facts->left_out(), 0U);
}

}  // namespace stepdb::mlflow_run_test
