#include "engine/model/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/model/limits.h"

namespace stepdb::schema_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Schema, IsNamedByItsContent) {
    const Schema a = Schema::create(Axis::kStepped, {"train/loss", "lr"}).value();
    const Schema same = Schema::create(Axis::kStepped, {"train/loss", "lr"}).value();
    const Schema order = Schema::create(Axis::kStepped, {"lr", "train/loss"}).value();
    const Schema axis = Schema::create(Axis::kTimed, {"train/loss", "lr"}).value();
    EXPECT_EQ(a.hash(), same.hash());
    EXPECT_NE(a.hash(), order.hash());
    EXPECT_NE(a.hash(), axis.hash());
}

TEST(Schema, CanonicalEncodingIsFrozen) {
    const Schema schema = Schema::create(Axis::kStepped, {"loss", "lr"}).value();
    ByteWriter expected;
    expected.put<uint8_t>(0);
    expected.put<uint32_t>(2);
    expected.put_text("loss");
    expected.put_text("lr");
    EXPECT_EQ(schema.encode(), expected.take());
    EXPECT_EQ(schema.hash(), sha256_128(schema.encode()));
}

TEST(Schema, ComesBackFromItsEncoding) {
    const Schema schema = Schema::create(Axis::kTimed, {"gpu/0/util", "größe", "a b"}).value();
    const Schema back = Schema::decode(schema.encode()).value();
    EXPECT_EQ(back.axis(), Axis::kTimed);
    EXPECT_TRUE(std::ranges::equal(back.metrics(), schema.metrics()));
    EXPECT_EQ(back.hash(), schema.hash());
}

TEST(Schema, FindsColumnsByPath) {
    const Schema schema = Schema::create(Axis::kStepped, {"z", "a", "m"}).value();
    EXPECT_EQ(schema.find("z"), 0U);
    EXPECT_EQ(schema.find("a"), 1U);
    EXPECT_EQ(schema.find("m"), 2U);
    EXPECT_FALSE(schema.find("b").has_value());
}

TEST(Schema, FindsPathsThatHoldAText) {
    const Schema schema = *Schema::create(
        Axis::kStepped, {std::string("layers/0/loss"), "layers/1/loss", "loss", "slow", "loss/x"});
    const auto all = [&](std::string_view text) {
        std::vector<uint32_t> columns;
        for (uint32_t at = schema.find_holding(text, 0); at < schema.width();
             at = schema.find_holding(text, at + 1)) {
            columns.push_back(at);
        }
        return columns;
    };
    EXPECT_THAT(all("loss"), ElementsAre(0, 1, 2, 4));
    EXPECT_THAT(all("s"), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(all("/loss"), ElementsAre(0, 1));
    EXPECT_THAT(all("loss/x"), ElementsAre(4));
    EXPECT_THAT(all("x"), ElementsAre(4));
    // Where one path ends and the next begins: "loss" + "slow", "slow" + "loss/x".
    EXPECT_THAT(all("sslow"), IsEmpty());
    EXPECT_THAT(all("wloss"), IsEmpty());
    EXPECT_EQ(schema.find_holding("loss", 5), 5U);
}

TEST(Schema, RefusalNamesMetricAndPosition) {
    const auto message = [](std::vector<std::string> metrics) {
        return Schema::create(Axis::kStepped, std::move(metrics)).error().message();
    };
    EXPECT_THAT(message({}), HasSubstr("0 metrics"));
    EXPECT_THAT(message({"a", "b", "a"}), HasSubstr("'a' twice, in columns 0 and 2"));
    EXPECT_THAT(message({"a", ""}), HasSubstr("column 1"));
    EXPECT_THAT(message({"a", std::string("\xff")}), HasSubstr("not valid UTF-8"));
    EXPECT_THAT(message({"a\nb"}), HasSubstr("control character"));
    EXPECT_THAT(message({std::string(kMetricBytesMax + 1, 'x')}), HasSubstr("1025 bytes"));
}

TEST(Schema, EveryTruncationIsRefused) {
    const Schema schema = Schema::create(Axis::kStepped, {"loss", "lr"}).value();
    const std::vector<std::byte> canonical = schema.encode();
    for (size_t bytes = 0; bytes < canonical.size(); ++bytes) {
        EXPECT_FALSE(Schema::decode(Bytes(canonical).first(bytes)).has_value()) << bytes;
    }
    std::vector<std::byte> longer = canonical;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(Schema::decode(longer).has_value());
}

TEST(Schema, AbsurdCountIsRefusedBeforeMemoryIsTaken) {
    ByteWriter writer;
    writer.put<uint8_t>(0);
    writer.put<uint32_t>(0xFFFFFFFF);
    writer.put_text("loss");
    EXPECT_THAT(Schema::decode(writer.bytes()).error().message(), HasSubstr("4294967295 metrics"));
}

TEST(Ids, RefuseWhatWouldBreakPaths) {
    EXPECT_TRUE(check_id("run", "run-17.b@3").has_value());
    for (const char* bad : {"", "a/b", "a#1", "a*", "a b", "a\"", "a'", "a\tb", "\xc3"}) {
        EXPECT_FALSE(check_id("run", bad).has_value()) << bad;
    }
    EXPECT_FALSE(check_id("run", std::string(kIdBytesMax + 1, 'x')).has_value());
    EXPECT_THAT(check_id("project", "a/b").error().message(), HasSubstr("project id 'a/b'"));
}

}  // namespace stepdb::schema_test
