#include "engine/model/attribute.h"

#include <gtest/gtest.h>

#include "engine/model/life_frame.h"
#include "engine/model/limits.h"

namespace stepdb::attribute_test {

using Kind = AttributeChange::Kind;

Attributes after(std::vector<AttributeChange> changes, Attributes attributes = {}) {
    const Status applied = apply_attribute_changes(attributes, changes);
    EXPECT_TRUE(applied) << applied.error().to_string();
    return attributes;
}

TEST(Attributes, TheLastWriteWinsWhateverItsType) {
    const Attributes attributes =
        after({{Kind::kSet, "a", int64_t{1}}, {Kind::kSet, "a", std::string("x")}});
    EXPECT_EQ(std::get<std::string>(attributes.at("a")), "x");
}

TEST(Attributes, AnInt64WidensToTheFloat64ItReplaces) {
    Attributes attributes = after({{Kind::kSet, "lr", 0.5}, {Kind::kSet, "lr", int64_t{1}}});
    EXPECT_EQ(std::get<double>(attributes.at("lr")), 1.0);
    attributes = after({{Kind::kSet, "n", int64_t{1}}, {Kind::kSet, "n", int64_t{2}}});
    EXPECT_EQ(std::get<int64_t>(attributes.at("n")), 2);
}

TEST(Attributes, SetsHaveAddAndRemove) {
    Attributes attributes = after({{Kind::kAddToSet, "s", StringSet{"b", "a"}},
                                   {Kind::kRemoveFromSet, "s", StringSet{"a", "z"}},
                                   {Kind::kRemoveFromSet, "missing", StringSet{"a"}}});
    EXPECT_EQ(std::get<StringSet>(attributes.at("s")), (StringSet{"b"}));
    EXPECT_FALSE(attributes.contains("missing"));
    attributes["s"] = 1.0;
    const Status refused =
        apply_attribute_changes(attributes, {{Kind::kAddToSet, "s", StringSet{"a"}}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(),
              "attribute 's' is a float64, not a string set; set it to one first");
}

TEST(Attributes, AForkInheritsWhatIsTheUsersAndNotTheTagKeep) {
    const Attributes inherited = inherited_attributes({{"config/lr", 0.1},
                                                       {"sys/name", std::string("first")},
                                                       {"sys/owner", std::string("me")},
                                                       {"sys/tags", StringSet{"keep", "sweep"}}});
    EXPECT_EQ(inherited, (Attributes{{"config/lr", 0.1}, {"sys/tags", StringSet{"sweep"}}}));
    EXPECT_TRUE(inherited_attributes({{"sys/tags", StringSet{"keep"}}}).empty());
}

TEST(Attributes, WhatIsTheSystemsCannotBeWritten) {
    EXPECT_FALSE(check_attribute_change({Kind::kSet, "sys/attempt", int64_t{1}}));
    EXPECT_FALSE(check_attribute_change({Kind::kSet, "sys/name", int64_t{1}}));
    EXPECT_FALSE(check_attribute_change({Kind::kSet, "sys/tags", std::string("a")}));
    EXPECT_TRUE(check_attribute_change({Kind::kSet, "sys/name", std::string("a")}));
    EXPECT_TRUE(check_attribute_change({Kind::kAddToSet, "sys/tags", StringSet{"a"}}));
    EXPECT_FALSE(check_attribute_change({Kind::kSet, "", 1.0}));
    EXPECT_FALSE(check_attribute_change({Kind::kSet, "a\nb", 1.0}));
    EXPECT_FALSE(check_attribute_change({Kind::kAddToSet, "a", 1.0}));
}

TEST(Attributes, ARunHasSoManyBytesOfThem) {
    std::vector<AttributeChange> changes;
    for (size_t i = 0; i <= kRunAttributesBytesMax / kAttributeTextBytesMax; ++i) {
        changes.emplace_back(Kind::kSet, fmt::format("text-{}", i),
                             std::string(kAttributeTextBytesMax, 'x'));
    }
    Attributes attributes;
    const Status refused = apply_attribute_changes(attributes, changes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
}

// Every frame of a run's life survives encoding, and any cut of it is refused.
template <typename Frame>
Frame round_trip(const std::vector<std::byte>& frame) {
    const Bytes body = frame_body(frame);
    for (size_t length = 0; length < body.size(); ++length) {
        EXPECT_FALSE(Frame::decode(body.first(length)).has_value()) << length;
    }
    const Result<Frame> decoded = Frame::decode(body);
    EXPECT_TRUE(decoded.has_value()) << decoded.error().to_string();
    return *decoded;
}

TEST(LifeFrames, SurviveEncoding) {
    SetAttributesFrame set;
    set.handle = 3;
    set.changes = {{Kind::kSet, "null", std::monostate()},
                   {Kind::kSet, "flag", true},
                   {Kind::kSet, "n", int64_t{-1}},
                   {Kind::kSet, "lr", 0.25},
                   {Kind::kSet, "text", std::string("x")},
                   {Kind::kSet, "when", Datetime(12)},
                   {Kind::kAddToSet, "set", StringSet{"a", "b"}},
                   {Kind::kRemove, "gone", std::monostate()}};
    const auto got = round_trip<SetAttributesFrame>(encode_set_attributes_frame(set, 9));
    ASSERT_EQ(got.changes.size(), set.changes.size());
    for (size_t i = 0; i < set.changes.size(); ++i) {
        EXPECT_EQ(got.changes[i].kind, set.changes[i].kind) << i;
        EXPECT_EQ(got.changes[i].name, set.changes[i].name) << i;
        EXPECT_EQ(got.changes[i].value, set.changes[i].value) << i;
    }
    RestartRunFrame restart;
    restart.handle = 1;
    restart.attempt = 2;
    restart.step = 0.5;
    EXPECT_EQ(round_trip<RestartRunFrame>(encode_restart_run_frame(restart, 1)).step, 0.5);
    restart.step.reset();
    EXPECT_EQ(round_trip<RestartRunFrame>(encode_restart_run_frame(restart, 1)).cut(),
              std::nullopt);
    restart.attempt = 0;
    EXPECT_FALSE(
        RestartRunFrame::decode(frame_body(encode_restart_run_frame(restart, 1))).has_value());
    DeleteMetricsFrame deleted;
    deleted.handle = 4;
    deleted.metrics = {"a", "b/c"};
    EXPECT_EQ(round_trip<DeleteMetricsFrame>(encode_delete_metrics_frame(deleted, 1)).metrics,
              deleted.metrics);
    deleted.metrics = {"b", "a"};
    EXPECT_FALSE(DeleteMetricsFrame::decode(frame_body(encode_delete_metrics_frame(deleted, 1)))
                     .has_value());
    DiscardAttemptFrame discard;
    discard.attempt = 7;
    discard.refuse_if_forked = true;
    EXPECT_TRUE(
        round_trip<DiscardAttemptFrame>(encode_discard_attempt_frame(discard, 1)).refuse_if_forked);
    SetRetentionFrame retention;
    retention.project = "gpt";
    retention.age_us = 5;
    const std::vector<std::byte> encoded = encode_set_retention_frame(retention);
    EXPECT_EQ(SetRetentionFrame::decode(frame_body(encoded))->age_us, 5);
    EXPECT_EQ(round_trip<HandleFrame>(encode_heartbeat_frame(8, 1)).handle, 8U);
}

}  // namespace stepdb::attribute_test
