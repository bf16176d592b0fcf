#include "net/ingest_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/float_bits.h"

namespace stepdb::ingest_request_test {

using ::testing::HasSubstr;

std::string refused(std::string_view body) {
    const Result<IngestRequest> request = read_ingest_json(body);
    return request ? "it is taken" : request.error().message();
}

TEST(IngestRequest, RowsOfTheSameMetricsAreOnePart) {
    const Result<IngestRequest> request = read_ingest_json(
        R"({"project":"p","run":"r","rows":[
            {"step":1,"metrics":{"a":1,"b":"NaN"}},{"step":2,"metrics":{"a":null,"b":-0.0}},
            {"step":3,"metrics":{"b":1,"a":2}},{"step":4,"time":5,"metrics":{"b":1,"a":2}},
            {"time":6,"metrics":{"b":1,"a":2}}]})");
    ASSERT_TRUE(request) << request.error().message();
    ASSERT_EQ(request->parts.size(), 4U);
    EXPECT_EQ(request->row_count, 5U);
    EXPECT_EQ(request->parts[1].first_row, 2U);
    // The same metrics with times, too, are the same schema.
    EXPECT_EQ(request->parts[1].schema, request->parts[2].schema);
    EXPECT_EQ(request->parts[3].schema->axis(), Axis::kTimed);
    const std::vector<std::byte> frame = request->parts[0].rows->finish(1, 0, 1);
    RowPosition bad;
    const auto view = RowsView::decode(frame_body(frame), *request->parts[0].schema, bad);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->rows(), 2U);
    EXPECT_TRUE(view->is_present(0, 0));
    EXPECT_FALSE(view->is_present(1, 0));
    EXPECT_EQ(view->points(), 3U);
}

TEST(IngestRequest, AttributesHaveTypes) {
    const Result<IngestRequest> request = read_ingest_json(
        R"({"project":"p","run":"r","attempt":2,"state":"failed","tags":["x"],
            "writer":"000102030405060708090a0b0c0d0e0f","number":7,
            "attributes":{"a":{"b":3},"c":3.0,"d":true,"e":"t","f":null,"g":["y","x"]}})");
    ASSERT_TRUE(request) << request.error().message();
    EXPECT_EQ(request->attempt, 2U);
    EXPECT_EQ(request->state, RunState::kFailed);
    EXPECT_EQ(request->number, 7U);
    EXPECT_EQ(request->writer->to_hex(), "000102030405060708090a0b0c0d0e0f");
    ASSERT_EQ(request->changes.size(), 7U);
    EXPECT_EQ(request->changes[0].name, "sys/tags");
    EXPECT_EQ(request->changes[0].kind, AttributeChange::Kind::kAddToSet);
    EXPECT_EQ(request->changes[1].name, "a/b");
    EXPECT_EQ(attribute_type(request->changes[1].value), AttributeType::kInt64);
    EXPECT_EQ(attribute_type(request->changes[2].value), AttributeType::kFloat64);
    EXPECT_EQ(attribute_type(request->changes[5].value), AttributeType::kNull);
    EXPECT_EQ(attribute_type(request->changes[6].value), AttributeType::kStringSet);
}

TEST(IngestRequest, SaysWhatIsWrongAndWhere) {
    EXPECT_THAT(refused("{}"), HasSubstr("project"));
    EXPECT_THAT(refused(R"({"project":"p","run":"r","rows":[{"step":1,"metrics":{"a":1}},{}]})"),
                HasSubstr("rows[1]: a row takes"));
    EXPECT_THAT(refused(R"({"project":"p","run":"r","rows":[{"step":1,"metrics":{"a":1,"a":2}}]})"),
                HasSubstr("rows[0]"));
    EXPECT_THAT(refused(R"({"project":"p","run":"r","rows":[{"step":1e999,"metrics":{"a":1}}]})"),
                HasSubstr("finite"));
    EXPECT_THAT(refused(R"({"project":"p","run":"r","writer":"00000000000000000000000000000000",
                            "number":1})"),
                HasSubstr("not all of them 0"));
    EXPECT_THAT(refused(R"({"project":"p","run":"r","writer":"12"})"), HasSubstr("32 hex digits"));
}

}  // namespace stepdb::ingest_request_test
