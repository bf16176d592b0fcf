#include "tools/run_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::run_name_test {

using ::testing::HasSubstr;

TEST(RunName, IsTakenApart) {
    const Result<RunName> whole = parse_whole_run("gpt/run-1");
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->project, "gpt");
    EXPECT_EQ(whole->run, "run-1");
    EXPECT_FALSE(whole->attempt.has_value());
    const Result<RunName> attempt = parse_attempt_name("gpt/run-1#12");
    ASSERT_TRUE(attempt.has_value());
    EXPECT_EQ(attempt->path(), "gpt/run-1");
    EXPECT_EQ(attempt->attempt, 12U);
    EXPECT_EQ(parse_run_name("gpt/r#4294967295")->attempt, 4294967295U);
}

TEST(RunName, SaysWhatIsWrongAndWhatToWrite) {
    const struct {
        const char* text;
        const char* message;
    } cases[] = {
        {"", "'' is not PROJECT/RUN"},
        {"gpt", "'gpt' is not PROJECT/RUN"},
        {"a#1/b", "'a#1/b' is not PROJECT"},
        {"/r", "project"},
        {"p/", "run"},
        {"p/a b", "a b"},
        {"p/a/b", "a/b"},
        {"p/r#", "'p/r#' is no attempt; write p/r#0"},
        {"p/r#x", "is no attempt"},
        {"p/r#-1", "is no attempt"},
        {"p/r#1.5", "is no attempt"},
        {"p/r#1e3", "is no attempt"},
        {"p/r#4294967296", "is no attempt"},
        {"p/r#1#2", "is no attempt"},
    };
    for (const auto& [text, message] : cases) {
        const Result<RunName> name = parse_run_name(text);
        ASSERT_FALSE(name.has_value()) << text;
        EXPECT_EQ(name.error().code(), ErrorCode::kInvalidArgument);
        EXPECT_THAT(name.error().message(), HasSubstr(message)) << text;
    }
    EXPECT_THAT(parse_whole_run("p/r#1").error().message(),
                HasSubstr("names an attempt; write p/r"));
    EXPECT_THAT(parse_attempt_name("p/r").error().message(),
                HasSubstr("names no attempt; write p/r#0"));
}

}  // namespace stepdb::run_name_test
