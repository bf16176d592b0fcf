#include "net/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>

#include "engine/base/lz4.h"
#include "net/testing/session_harness.h"

namespace stepdb::session_test {

using ::testing::HasSubstr;

Bytestring hello_bytes() {
    HelloMessage hello;
    hello.writer.bytes[0] = std::byte{1};
    return encode_hello(hello);
}

Bytestring bare_frame(FrameType type, uint64_t number) {
    return FrameBuilder(type, number).finish();
}

TEST(Session, SaysHello) {
    TestServer server;
    TestPeer peer(server);
    const auto frames = peer.exchange(hello_bytes());
    ASSERT_EQ(frames.size(), 1U);
    const HelloOkMessage answer = HelloOkMessage::decode(frames[0].body()).value();
    EXPECT_EQ(answer.store, server.engine.store_id());
    EXPECT_EQ(answer.server, "stepdb test");
    EXPECT_TRUE(peer.session().said_hello());
}

TEST(Session, OpensRunsAndAcknowledges) {
    TestServer server;
    TestPeer peer(server);
    const auto frames = peer.exchange(hello_bytes() + encode_schema_frame("demo", *test_schema()) +
                                      test_open() + test_rows(1, 10) + test_rows(2, 10));
    ASSERT_EQ(frames.size(), 4U);
    EXPECT_EQ(frames[0].header.type, FrameType::kHelloOk);
    EXPECT_EQ(frames[1].header.type, FrameType::kAck);
    EXPECT_EQ(frames[1].header.number, 1U);
    EXPECT_EQ(frames[2].header.type, FrameType::kRunOpened);
    EXPECT_EQ(frames[2].header.number, 2U);
    EXPECT_TRUE(decode_run_opened(frames[2].body())->created);
    EXPECT_EQ(frames[3].header.type, FrameType::kAck);
    EXPECT_EQ(frames[3].header.number, 4U);
    EXPECT_EQ(AckMessage::decode(frames[3].body())->late_rows, 1U);
    EXPECT_EQ(server.engine.rows(), 2U);
    EXPECT_EQ(server.receive.used(), 0U);
}

TEST_F(Logging, BytesMayComeOneAtATime) {
    const Bytestring bytes = test_rows(1, 1) + test_rows(2, 2) + encode_query("rows 3", 5);
    EXPECT_EQ(peer.send(bytes, 1), bytes.size());
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 4U);
    EXPECT_EQ(frames[0].header.number, 4U);
    EXPECT_EQ(frames[3].header.type, FrameType::kResultEnd);
}

TEST_F(Logging, ManyFramesHaveOneAck) {
    Bytestring bytes;
    for (uint64_t i = 1; i <= 1000; ++i) {
        bytes = bytes + test_rows(i, static_cast<double>(i));
    }
    const auto frames = peer.exchange(bytes);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].header.number, 1002U);
}

TEST_F(Logging, ABadFrameIsNamedAndTheOthersStand) {
    RowsBuilder builder(test_schema());
    const std::vector<double> values = {1, 2};
    builder.add(5, std::nullopt, values);
    builder.add(std::numeric_limits<double>::quiet_NaN(), std::nullopt, values);
    const auto frames = peer.exchange(test_rows(1, 1) + builder.finish(1, 0, 2) + test_rows(3, 3));
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0].header.number, 3U);
    EXPECT_EQ(frames[1].header.type, FrameType::kError);
    EXPECT_EQ(frames[1].header.number, 4U);
    EXPECT_EQ(frames[1].error().scope, ErrorScope::kChange);
    EXPECT_EQ(frames[1].error().position.row, 1U);
    EXPECT_THAT(frames[1].error().message, HasSubstr("row 1 has step NaN"));
    EXPECT_EQ(frames[2].header.type, FrameType::kAck);
    EXPECT_EQ(frames[2].header.number, 5U);
    EXPECT_EQ(server.engine.rows(), 2U);
}

TEST_F(Logging, UnknownSchemaAndHandleAreNamed) {
    const auto other =
        std::make_shared<const Schema>(Schema::create(Axis::kStepped, {"other"}).value());
    const auto make = [&](uint32_t handle, uint64_t number) {
        RowsBuilder builder(other);
        const std::vector<double> values = {1};
        builder.add(1, std::nullopt, values);
        return builder.finish(handle, 0, number);
    };
    const auto frames = peer.exchange(make(1, 1) + make(77, 2));
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_THAT(frames[0].error().message, HasSubstr(other->hash().to_hex()));
    EXPECT_THAT(frames[1].error().message, HasSubstr("handle 77"));
}

