// What CLI11 says in its own words is said in ours.
#include "tools/usage_error.h"

#include <gtest/gtest.h>

namespace stepdb::usage_error_test {

// What is said of the command line; "" if nothing is wrong.
std::string usage_error(std::vector<std::string> arguments) {
    CLI::App app("", "stepdb");
    app.require_subcommand(1);
    CLI::App* query = app.add_subcommand("query", "");
    std::string text;
    std::string data;
    std::string server;
    std::string format;
    int count = 0;
    query->add_option("TEXT", text)->type_name("QUERY")->required();
    CLI::Option* of = query->add_option("--data", data)->type_name("DIR")->required();
    query->add_option("--server", server)->excludes(of);
    query->add_option("--format", format)->check(CLI::IsMember({"table", "csv"}));
    query->add_option("--count", count)->check(CLI::Range(1, 10));
    app.add_subcommand("import", "");
    std::reverse(arguments.begin(), arguments.end());
    try {
        app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        return describe_usage_error(query->parsed() ? *query : app, error);
    }
    return "";
}

TEST(UsageError, NamesCommandsAndOptionsThatAreNotThere) {
    EXPECT_EQ(usage_error({}), "a command is wanted: query, import");
    EXPECT_EQ(usage_error({"qurey", "x"}), "there is no command 'qurey'; did you mean 'query'?");
    EXPECT_EQ(usage_error({"nonsense"}), "there is no command 'nonsense'");
    EXPECT_EQ(usage_error({"query", "x", "--data", "d", "--fromat", "csv"}),
              "there is no option '--fromat'; did you mean '--format'?");
    EXPECT_EQ(usage_error({"query", "x", "y", "z", "--data", "d"}),
              "'y' is one argument too many; a text with blanks needs quotes around it");
}

TEST(UsageError, NamesWhatIsMissing) {
    EXPECT_EQ(usage_error({"query", "--data", "d"}), "QUERY is missing");
    EXPECT_EQ(usage_error({"query", "x"}), "--data DIR is missing");
    EXPECT_EQ(usage_error({"query", "x", "--data"}), "--data wants a value behind it");
}

TEST(UsageError, SaysWhatValuesCanBe) {
    EXPECT_EQ(usage_error({"query", "x", "--data", "d", "--format", "xml"}),
              "--format: 'xml' is none of table, csv");
    EXPECT_EQ(usage_error({"query", "x", "--data", "d", "--count", "0"}),
              "--count: Value 0 not in range 1 to 10");
    EXPECT_EQ(usage_error({"query", "x", "--data", "d", "--server", "s"}),
              "--data and --server exclude each other");
}

}  // namespace stepdb::usage_error_test
