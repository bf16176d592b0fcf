#include "net/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdb::http_test {

using ::testing::HasSubstr;

HttpResponse ask(const HttpRoutes& routes, const std::string& method, const std::string& path) {
    const HttpRoute* const route = routes.find(method, path);
    if (route == nullptr) {
        return routes.describe_missing(path);
    }
    HttpResponse answer;
    route->handler(HttpRequest(), [&](HttpResponse response) { answer = std::move(response); });
    return answer;
}

TEST(HttpRoutes, AnswersByPathAndMethod) {
    HttpRoutes routes;
    const auto say = [](const char* text) {
        return [text](const HttpRequest&, HttpAnswer answer) { answer(HttpResponse(200, text)); };
    };
    routes.add("GET", "/a", say("got"));
    routes.add("POST", "/a", say("posted"));
    routes.add("POST", "/b", say("b"));
    EXPECT_EQ(ask(routes, "GET", "/a").body, "got");
    EXPECT_EQ(ask(routes, "HEAD", "/a").body, "got");
    EXPECT_EQ(ask(routes, "POST", "/a").body, "posted");
    const HttpResponse wrong = ask(routes, "DELETE", "/b");
    EXPECT_EQ(wrong.status, 405U);
    ASSERT_EQ(wrong.fields.size(), 1U);
    EXPECT_EQ(wrong.fields[0].second, "POST");
    const HttpResponse unknown = ask(routes, "GET", "/a/\n");
    EXPECT_EQ(unknown.status, 404U);
    EXPECT_THAT(unknown.body, HasSubstr("/a/\\x0a here"));
    EXPECT_THAT(unknown.body, HasSubstr("/a, /b"));
}

TEST(DescribeHttpError, HasAStatusForEachCode) {
    for (size_t code = 1; code < 12; ++code) {
        const HttpResponse response =
            describe_http_error(Error(static_cast<ErrorCode>(code), "why"));
        EXPECT_GE(response.status, 400U);
        EXPECT_EQ(response.body, "why\n");
    }
    EXPECT_EQ(describe_http_error(Error(ErrorCode::kNotFound, "x")).status, 404U);
    EXPECT_EQ(describe_http_error(Error(ErrorCode::kPermissionDenied, "x")).status, 403U);
}

}  // namespace stepdb::http_test
