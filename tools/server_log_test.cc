#include "tools/server_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::server_log_test {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string& secret() {
    static const std::string text = "stepdb_" + std::string(64, 'a');
    return text;
}

LogEvent event() {
    LogEvent made(LogLevel::kInfo, "store_opened", "a new store");
    made.text("data", "./my store").text("id", "ab/c").text("none", "").count("runs", 3);
    made.count("memory_bytes", 512U << 20U).count("few_bytes", 17).number("seconds", 0.02125);
    return made.flag("tls", false);
}

TEST(ServerLog, TextIsForPeople) {
    EXPECT_EQ(format_text_event(event()),
              "store_opened    a new store  data=\"./my store\" id=ab/c none=\"\" runs=3 "
              "memory_bytes=512MiB few_bytes=17 seconds=0.021 tls=false");
    EXPECT_EQ(format_text_event(LogEvent(LogLevel::kInfo, "server_stopped")), "server_stopped");
    LogEvent without(LogLevel::kInfo, "listening");
    EXPECT_EQ(format_text_event(without.text("address", "127.0.0.1:1")),
              "listening       address=127.0.0.1:1");
}

TEST(ServerLog, AnEventIsOneLineWhateverIsInIt) {
    LogEvent bad(LogLevel::kInfo, "bad", "two\nlines");
    bad.text("query", "a \"b\"\n=\x1b[31m\xff");
    EXPECT_THAT(format_text_event(bad), Not(HasSubstr("\n")));
    EXPECT_THAT(format_text_event(bad), Not(HasSubstr("\x1b")));
    EXPECT_EQ(format_json_event(bad),
              R"("event":"bad","message":"two\nlines","query":"a \"b\"\\x0a=\\x1b[31m\\xff")");
}

TEST(ServerLog, JsonKeepsNumbersAsTheyAre) {
    EXPECT_EQ(format_json_event(event()),
              R"("event":"store_opened","message":"a new store","data":"./my store","id":"ab/c",)"
              R"("none":"","runs":3,"memory_bytes":536870912,"few_bytes":17,"seconds":0.02125,)"
              R"("tls":false)");
}

TEST(ServerLog, SecretsAreLeftOut) {
    EXPECT_EQ(hide_secrets("a " + secret() + "b stepdb_ " + secret()),
              "a stepdb_(secret) stepdb_ stepdb_(secret)");
    EXPECT_EQ(hide_secrets("stepdb_0123456 89abcde"), "stepdb_0123456 89abcde");
    EXPECT_EQ(hide_secrets("stepdb_89ABCDEF"), "stepdb_(secret)");
    EXPECT_EQ(hide_secrets("stepdb_"), "stepdb_");
    EXPECT_EQ(hide_secrets(""), "");
    LogEvent told(LogLevel::kInfo, "slow_query", "of " + secret());
    told.text("query", "loss @ " + secret());
    for (const std::string& line : {format_text_event(told), format_json_event(told)}) {
        EXPECT_THAT(line, Not(HasSubstr(std::string(16, 'a'))));
        EXPECT_THAT(line, HasSubstr("stepdb_(secret)"));
    }
}

TEST(ServerLog, OptionsAreRead) {
    EXPECT_EQ(read_log_format("json").value(), LogStyle::kJson);
    EXPECT_EQ(read_log_level("warning").value(), LogLevel::kWarning);
    EXPECT_THAT(read_log_format("xml").error().message(), HasSubstr("--log-format xml"));
    EXPECT_THAT(read_log_level("loud").error().message(), HasSubstr("--log-level loud"));
}

}  // namespace stepdb::server_log_test
