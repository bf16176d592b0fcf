#include "net/query_report.h"

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

TEST(QueryReport, IsOneLineOfWhatTheQueryTookAndAsked) {
    EXPECT_EQ(describe_query(slow_report(), QueryText("loss @ p/r\n| last 3")),
              "outcome=ok seconds=2.500 turn_wait=0.120 memory_wait=0.040 memory_bytes=4096 "
              "rows=17 pieces=3 vectors=5 nodes=7 read_bytes=11 query: loss @ p/r\\x0a| last 3");
}

TEST(QueryReport, TellsTheErrorAndWhoGaveUp) {
    QueryReport report = slow_report();
    report.outcome = QueryOutcome::kFailed;
    report.error = "no room\n  loss @ p/r";
    EXPECT_THAT(describe_query(report, QueryText("loss @ p/r")),
                AllOf(HasSubstr("outcome=error "),
                      HasSubstr(" error: no room\\x0a  loss @ p/r; query: loss @ p/r")));
    report = slow_report();
    report.outcome = QueryOutcome::kCancelled;
    EXPECT_THAT(describe_query(report, QueryText("x")), HasSubstr("outcome=cancelled "));
    report.outcome = QueryOutcome::kClientGone;
    EXPECT_THAT(describe_query(report, QueryText("x")), HasSubstr("outcome=client-gone "));
}

TEST(QueryReport, TellsLittleOfLongTextsAndOfValues) {
    QueryParameters parameters;
    for (int at = 0; at < 10; ++at) {
        ASSERT_TRUE(parameters.add("name" + std::to_string(at), std::string(1'000, 's') + "ecret"));
    }
    const std::string line =
        describe_query(slow_report(), QueryText(std::string(10'000, 'm'), std::move(parameters)));
    EXPECT_THAT(line, AllOf(HasSubstr("mmm...; with $name0=ssssssssssssssss... $name1="),
                            HasSubstr(" and 2 more"), Not(HasSubstr("$name8"))));
    EXPECT_LT(line.size(), 1'200U);
    EXPECT_GT(line.size(), 600U);
}

}  // namespace stepdb::query_report_test
