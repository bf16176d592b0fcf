// The numbers in docs/protocol.md are those of the program.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <sstream>

#include "engine/base/result.h"
#include "engine/model/frame.h"
#include "engine/model/limits.h"
#include "engine/model/result_columns.h"
#include "query/parameters.h"
#include "tests/protocol/transcript.h"

namespace stepdb::document_test {

std::string section(std::string_view title) {
    const std::string document = read_document("docs/protocol.md");
    const size_t begin = document.find(fmt::format("\n## {}\n", title));
    EXPECT_NE(begin, std::string::npos) << title;
    return document.substr(begin, document.find("\n## ", begin + 1) - begin);
}

// The captures of every line of `text` that matches.
std::vector<std::smatch> matching_lines(const std::vector<std::string>& lines, const char* regex) {
    std::vector<std::smatch> matches;
    const std::regex compiled(regex);
    for (const std::string& line : lines) {
        std::smatch match;
        if (std::regex_search(line, match, compiled)) {
            matches.push_back(match);
        }
    }
    return matches;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

TEST(ProtocolDocument, LimitsAreThoseOfTheProgram) {
    const std::map<std::string, uint64_t> limits = {
        {"kFrameBytesMax", kFrameBytesMax},
        {"kFrameRowsMax", kFrameRowsMax},
        {"kIdBytesMax", kIdBytesMax},
        {"kMetricBytesMax", kMetricBytesMax},
        {"kRunAttributesBytesMax", kRunAttributesBytesMax},
        {"kAttributeTextBytesMax", kAttributeTextBytesMax},
        {"kLineageDepthMax", kLineageDepthMax},
        {"kSchemaMetricsMax", kSchemaMetricsMax},
        {"kSchemaBytesMax", kSchemaBytesMax},
        {"kQueryTextBytesMax", kQueryTextBytesMax},
        {"kBackupPathBytesMax", kBackupPathBytesMax},
        {"kQueryParametersMax", kQueryParametersMax},
        {"kQueryParameterBytesMax", kQueryParameterBytesMax},
        {"kQueriesPerConnectionMax", kQueriesPerConnectionMax},
        {"kRunsOpenPerConnectionMax", kRunsOpenPerConnectionMax},
        {"kConnectionsMax", kConnectionsMax},
        {"kResultBlockRowsMax", kResultBlockRowsMax},
    };
    std::map<std::string, uint64_t> documented;
    const auto lines = lines_of(section("Limits"));
    for (const std::smatch& match : matching_lines(lines, R"(\| ([0-9,]+)[^|]*\| `(k\w+)` \|)")) {
        const std::string digits = std::regex_replace(match[1].str(), std::regex(","), "");
        documented[match[2]] = std::stoull(digits);
    }
    EXPECT_EQ(documented, limits);
}

TEST(ProtocolDocument, FrameTypesAreThoseOfTheProgram) {
    const auto lines = lines_of(section("Frame"));
    const auto rows = matching_lines(lines, R"(^\| (\d+) \| `(\w+)` \|)");
    EXPECT_EQ(rows.size(), 24U);
    for (const std::smatch& row : rows) {
        EXPECT_EQ(frame_type_name(static_cast<FrameType>(std::stoi(row[1]))), row[2].str());
    }
}

TEST(ProtocolDocument, ErrorCodesAreThoseOfTheProgram) {
    const auto lines = lines_of(section("Errors"));
    int codes = 0;
    for (const std::smatch& row : matching_lines(lines, R"(^\| (\d+) \| ([^|]+) \| [^|]+ \|$)")) {
        const int code = std::stoi(row[1]);
        EXPECT_EQ(code, ++codes);
        EXPECT_EQ(error_code_name(static_cast<ErrorCode>(code)), row[2].str());
    }
    EXPECT_EQ(codes, 11);
}

TEST(ProtocolDocument, ColumnTypesAreThoseOfTheProgram) {
    const auto lines = lines_of(section("Bodies"));
    int types = 0;
    for (const std::smatch& row :
         matching_lines(lines, R"(^\| (\d) \| (text|float64|step|time|uint64) \|)")) {
        EXPECT_EQ(std::stoi(row[1]), types++);
        EXPECT_EQ(column_type_name(static_cast<ColumnType>(std::stoi(row[1]))), row[2].str());
    }
    EXPECT_EQ(types, 5);
}

}  // namespace stepdb::document_test