TEST_F(Logging, RepeatedNumbersChangeNothingAndGapsAreErrors) {
    auto frames = peer.exchange(test_rows(1, 1) + test_rows(1, 1) + test_rows(2, 2));
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(server.engine.rows(), 2U);
    frames = peer.exchange(test_rows(7, 7));
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kFailedPrecondition);
}

TEST(Session, TheFirstFrameMustBeHello) {
    TestServer server;
    TestPeer peer(server);
    const auto frames = peer.exchange(test_rows(1, 1));
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kConnection);
    EXPECT_THAT(frames[0].error().message, HasSubstr("the first frame is rows"));
    EXPECT_TRUE(peer.session().finished());
    EXPECT_FALSE(peer.session().wants_input());
    EXPECT_EQ(server.engine.sessions(), 0U);
}

TEST(Session, HelloOfANewerVersionIsAnswered) {
    TestServer server;
    TestPeer peer(server);
    HelloMessage hello;
    hello.version_max = 9;
    hello.features = 0xFF;
    const auto frames = peer.exchange(encode_hello(hello));
    ASSERT_EQ(frames.size(), 1U);
    const HelloOkMessage answer = HelloOkMessage::decode(frames[0].body()).value();
    EXPECT_EQ(answer.version, 1U);
    EXPECT_EQ(answer.features, kFeaturesKnown);
}

TEST(Session, ReadersNeedNoWriter) {
    TestServer server;
    TestPeer peer(server);
    peer.exchange(encode_hello(HelloMessage()));
    EXPECT_EQ(peer.exchange(encode_query("rows 1", 1)).size(), 3U);
    const auto frames = peer.exchange(test_open());
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_THAT(frames[0].error().message, HasSubstr("named no writer"));
    EXPECT_TRUE(peer.session().finished());
}

TEST_F(Logging, LostFramingEndsTheConnectionAfterTheOutcomesBefore) {
    Bytestring damaged = test_rows(2, 2);
    damaged.back() ^= std::byte{1};
    server.engine.hold();
    EXPECT_TRUE(peer.receive().empty());
    peer.send(test_rows(1, 1) + damaged + test_rows(3, 3));
    EXPECT_TRUE(peer.receive().empty());
    EXPECT_FALSE(peer.session().finished());
    server.engine.release();
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].header.type, FrameType::kAck);
    EXPECT_EQ(frames[0].header.number, 3U);
    EXPECT_EQ(frames[1].error().scope, ErrorScope::kConnection);
    EXPECT_THAT(frames[1].error().message, HasSubstr("rows frame"));
    EXPECT_THAT(frames[1].error().message, HasSubstr("checksum"));
    EXPECT_TRUE(peer.session().finished());
}

TEST(Session, GarbageOversizeAndOtherVersionsEndTheConnection) {
    const auto answer = [](const Bytestring& bytes) {
        TestServer server;
        TestPeer peer(server);
        peer.send(bytes);
        const auto frames = peer.receive();
        EXPECT_EQ(frames.size(), 1U);
        EXPECT_TRUE(peer.session().finished());
        return frames.empty() ? ErrorMessage() : frames[0].error();
    };
    const Bytes http = as_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(answer({http.begin(), http.end()}).message, HasSubstr("StepDB's protocol"));
    Bytestring frame = hello_bytes();
    store_le(frame.data(), kFrameBytesMax + 1);
    EXPECT_THAT(answer(frame).message, HasSubstr("frame of 33554433 bytes"));
    frame = hello_bytes();
    store_le(frame.data() + 4, uint8_t{2});
    EXPECT_EQ(answer(frame).code, ErrorCode::kUnsupportedVersion);
}

