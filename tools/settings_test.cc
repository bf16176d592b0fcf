// What a file of settings may say, and which of command line, environment and file counts.
#include "tools/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tools/settings_file.h"

namespace stepdb::settings_test {

using ::testing::HasSubstr;

std::string parsed(std::string_view text) {
    const Result<std::vector<Setting>> settings = parse_settings(text);
    if (!settings) {
        return settings.error().message();
    }
    std::string all;
    for (const Setting& setting : *settings) {
        all += fmt::format("{}:{}={};", setting.line, setting.name, setting.value);
    }
    return all;
}

TEST(SettingsFile, TakesTextsAndNumbers) {
    EXPECT_EQ(parsed(""), "");
    EXPECT_EQ(parsed("# nothing\n\n \t\r\n"), "");
    EXPECT_EQ(parsed("a=1\n  b-c = \"x # y\" # z\r\nd = 'q\\\"'\ne=\"\""),
              "1:a=1;2:b-c=x # y;3:d=q\\\";4:e=;");
    EXPECT_EQ(parsed(R"(a = "\"\\")"), R"(1:a="\;)");
    EXPECT_EQ(parsed("a = 17#x"), "1:a=17;");
}

TEST(SettingsFile, NamesTheLineThatIsWrong) {
    const struct {
        const char* text;
        const char* message;
    } cases[] = {
        {"a = 1\nb = 4G", "line 2: "},
        {"a = 1\n\na = 2", "line 3: "},
        {"[server]\nx = 1", "line 1: server: neither a text in quotes nor a whole number"},
        {"a = [1]", "line 1: a: neither"},
        {"a = 1\nb = true", "line 2: b: neither"},
        {"a = -1", "line 1: a: neither"},
        {"a.b = 1", "line 1: a: neither"},
        {"a = \"x", "line 1: "},
        {"a = 'x\nb = 1", "line 1: "},
        {"a = \"\\q\"", "line 1: "},
        {"a = \"x\" y", "line 1: "},
        {"a =", "line 1: "},
        {"a", "line 1: "},
        {"= 1", "line 1: "},
        {"\xff", "line 1: "},
    };
    for (const auto& wrong : cases) {
        EXPECT_THAT(parsed(wrong.text), HasSubstr(wrong.message)) << wrong.text;
    }
}

// A program with some options, a file of settings, and an environment.
class SettingsTest : public ::testing::Test {
  protected:
    ~SettingsTest() override {
        ::unlink(file_.c_str());
        for (const char* name : {"STEPDB_TRIED_COUNT", "STEPDB_TRIED_THE_NAME", "STEPDB_TRIED_X"}) {
            take_away(name);
        }
    }

    // NOLINTBEGIN(concurrency-mt-unsafe): one thread
    static void put(const char* name, const char* value) { ::setenv(name, value, 1); }
    static void take_away(const char* name) { ::unsetenv(name); }
    // NOLINTEND(concurrency-mt-unsafe)
    void write(const std::string& text) { std::ofstream(file_) << text; }

    // "count/name", or what is wrong.
    std::string outcome(std::vector<std::string> arguments = {}) {
        CLI::App app("", "tried");
        int count = 1;
        std::string name = "none";
        app.add_option("--count", count)->check(CLI::Range(1, 10));
        app.add_option("--the-name", name);
        std::string file;
        CLI::Option* config = app.add_option("--config", file);
        std::reverse(arguments.begin(), arguments.end());
        app.parse(std::move(arguments));
        Result<Settings> settings = Settings::read(app, *config, "STEPDB_TRIED_");
        if (!settings) {
            return settings.error().message();
        }
        settings_ = std::move(*settings);
        return fmt::format("{}/{}", count, name);
    }

    std::string told() {
        std::string all;
        settings_.tell([&](const LogEvent& event) {
            all += event.name;
            for (const LogField& field : event.fields) {
                if (const auto* text = std::get_if<std::string>(&field.value)) {
                    all += " " + field.name + "=" + *text;
                }
            }
            all += ";";
        });
        return all;
    }

    const std::string file_ = fmt::format("{}settings-{}.toml", ::testing::TempDir(), ::getpid());
    Settings settings_;
};

TEST_F(SettingsTest, TheCommandLineCountsBeforeTheEnvironmentAndThatBeforeTheFile) {
    EXPECT_EQ(outcome(), "1/none");
    EXPECT_EQ(told(), "");
    write("count = 3\nthe-name = \"file\"\n");
    EXPECT_EQ(outcome(), "1/none");
    EXPECT_EQ(outcome({"--config", file_}), "3/file");
    put("STEPDB_TRIED_COUNT", "4");
    put("STEPDB_TRIED_THE_NAME", "");
    EXPECT_EQ(outcome({"--config", file_}), "4/file");
    EXPECT_EQ(told(), "settings file=" + file_ + " environment=STEPDB_TRIED_COUNT;");
    EXPECT_EQ(outcome({"--count", "5", "--config", file_}), "5/file");
    put("STEPDB_TRIED_X", "1");
    EXPECT_EQ(outcome(), "4/none");
    EXPECT_THAT(told(), HasSubstr("setting_unknown variable=STEPDB_TRIED_X;"));
}

TEST_F(SettingsTest, TheEnvironmentMayNameTheFile) {
    write("count = 3\n");
    put("STEPDB_TRIED_CONFIG", file_.c_str());
    EXPECT_EQ(outcome(), "3/none");
    take_away("STEPDB_TRIED_CONFIG");
}

TEST_F(SettingsTest, SaysWhereAWrongValueStands) {
    write("count = 1\n\nnaem = 'x'\n");
    EXPECT_EQ(outcome({"--config", file_}), file_ + ": line 3: there is no setting 'naem'");
    write("the-nam = 'x'\n");
    EXPECT_EQ(outcome({"--config", file_}),
              file_ + ": line 1: there is no setting 'the-nam'; did you mean 'the-name'?");
    write("config = 'x'\n");
    EXPECT_THAT(outcome({"--config", file_}), HasSubstr("there is no setting 'config'"));
    write("count = 17\n");
    EXPECT_EQ(outcome({"--config", file_}),
              file_ + ": line 1: --count: Value 17 not in range 1 to 10");
    put("STEPDB_TRIED_COUNT", "many");
    EXPECT_THAT(outcome(), HasSubstr("STEPDB_TRIED_COUNT: --count: "));
    EXPECT_THAT(outcome({"--count", "2", "--config", "/no/such.toml"}),
                HasSubstr("cannot read the configuration file /no/such.toml"));
    EXPECT_THAT(outcome({"--count", "2", "--config", "/"}),
                HasSubstr("cannot read the configuration file /"));
}

TEST_F(SettingsTest, TellsWhereAValueThatIsRefusedLaterCameFrom) {
    write("the-name = 'x'\n");
    EXPECT_EQ(outcome({"--config", file_}), "1/x");
    EXPECT_EQ(settings_.with_sources(invalid_argument("--the-name x: no")).message(),
              "--the-name x: no; --the-name is from " + file_ + ": line 1");
    EXPECT_EQ(settings_.with_sources(invalid_argument("--the-names x: no")).message(),
              "--the-names x: no");
}

}  // namespace stepdb::settings_test
