#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "net/session.h"
#include "net/testing/session_harness.h"

namespace stepdb::session_watch_test {

TEST_F(Logging, AWatchGoesOnUntilItIsCancelled) {
    const auto is = [](const SentFrame& frame, FrameType type) {
        return frame.header.type == type && frame.header.number == 7;
    };
    auto frames = peer.exchange(encode_watch("rows 3", 7));
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_TRUE(is(frames[0], FrameType::kResultColumns));
    EXPECT_TRUE(is(frames[1], FrameType::kResultBlock));
    EXPECT_TRUE(is(frames[2], FrameType::kResultUpdate));
    EXPECT_EQ(ResultUpdate::decode(frames[2].body())->rows, 3U);
    server.queries.change();
    frames = peer.receive();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_TRUE(is(frames[1], FrameType::kResultUpdate));
    EXPECT_EQ(ResultUpdate::decode(frames[1].body())->sequence, 1U);
    EXPECT_EQ(server.send.used(), 0U) << "a watch at rest holds nothing";
    frames = peer.exchange(encode_watch("rows 3", 7) + encode_watch("oops", 8) + encode_cancel(7));
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kAlreadyExists);
    EXPECT_EQ(server.queries.watches(), 0U);
    server.queries.change();
    EXPECT_TRUE(peer.receive().empty());
}

TEST_F(Logging, AWatchThatIsNotReadIsToldNothingMore) {
    peer.send(encode_watch("rows 3", 1) + encode_watch("rows 0", 2));
    std::vector<SentFrame> frames = peer.receive();
    EXPECT_EQ(frames.size(), 5U);
    for (int change = 0; change < 100; ++change) {
        server.queries.change();
        server.run();
    }
    frames = peer.receive();
    std::map<uint64_t, std::vector<uint64_t>> told;
    for (const SentFrame& frame : frames) {
        if (frame.header.type == FrameType::kResultUpdate) {
            told[frame.header.number].push_back(ResultUpdate::decode(frame.body())->sequence);
        }
    }
    // What was under way when it stopped reading, and where it all stands.
    EXPECT_EQ(told, (std::map<uint64_t, std::vector<uint64_t>>{{1, {1, 100}}, {2, {1, 100}}}));
}

TEST_F(Logging, WatchesEndWithTheConnection) {
    peer.send(encode_watch("rows 1", 1));
    peer.receive();
    peer.session().end_input();
    auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kCancelled);
    EXPECT_TRUE(peer.session().finished());

    TestPeer other(server);
    other.say_hello(2);
    other.send(encode_watch("rows 1", 1));
    other.receive();
    other.session().shut_down(Error(ErrorCode::kUnavailable, "the server is shutting down"));
    frames = other.receive();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kRequest);
    EXPECT_EQ(frames[1].error().scope, ErrorScope::kConnection);
    EXPECT_EQ(server.queries.watches(), 0U);
}

}  // namespace stepdb::session_watch_test