TEST_F(Logging, UnknownAndMisplacedFramesAreNamedAndIgnored) {
    const auto frames =
        peer.exchange(bare_frame(static_cast<FrameType>(77), 5) + bare_frame(FrameType::kAck, 6) +
                      hello_bytes() + test_rows(1, 1));
    ASSERT_EQ(frames.size(), 4U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kFrame);
    EXPECT_EQ(frames[0].header.number, 5U);
    EXPECT_THAT(frames[0].error().message, HasSubstr("frame type 77"));
    EXPECT_THAT(frames[1].error().message, HasSubstr("(ack)"));
    EXPECT_THAT(frames[2].error().message, HasSubstr("hello comes once"));
    EXPECT_EQ(frames[3].header.type, FrameType::kAck);
}

TEST_F(Logging, EndOfInputIsAnsweredBeforeTheEnd) {
    server.engine.hold();
    peer.send(test_rows(1, 1) + encode_query("rows 1", 1));
    peer.session().end_input();
    EXPECT_FALSE(peer.session().finished());
    server.run();
    server.engine.release();
    const auto frames = peer.receive();
    EXPECT_EQ(frames.size(), 4U);
    EXPECT_TRUE(peer.session().finished());
}

TEST_F(Logging, WhoHasEndedItsSideAndWaitsGetsItsLastAckAgain) {
    peer.exchange(test_rows(1, 1) + encode_query("hang", 1));
    peer.session().probe_peer();
    EXPECT_TRUE(peer.receive().empty());
    peer.session().end_input();
    for (int round = 0; round < 2; ++round) {
        peer.session().probe_peer();
        const auto frames = peer.receive();
        ASSERT_EQ(frames.size(), 1U);
        EXPECT_EQ(frames[0].header.type, FrameType::kAck);
        EXPECT_EQ(frames[0].header.number, 3U);
    }
}

TEST_F(Logging, EndWithinAFrameSaysSo) {
    const Bytestring rows = test_rows(1, 1);
    peer.send(Bytes(rows).first(30));
    EXPECT_TRUE(peer.session().is_within_frame());
    peer.session().end_input();
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_THAT(frames[0].error().message, HasSubstr("ended within a frame, after 30 bytes"));
    EXPECT_EQ(server.engine.rows(), 0U);
}

TEST_F(Logging, ShutDownAnswersWhatIsInFlight) {
    server.engine.hold();
    peer.send(test_rows(1, 1));
    peer.session().shut_down(Error(ErrorCode::kUnavailable, "the server is shutting down"));
    EXPECT_TRUE(peer.receive().empty());
    server.engine.release();
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].header.type, FrameType::kAck);
    EXPECT_EQ(frames[1].error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(peer.session().finished());
}

