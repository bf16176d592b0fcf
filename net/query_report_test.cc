#include "net/query_report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::query_report_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

QueryReport slow_report() {
    QueryReport report;
    report.duration = std::chrono::milliseconds(2'500);
    report.turn_wait = std::chrono::milliseconds(120);
    report.memory_wait = std::chrono::milliseconds(40);
    report.memory_peak_bytes = 4'096;
    report.rows = 17;
    report.cost.pieces = 3;
    report.cost.vectors_decoded = 5;
    report.cost.nodes_used = 7;
    report.cost.bytes_read = 11;
    return report;
}

// `name=value ...`.
std::string fields_of(const LogEvent& event) {
    std::string fields;
    for (const LogField& field : event.fields) {
        fields += field.name + '=';
        std::visit([&](const auto& value) { fields += fmt::format("{} ", value); }, field.value);
    }
    return fields;
}

std::string described(const QueryReport& report, QueryText asked) {
    return fields_of(describe_query(report, asked));
}

TEST(QueryReport, IsWhatTheQueryTookAndAsked) {
    const LogEvent event = describe_query(slow_report(), QueryText("loss @ p/r\n| last 3"));
    EXPECT_EQ(event.name, "slow_query");
    EXPECT_EQ(fields_of(event),
              "outcome=ok seconds=2.5 turn_wait=0.12 memory_wait=0.04 memory_bytes=4096 rows=17 "
              "pieces=3 vectors=5 nodes=7 read_bytes=11 query=loss @ p/r\\x0a| last 3 ");
}

TEST(QueryReport, TellsTheErrorAndWhoGaveUp) {
    QueryReport report = slow_report();
    report.outcome = QueryOutcome::kFailed;
    report.error = "no room\n  loss @ p/r";
    EXPECT_THAT(described(report, QueryText("loss @ p/r")),
                AllOf(HasSubstr("outcome=error "),
                      HasSubstr(" error=no room\\x0a  loss @ p/r query=loss @ p/r")));
    report = slow_report();
    report.outcome = QueryOutcome::kCancelled;
    EXPECT_THAT(described(report, QueryText("x")), HasSubstr("outcome=cancelled "));
    report.outcome = QueryOutcome::kClientGone;
    EXPECT_THAT(described(report, QueryText("x")), HasSubstr("outcome=client-gone "));
}

TEST(QueryReport, TellsLittleOfLongTextsAndOfValues) {
    QueryParameters parameters;
    for (int at = 0; at < 10; ++at) {
        ASSERT_TRUE(parameters.add("name" + std::to_string(at), std::string(1'000, 's') + "ecret"));
    }
    const std::string line =
        described(slow_report(), QueryText(std::string(10'000, 'm'), std::move(parameters)));
    EXPECT_THAT(line, AllOf(HasSubstr("mmm... parameters=$name0=ssssssssssssssss... $name1="),
                            HasSubstr(" and 2 more"), Not(HasSubstr("$name8"))));
    EXPECT_LT(line.size(), 1'200U);
    EXPECT_GT(line.size(), 600U);
}

}  // namespace stepdb::query_report_test
