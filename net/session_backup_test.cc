#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/session.h"
#include "net/testing/session_harness.h"

namespace stepdb::session_backup_test {

using ::testing::HasSubstr;

TEST_F(Logging, ABackupIsAnsweredLikeAQuery) {
    auto frames = peer.exchange(encode_backup("/rows 3", 7));
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].header.type, FrameType::kResultColumns);
    EXPECT_EQ(frames[1].header.type, FrameType::kResultBlock);
    EXPECT_EQ(frames[2].header.type, FrameType::kResultEnd);
    EXPECT_EQ(frames[2].header.number, 7U);
    frames = peer.exchange(encode_backup("/hang", 8) + encode_query("rows 1", 8) +
                           encode_cancel(8) + encode_backup("/oops", 9));
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kAlreadyExists);
    EXPECT_EQ(frames[1].error().code, ErrorCode::kCancelled);
    EXPECT_EQ(frames[2].error().scope, ErrorScope::kRequest);
    EXPECT_EQ(server.queries.running(), 0);
    EXPECT_EQ(server.send.used(), 0U);
}

TEST_F(Logging, ABackupToNoDirectoryIsRefused) {
    const auto frames = peer.exchange(encode_backup("backups/a", 1) + encode_backup("", 2));
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kRequest);
    EXPECT_THAT(frames[0].error().message, HasSubstr("'backups/a'"));
    EXPECT_EQ(frames[1].error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(server.queries.running(), 0);
}

// Unlike a watch it comes to an end by itself; but a server that stops does not wait for that.
TEST_F(Logging, ABackupEndsWithTheServerNotWithTheInput) {
    peer.send(encode_backup("/hang", 1));
    peer.session().end_input();
    EXPECT_TRUE(peer.receive().empty());
    EXPECT_EQ(server.queries.running(), 1);

    TestPeer other(server);
    other.say_hello(2);
    other.send(encode_backup("/hang", 1));
    other.receive();
    other.session().shut_down(Error(ErrorCode::kUnavailable, "the server is shutting down"));
    const auto frames = other.receive();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kRequest);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(frames[1].error().scope, ErrorScope::kConnection);
    EXPECT_EQ(server.queries.running(), 1);
}

}  // namespace stepdb::session_backup_test