TEST_F(Logging, SlowEngineStopsTheReading) {
    server.services.limits.receive_bytes_max = 10'000;
    server.engine.hold();
    Bytestring bytes;
    for (uint64_t i = 1; i <= 10'000; ++i) {
        const auto frame = test_rows(i, static_cast<double>(i));
        bytes.insert(bytes.end(), frame.begin(), frame.end());
    }
    const size_t taken = peer.send(bytes, 1000);
    EXPECT_LE(taken, 12'000U);
    EXPECT_FALSE(peer.session().wants_input());
    server.run();
    server.engine.release();
    server.run();
    EXPECT_TRUE(peer.session().wants_input());
    size_t sent = taken;
    while (sent < bytes.size()) {
        const size_t more = peer.send(Bytes(bytes).subspan(sent), 1000);
        ASSERT_NE(more, 0U);
        sent += more;
        server.run();
    }
    peer.receive();
    EXPECT_EQ(server.engine.rows(), 10'000U);
    EXPECT_EQ(server.receive.used(), 0U);
}

TEST(Session, AFullServerStopsAllReadingAndThenGoesOn) {
    TestServer server(10'000);
    TestPeer a(server);
    TestPeer b(server);
    a.say_hello(1);
    b.say_hello(2);
    a.exchange(encode_schema_frame("demo", *test_schema()) + test_open("a"));
    server.engine.hold();
    for (uint64_t i = 1; a.session().wants_input(); ++i) {
        a.send(test_rows(i, static_cast<double>(i)));
    }
    EXPECT_FALSE(b.session().wants_input());
    EXPECT_EQ(server.rooms, 0);
    server.run();
    server.engine.release();
    server.run();
    EXPECT_EQ(server.rooms, 1);
    EXPECT_TRUE(a.session().wants_input());
    EXPECT_TRUE(b.session().wants_input());
}

TEST(Session, ALargeFrameWaitsForRoomAndThenIsFinished) {
    TestServer server(2'000'000);
    TestPeer a(server);
    TestPeer b(server);
    a.say_hello(1);
    b.say_hello(2);
    const auto large = [] {
        FrameBuilder builder(FrameType::kRows, 1);
        builder.writer().put_zeros(1'500'000);
        return builder.finish();
    };
    const Bytestring frame = large();
    EXPECT_EQ(a.send(Bytes(frame).first(1'000'000), 100'000), 1'000'000U);
    // b may send its beginning, but not the rest while a holds the room.
    EXPECT_LT(b.send(frame, 100'000), 1'000'000U);
    EXPECT_FALSE(b.session().wants_input());
    EXPECT_EQ(a.send(Bytes(frame).subspan(1'000'000), 100'000), 500'024U);
    EXPECT_EQ(a.receive().size(), 1U);
    EXPECT_TRUE(b.session().wants_input());
}

TEST(Session, EveryFrameInFlightCountsForMoreThanItsBytes) {
    TestServer server(100 * kFrameOverheadBytes);
    TestPeer peer(server);
    peer.say_hello();
    peer.exchange(encode_schema_frame("demo", *test_schema()) + test_open());
    server.engine.hold();
    uint64_t sent = 0;
    while (peer.session().wants_input()) {
        peer.send(test_rows(sent + 1, static_cast<double>(sent)));
        ++sent;
    }
    EXPECT_LE(sent, 100U);
}

TEST(Session, AnswersOfAllConnectionsShareOneBudget) {
    TestServer server(kReceiveBytesMax, 4 * kBlockReserveBytes);
    std::vector<std::unique_ptr<TestPeer>> peers;
    const std::string query = fmt::format("rows {}", 20 * kResultBatchRows);
    for (int i = 0; i < 20; ++i) {
        peers.push_back(std::make_unique<TestPeer>(server));
        peers.back()->say_hello();
        peers.back()->send(encode_query(query, 1));
        server.run();
    }
    // Nobody reads: no more is computed than the budget has room for.
    EXPECT_LE(server.send.used(), 5 * kBlockReserveBytes);
    EXPECT_TRUE(server.send.full());
    // Whoever reads gets everything, one after the other.
    for (const auto& peer : peers) {
        uint64_t rows = 0;
        for (const SentFrame& frame : peer->receive()) {
            if (frame.header.type == FrameType::kResultBlock) {
                rows += decode_result_block(frame.body(), FakeQueryService::row_columns())->rows();
            }
        }
        EXPECT_EQ(rows, 20 * kResultBatchRows);
    }
    EXPECT_EQ(server.send.used(), 0U);
}

TEST(Session, WhatWaitsForMemoryKeepsNoRoomFromOthers) {
    TestServer server(kReceiveBytesMax, 2 * kBlockReserveBytes);
    std::vector<std::unique_ptr<TestPeer>> waiting;
    for (int i = 0; i < 4; ++i) {
        waiting.push_back(std::make_unique<TestPeer>(server));
        waiting.back()->say_hello();
        waiting.back()->send(encode_query("wait 10", 1));
        server.run();
    }
    EXPECT_EQ(server.send.used(), 0U);
    const auto count_ends = [](TestPeer& peer) {
        return std::ranges::count_if(peer.receive(), [](const SentFrame& frame) {
            return frame.header.type == FrameType::kResultEnd;
        });
    };
    // Those who have the memory get the room, end, and give the memory back.
    TestPeer other(server);
    other.say_hello();
    other.send(encode_query("rows 10", 1));
    EXPECT_EQ(count_ends(other), 1);
    server.queries.end_waiting();
    server.run();
    for (const auto& peer : waiting) {
        EXPECT_EQ(count_ends(*peer), 1);
    }
    EXPECT_EQ(server.send.used(), 0U);
}

TEST(Session, AbandonedSessionsGiveTheirRoomBack) {
    TestServer server;
    {
        TestPeer peer(server);
        peer.say_hello();
        server.engine.hold();
        peer.send(encode_schema_frame("demo", *test_schema()) + test_open() + test_rows(1, 1) +
                  encode_query("hang", 1));
        EXPECT_NE(server.receive.used(), 0U);
        EXPECT_EQ(server.queries.running(), 1);
        server.run();
    }
    EXPECT_EQ(server.queries.running(), 0);
    EXPECT_EQ(server.send.used(), 0U);
    // The engine still holds the frames.
    server.run();
    EXPECT_NE(server.receive.used(), 0U);
    server.engine.release();
    server.run();
    EXPECT_EQ(server.receive.used(), 0U);
    server.engine.release();
    server.run();
    EXPECT_EQ(server.engine.sessions(), 0U);
}

TEST_F(Logging, APeerThatReadsNoErrorsIsNotReadEither) {
    Bytestring bytes;
    for (int i = 0; i < 100; ++i) {
        bytes = bytes + bare_frame(static_cast<FrameType>(77), 1);
    }
    size_t sent = 0;
    while (peer.session().wants_input() && sent < (64U << 20U)) {
        sent += peer.send(bytes);
    }
    EXPECT_LT(sent, 2U << 20U);
    EXPECT_GT(peer.receive().size(), 1000U);
    EXPECT_TRUE(peer.session().wants_input());
}

TEST_F(Logging, QueriesInterleaveWithWrites) {
    server.engine.hold();
    peer.send(test_rows(1, 1) + encode_query("rows 20000", 40) + encode_query("oops", 41));
    auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 6U);
    uint64_t rows = 0;
    for (const SentFrame& frame : frames) {
        if (frame.header.type == FrameType::kError) {
            EXPECT_EQ(frame.header.number, 41U);
            EXPECT_EQ(frame.error().scope, ErrorScope::kRequest);
            EXPECT_THAT(frame.error().message, HasSubstr("got 'oops'"));
        } else {
            EXPECT_EQ(frame.header.number, 40U);
        }
        if (frame.header.type == FrameType::kResultBlock) {
            rows += decode_result_block(frame.body(), FakeQueryService::row_columns())->rows();
        }
    }
    EXPECT_EQ(rows, 20000U);
    EXPECT_EQ(frames.back().header.type, FrameType::kResultEnd);
    server.engine.release();
    frames = peer.receive();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].header.type, FrameType::kAck);
}

TEST_F(Logging, ASlowReaderHoldsFewBlocks) {
    for (uint64_t request = 1; request <= 20; ++request) {
        peer.send(encode_query("rows 60000", request));
    }
    std::vector<SentFrame> frames;
    for (int turn = 0; turn < 50; ++turn) {
        server.run();
        peer.take(frames, 1);
        uint64_t taken = 0;
        for (const SentFrame& frame : frames) {
            taken += frame.header.type == FrameType::kResultBlock ? 1U : 0U;
        }
        ASSERT_LE(server.queries.blocks_made(), taken + kConnectionBlocksUnsentMax);
    }
    // Every query gets its turn, and all of them end.
    frames = peer.receive();
    EXPECT_EQ(std::count_if(frames.begin(), frames.end(),
                            [](const SentFrame& frame) {
                                return frame.header.type == FrameType::kResultEnd;
                            }),
              20);
    EXPECT_EQ(server.queries.running(), 0);
}

TEST_F(Logging, CancelEndsAQuery) {
    peer.send(encode_query("hang", 1) + encode_query("rows 1000000", 2));
    server.run();
    peer.send(encode_cancel(1) + encode_cancel(2) + encode_cancel(3));
    EXPECT_EQ(server.queries.running(), 0);
    const auto frames = peer.receive();
    std::map<uint64_t, int> cancelled;
    for (const SentFrame& frame : frames) {
        if (frame.header.type == FrameType::kError) {
            EXPECT_EQ(frame.error().code, ErrorCode::kCancelled);
            ++cancelled[frame.header.number];
        }
    }
    EXPECT_EQ(cancelled, (std::map<uint64_t, int>{{1, 1}, {2, 1}}));
    // The id may be used again.
    EXPECT_EQ(peer.exchange(encode_query("rows 1", 2)).size(), 3U);
}

TEST_F(Logging, QueriesAreLimitedAndTheirIdsUnique) {
    server.services.limits.queries_max = 2;
    peer.send(encode_query("hang", 1) + encode_query("hang", 1) + encode_query("hang", 2) +
              encode_query("rows 1", 3));
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kFrame);
    EXPECT_EQ(frames[0].error().code, ErrorCode::kAlreadyExists);
    EXPECT_EQ(frames[1].header.number, 3U);
    EXPECT_EQ(frames[1].error().code, ErrorCode::kResourceExhausted);
}

TEST_F(Logging, AnotherSessionIsServedWhileTheFirstMisbehaves) {
    TestPeer other(server);
    other.say_hello(2);
    const Bytestring rows = test_rows(1, 1);
    peer.send(Bytes(rows).first(40));
    EXPECT_EQ(other.exchange(encode_query("rows 1", 1)).size(), 3U);
    Bytestring damaged = rows;
    damaged[60] ^= std::byte{4};
    peer.send(Bytes(damaged).subspan(40));
    EXPECT_EQ(other.exchange(test_open("other") + encode_query("rows 1", 2)).size(), 5U);
    EXPECT_EQ(server.engine.rows(), 0U);
}

TEST_F(Logging, WhoeverSendsWhatIsUnpackedForNothingIsReadMoreSlowly) {
    RateLimit::Time now(std::chrono::hours(1));
    server.services.steady_now = [&now] { return now; };
    TestPeer bomber(server);
    bomber.say_hello(2);
    bomber.exchange(encode_schema_frame("demo", *test_schema()) + test_open());
    // Three million zeros that are said to be a few more.
    const std::vector<std::byte> zeros(3'000'000);
    const Bytestring good = test_rows(1, 1);
    const auto bomb = [&](uint64_t number) {
        constexpr size_t kCompressionAt = 30;
        constexpr size_t kHeadBytes = 32;
        FrameBuilder frame(FrameType::kRows, number);
        Bytestring head(frame_body(good).begin(), frame_body(good).begin() + kHeadBytes);
        head[kCompressionAt] = std::byte{1};
        frame.writer().put_bytes(head);
        frame.writer().put(static_cast<uint32_t>(zeros.size() + 8));
        frame.writer().put(uint32_t{0});
        frame.writer().put_bytes(lz4_compress(zeros));
        return frame.finish();
    };
    EXPECT_EQ(bomber.exchange(bomb(1)).back().header.type, FrameType::kError);
    EXPECT_EQ(bomber.session().rate_wait().count(), 0) << "one may be a mistake";
    EXPECT_EQ(bomber.exchange(bomb(2)).back().header.type, FrameType::kError);
    EXPECT_FALSE(bomber.session().wants_input());
    EXPECT_GT(bomber.session().rate_wait(), std::chrono::milliseconds(400));
    EXPECT_LT(bomber.session().rate_wait(), std::chrono::seconds(1));
    EXPECT_TRUE(peer.session().wants_input());
    now += std::chrono::seconds(1);
    EXPECT_TRUE(bomber.session().wants_input());
    EXPECT_EQ(bomber.exchange(test_rows(3, 1)).back().header.type, FrameType::kAck);
}

// Whatever the bytes are, the session answers or waits; it never fails a CHECK.
TEST(Session, RandomDamageNeverCrashes) {
    const char* given = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe): one thread
    const uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 random(seed);
    const Bytestring good = hello_bytes() + encode_schema_frame("demo", *test_schema()) +
                            test_open() + test_rows(1, 1) + encode_query("rows 9000", 4) +
                            encode_cancel(4) + test_rows(2, 2);
    for (int round = 0; round < 1000; ++round) {
        TestServer server;
        TestPeer peer(server);
        Bytestring bytes = good;
        for (uint64_t flips = random() % 3 + 1; flips > 0; --flips) {
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        }
        // Half of the time the checksums are made right again, so that bodies are reached.
        for (size_t at = 0; round % 2 == 0 && at + kFrameHeaderBytes <= bytes.size();) {
            const auto header = parse_frame_header(Bytes(bytes).subspan(at));
            if (!header || header->length > bytes.size() - at) {
                break;
            }
            const Bytes frame = Bytes(bytes).subspan(at, header->length);
            store_le(bytes.data() + at + 8, frame_checksum(header->checksum_kind, frame));
            at += header->length;
        }
        peer.send(bytes, 1 + random() % 500);
        peer.receive();
        peer.session().end_input();
        peer.receive();
        EXPECT_TRUE(peer.session().finished());
        EXPECT_EQ(server.queries.running(), 0);
    }
}

}  // namespace stepdb::session_test
