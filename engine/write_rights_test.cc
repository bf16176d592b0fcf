#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "tests/support/engine_fixture.h"

namespace stepdb::write_rights_test {

using ::testing::HasSubstr;

// The fixture's writer, connected anew with rights.
class WriteRights : public EngineTest {
  protected:
    void connect_with(std::initializer_list<std::pair<Right, std::string>> granted) {
        auto rights = std::make_shared<Rights>("token 'ci'");
        for (const auto& [right, pattern] : granted) {
            rights->grant(right, pattern);
        }
        store_.set_sessions(
            [this, rights](const Id128& id, OutcomeSink& sink) {
                return store_.engine().open_session(id, sink, ++connections_, rights);
            },
            {});
        writer_.disconnect();
        writer_.connect(store_);
    }
    // What became of the last frames.
    std::vector<ErrorCode> refused() {
        store_.run();
        std::vector<ErrorCode> codes;
        for (; seen_ < writer_.refusals().size(); ++seen_) {
            codes.push_back(writer_.refusals()[seen_].second.error.code());
        }
        return codes;
    }
    void TearDown() override {
        store_.set_sessions({}, {});
        EngineTest::TearDown();
    }

  private:
    uint64_t connections_ = 100;
    size_t seen_ = 0;
};

TEST_F(WriteRights, TakeRowsOfTheirProjectsAndNoOthers) {
    connect_with({{Right::kWrite, "p"}, {Right::kRead, "q"}});
    writer_.send(one_row("p/r", loss_, 1, {1.0}));
    EXPECT_TRUE(refused().empty());
    writer_.send(one_row("q/r", loss_, 1, {1.0}));
    const auto codes = refused();
    ASSERT_GE(codes.size(), 2U);  // the schema and the opening, before the rows without a handle
    EXPECT_EQ(codes[0], ErrorCode::kPermissionDenied);
    EXPECT_EQ(codes[1], ErrorCode::kPermissionDenied);
    EXPECT_THAT(writer_.refusals().front().second.error.message(),
                HasSubstr("token 'ci' has no write right for project q"));
    EXPECT_EQ(store_.contents()->size(), 1U);
    EXPECT_EQ(store_.engine().catalog()->find_run("q", "r"), nullptr);
}

TEST_F(WriteRights, WhatIsRefusedComesInItsTurn) {
    connect_with({{Right::kWrite, "p"}});
    OpenRunFrame open;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.first_number = 1;
    open.run = "x";
    std::vector<uint64_t> ordinals;
    for (const std::string_view project : {"p", "q", "p", "q"}) {
        open.handle += 1;
        open.project = project;
        ordinals.push_back(writer_.submit(encode_open_run_frame(open)));
    }
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 2U);
    EXPECT_EQ(writer_.refusals()[0].first, ordinals[1]);
    EXPECT_EQ(writer_.refusals()[1].first, ordinals[3]);
    EXPECT_EQ(writer_.opened().size(), 2U);
}

TEST_F(WriteRights, RetentionTakesTheAdminRight) {
    SetRetentionFrame set;
    set.project = "p";
    set.age_us = 1'000'000;
    connect_with({{Right::kWrite, "p"}});
    writer_.submit(encode_set_retention_frame(set));
    EXPECT_EQ(refused(), std::vector{ErrorCode::kPermissionDenied});
    EXPECT_TRUE(store_.engine().catalog()->retention().empty());
    connect_with({{Right::kAdmin, "p"}});
    writer_.submit(encode_set_retention_frame(set));
    EXPECT_TRUE(refused().empty());
    set.project = "q";
    writer_.submit(encode_set_retention_frame(set));
    EXPECT_EQ(refused(), std::vector{ErrorCode::kPermissionDenied});
    EXPECT_EQ(store_.engine().catalog()->retention().size(), 1U);
}

}  // namespace stepdb::write_rights_test
