#include "net/query_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "query/diagnostic.h"

namespace stepdb::query_request_test {

using ::testing::HasSubstr;

TEST(QueryRequest, IsReadFromJsonAndFromTargets) {
    const auto json =
        read_query_json(R"({"query":"$m @ p/r","parameters":{"m":"loss","n":3},"format":"csv"})");
    ASSERT_TRUE(json) << json.error().message();
    EXPECT_EQ(json->query.text, "$m @ p/r");
    EXPECT_EQ(*json->query.parameters.find("m"), "loss");
    EXPECT_EQ(*json->query.parameters.find("n"), "3");
    EXPECT_EQ(json->format, AnswerFormat::kCsv);
    const auto target = read_query_target("query=%24m+%40%20p%2Fr&p.m=a%26b&format=columns&");
    ASSERT_TRUE(target) << target.error().message();
    EXPECT_EQ(target->query.text, "$m @ p/r");
    EXPECT_EQ(*target->query.parameters.find("m"), "a&b");
    EXPECT_EQ(target->format, AnswerFormat::kColumns);
}

TEST(QueryRequest, ManyAreReadOneByOne) {
    const auto many = read_queries_json(
        R"( {"queries": [ {"query":"a","parameters":{"x":"]"}} , {"query":"b"} ]} )");
    ASSERT_TRUE(many) << many.error().message();
    ASSERT_EQ(many->size(), 2U);
    EXPECT_EQ((*many)[1].text, "b");
    EXPECT_THAT(read_queries_json(R"({"queries":[{"query":"a"},[1]]})").error().message(),
                HasSubstr("queries[1]"));
    EXPECT_FALSE(read_queries_json(R"({"queries":[]})"));
    EXPECT_FALSE(read_queries_json(R"({"queries":{}})"));
}

TEST(WatchRequest, TakesAQueryACancelOrAToken) {
    const auto watch = read_watch_json(R"({"id":7,"query":"runs"})");
    ASSERT_TRUE(watch);
    EXPECT_EQ(watch->id, 7U);
    EXPECT_EQ(watch->query->text, "runs");
    EXPECT_TRUE(read_watch_json(R"({"id":7,"cancel":true})")->is_cancel);
    EXPECT_EQ(read_watch_json(R"({"token":"t"})")->token, "t");
    EXPECT_TRUE(read_watch_json(R"({"token":"t","id":1,"query":"runs"})")->query.has_value());
    for (const char* wrong :
         {R"({})", R"({"id":7})", R"({"id":7,"cancel":false})", R"({"query":"runs"})",
          R"({"id":-1,"query":"runs"})", R"({"id":"7","query":"runs"})",
          R"({"id":9007199254740992,"query":"runs"})",
          R"({"id":1,"query":"runs","cancel":true})"}) {
        EXPECT_FALSE(read_watch_json(wrong)) << wrong;
    }
}

TEST(SpanOfQueryError, IsThatOfTheError) {
    for (const std::string text :
         {"loss @ p/r bckets 5", "größe @ p/rün bckets 5", "a\nb bckets"}) {
        SourceSpan span;
        span.offset = text.find("bckets");
        span.bytes = 6;
        const auto found = span_of_query_error(text, query_error(text, span, "why").message());
        ASSERT_TRUE(found) << text;
        EXPECT_EQ(found->offset, span.offset);
        EXPECT_EQ(found->bytes, span.bytes);
    }
    const std::string text = "x @";
    const auto end = span_of_query_error(text, query_error(text, {3, 0}, "more").message());
    ASSERT_TRUE(end);
    EXPECT_EQ(end->offset + end->bytes, 3U);
    EXPECT_FALSE(span_of_query_error(text, "another error (byte 2)"));
    EXPECT_FALSE(span_of_query_error(text, "(byte 9): beyond\n^"));
    EXPECT_FALSE(span_of_query_error(text, ""));
}

}  // namespace stepdb::query_request_test
