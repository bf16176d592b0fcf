#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/session.h"
#include "net/testing/fake_access.h"
#include "net/testing/session_harness.h"

namespace stepdb::session_access_test {

using ::testing::HasSubstr;
using ::testing::Not;

struct SessionAccess : ::testing::Test {
    SessionAccess() { server.services.access = &access; }

    std::vector<SentFrame> hello(TestPeer& asker, const std::string& token) {
        HelloMessage hello;
        hello.writer.bytes[0] = std::byte{1};
        hello.token = token;
        return asker.exchange(encode_hello(hello));
    }

    FakeAccess access;
    TestServer server;
    TestPeer peer{server};
};

TEST_F(SessionAccess, OnlyWhoHasATokenComesIn) {
    access.add("good");
    for (const std::string token : {"", "other-secret"}) {
        TestPeer stranger(server);
        const auto frames = hello(stranger, token);
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(frames[0].error().scope, ErrorScope::kConnection);
        EXPECT_EQ(frames[0].error().code, ErrorCode::kPermissionDenied);
        EXPECT_THAT(frames[0].error().message, Not(HasSubstr("other-secret")));
        EXPECT_TRUE(stranger.session().finished());
    }
    EXPECT_EQ(hello(peer, "good")[0].header.type, FrameType::kHelloOk);
    EXPECT_EQ(access.seats(), 1);
    peer.session().abandon();
    EXPECT_EQ(access.seats(), 0);
}

TEST_F(SessionAccess, WhatAStrangerSendsBehindHelloIsNotLookedAt) {
    const auto frames =
        peer.exchange(encode_hello(HelloMessage()) + encode_schema_frame("demo", *test_schema()) +
                      encode_query("rows 1", 1));
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kPermissionDenied);
    EXPECT_EQ(server.engine.frames(), 0U);
}

TEST_F(SessionAccess, QueriesAndWatchesCarryTheRightsOfWhoAsks) {
    access.add("good").grant(Right::kRead, "demo");
    hello(peer, "good");
    peer.send(encode_query("rows 1", 1) + encode_watch("rows 1", 2));
    ASSERT_EQ(server.queries.asked_with().size(), 2U);
    for (const auto& rights : server.queries.asked_with()) {
        ASSERT_NE(rights, nullptr);
        EXPECT_EQ(rights->holder(), "token 'good'");
    }
    peer.receive();
}

TEST_F(SessionAccess, ABackupTakesTheAdminRight) {
    Rights& rights = access.add("good");
    rights.grant(Right::kRead, "*");
    rights.grant(Right::kAdmin, "demo");
    hello(peer, "good");
    auto frames = peer.exchange(encode_backup("/rows 1", 1));
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kRequest);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kPermissionDenied);
    rights.grant(Right::kAdmin, "*");
    EXPECT_EQ(peer.exchange(encode_backup("/rows 1", 2)).back().header.type, FrameType::kResultEnd);
}

TEST_F(SessionAccess, ARevokedTokenEndsItsConnectionsBehindTheOutcomesOfWhatCame) {
    access.add("good").grant(Right::kWrite, "demo");
    hello(peer, "good");
    server.engine.hold();
    EXPECT_TRUE(peer.exchange(encode_schema_frame("demo", *test_schema()) + test_open() +
                              test_rows(1, 1) + encode_query("hang", 5))
                    .empty());
    peer.session().check_access();
    EXPECT_TRUE(peer.receive().empty());
    access.revoke("good");
    peer.session().check_access();
    EXPECT_FALSE(peer.session().wants_input());
    auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 1U);  // the query's
    EXPECT_EQ(frames[0].error().code, ErrorCode::kCancelled);
    EXPECT_EQ(server.queries.running(), 0);
    server.engine.release();
    frames = peer.receive();
    ASSERT_GE(frames.size(), 2U);
    EXPECT_EQ(frames[frames.size() - 2].header.type, FrameType::kAck);
    EXPECT_EQ(frames[frames.size() - 2].header.number, 3U);
    EXPECT_EQ(frames.back().error().scope, ErrorScope::kConnection);
    EXPECT_EQ(frames.back().error().code, ErrorCode::kPermissionDenied);
    EXPECT_THAT(frames.back().error().message, HasSubstr("revoked"));
    EXPECT_TRUE(peer.session().finished());
}

TEST_F(SessionAccess, AWriterOverItsRateIsNotReadUntilThatIsPaidOff) {
    RateLimit::Time now(std::chrono::hours(1));
    server.services.steady_now = [&now] { return now; };
    access.add("good").grant(Right::kWrite, "demo");
    access.limit("good", 2, 0);
    hello(peer, "good");
    Bytestring rows;
    for (uint64_t number = 1; number <= 4; ++number) {
        rows = rows + test_rows(number, static_cast<double>(number));
    }
    // What came in one piece is taken, and two seconds' worth of it was there.
    const auto frames =
        peer.exchange(encode_schema_frame("demo", *test_schema()) + test_open() + rows);
    EXPECT_EQ(frames.back().header.type, FrameType::kAck);
    EXPECT_EQ(frames.back().header.number, 6U);
    EXPECT_FALSE(peer.session().wants_input());
    EXPECT_EQ(peer.session().rate_wait(), std::chrono::seconds(1));
    // Others of the token wait too once they write, and no others.
    TestPeer reader(server);
    hello(reader, "good");
    EXPECT_TRUE(reader.session().wants_input());
    now += std::chrono::seconds(1);
    EXPECT_TRUE(peer.session().wants_input());
    EXPECT_EQ(peer.exchange(test_rows(5, 5)).back().header.number, 7U);
}

TEST_F(SessionAccess, QueriesOverTheirRateAreRefusedAlone) {
    RateLimit::Time now(std::chrono::hours(1));
    server.services.steady_now = [&now] { return now; };
    access.add("good").grant(Right::kRead, "demo");
    access.limit("good", 0, 2);
    hello(peer, "good");
    EXPECT_EQ(peer.exchange(encode_query("rows 1", 1)).back().header.type, FrameType::kResultEnd);
    EXPECT_EQ(peer.exchange(encode_query("rows 1", 2)).back().header.type, FrameType::kResultEnd);
    const auto frames = peer.exchange(encode_query("rows 1", 3));
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kRequest);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kResourceExhausted);
    EXPECT_THAT(
        frames[0].error().message,
        HasSubstr("token 'good' may ask 2 queries a second, and has; ask again in 0.500 s"));
    EXPECT_EQ(server.services.counts->queries_limited, 1U);
    now += std::chrono::milliseconds(500);
    EXPECT_EQ(peer.exchange(encode_query("rows 1", 3)).back().header.type, FrameType::kResultEnd);
}

}  // namespace stepdb::session_access_test
