#include "net/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "net/client.h"
#include "net/testing/raw_socket.h"
#include "net/testing/running_server.h"
#include "net/testing/session_harness.h"

namespace stepdb::server_test {

using ::testing::HasSubstr;

uint64_t log_rows(Client& client, std::string_view run_id, uint64_t count) {
    EXPECT_TRUE(client.define_schema("demo", *test_schema()).has_value());
    ClientRun run = client.open_run("demo", run_id, OpenRunFrame::kCreateIfMissing).value();
    RowsBuilder builder(test_schema());
    const std::vector<double> values = {0.5, 0.1};
    for (uint64_t i = 0; i < count; ++i) {
        builder.add(static_cast<double>(i), std::nullopt, values);
        if (builder.rows() == 100 || i + 1 == count) {
            EXPECT_TRUE(client.send_rows(run, builder).has_value());
        }
    }
    EXPECT_TRUE(client.finish_run(run, RunState::kFinished).has_value());
    const Result<FlushReport> report = client.flush();
    EXPECT_TRUE(report.has_value()) << report.error().to_string();
    EXPECT_EQ(report->refused_frames, 0U);
    return report->late_rows;
}

TEST(Server, TakesRowsAndAnswersQueries) {
    RunningServer server;
    const auto client = server.connect();
    EXPECT_EQ(client->server().server, "stepdb test");
    EXPECT_EQ(log_rows(*client, "a", 12345), 0U);
    EXPECT_EQ(log_rows(*client, "a", 10), 10U);
    EXPECT_EQ(server.rows(), 12355U);

    uint64_t rows = 0;
    std::vector<ResultColumn> columns;
    AnswerHandler handler;
    handler.on_columns = [&](const std::vector<ResultColumn>& got) { columns = got; };
    handler.on_block = [&](const ResultBlock& block) {
        rows += block.rows();
        return true;
    };
    const auto end = client->query("rows 100000", handler);
    ASSERT_TRUE(end.has_value()) << end.error().to_string();
    EXPECT_EQ(end->rows, 100000U);
    EXPECT_EQ(rows, 100000U);
    EXPECT_EQ(columns, FakeQueryService::row_columns());
    EXPECT_THAT(client->query("oops", handler).error().message(), HasSubstr("expected 'rows'"));
}

TEST(Server, CancelledQueriesEndEarly) {
    RunningServer server;
    const auto client = server.connect();
    uint64_t blocks = 0;
    AnswerHandler handler;
    handler.on_block = [&](const ResultBlock&) { return ++blocks < 3; };
    EXPECT_EQ(client->query("rows 100000000", handler).error().code(), ErrorCode::kCancelled);
    EXPECT_EQ(blocks, 3U);
    EXPECT_TRUE(client->query("rows 1", AnswerHandler()).has_value());
}

TEST(Server, RefusedFramesAreInTheReport) {
    RunningServer server;
    const auto client = server.connect();
    ASSERT_TRUE(client->define_schema("demo", *test_schema()).has_value());
    EXPECT_EQ(client->open_run("demo", "missing", 0).error().code(), ErrorCode::kNotFound);
    ASSERT_TRUE(client->open_run("demo", "a", OpenRunFrame::kMustCreate).has_value());
    ASSERT_TRUE(client->send_change(test_rows(5, 1)).has_value());
    const FlushReport report = client->flush().value();
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_EQ(report.refused[0].ordinal, 4U);
    EXPECT_EQ(client->flush()->refused_frames, 0U);
}

TEST(Server, ServesManyConnectionsAtOnce) {
    RunningServer server;
    std::vector<std::thread> threads;
    for (uint8_t i = 0; i < 8; ++i) {
        threads.emplace_back([&server, i] {
            const auto client = server.connect(static_cast<uint8_t>(i + 1));
            log_rows(*client, fmt::format("run-{}", i), 20000);
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(server.rows(), 160000U);
}

TEST(Server, ASlowEngineHoldsTheClientBack) {
    ServerOptions options = test_options();
    options.session.receive_bytes_max = 100'000;
    RunningServer server(options);
    server.engine_side().run([&] { server.engine().hold(); });
    std::thread thread([&] {
        const auto client = server.connect();
        // The answer to open_run waits for the release as well.
        log_rows(*client, "a", 200'000);
    });
    // The hold ends only when the engine has seen frames.
    uint64_t frames = 0;
    while (frames == 0) {
        server.engine_side().run([&] { frames = server.engine().frames(); });
    }
    server.engine_side().run([&] { server.engine().release(); });
    thread.join();
    EXPECT_EQ(server.rows(), 200'000U);
}

TEST(Server, BadPeersHurtNobodyElse) {
    RunningServer server;
    const auto good = server.connect();
    RawSocket half_open(server.server().port());
    RawSocket garbage(server.server().port());
    garbage.send(as_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    const auto frames = garbage.read_all();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].error().scope, ErrorScope::kConnection);
    {
        RawSocket vanishing(server.server().port());
        vanishing.send(Bytes(test_rows(1, 1)).first(10));
    }
    EXPECT_EQ(log_rows(*good, "a", 1000), 0U);
    EXPECT_EQ(server.rows(), 1000U);
}

TEST(Server, AnswersAPeerThatHasEndedItsSide) {
    RunningServer server;
    RawSocket peer(server.server().port());
    HelloMessage hello;
    hello.writer.bytes[0] = std::byte{1};
    peer.send(encode_hello(hello));
    peer.send(encode_schema_frame("demo", *test_schema()));
    peer.send(test_open());
    peer.send(test_rows(1, 1));
    peer.end();
    const auto frames = peer.read_all();
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames.back().header.type, FrameType::kAck);
    EXPECT_EQ(frames.back().header.number, 3U);
}

int running_queries(RunningServer& server) {
    std::promise<int> running;
    server.server().executor().post([&] { running.set_value(server.queries().running()); });
    return running.get_future().get();
}

// The one resets the connection, as it leaves bytes unread; the other may as well have closed its
// sending side alone, until it does not take what is sent to it.
TEST(Server, GivesUpTheQueriesOfAPeerThatHasGone) {
    for (const bool has_read : {false, true}) {
        ServerOptions options = test_options();
        options.linger_time_max = std::chrono::milliseconds(20);  // and with it the tick
        RunningServer server(options);
        {
            RawSocket peer(server.server().port());
            peer.send(encode_hello(HelloMessage()));
            peer.send(encode_query("hang", 1));
            if (has_read) {
                EXPECT_FALSE(peer.read_frame().empty());
            }
            while (running_queries(server) != 1) {
            }
        }
        while (running_queries(server) != 0) {
        }
    }
}

TEST(Server, ClosesWhoSaysNothing) {
    ServerOptions options = test_options();
    options.hello_time_max = std::chrono::milliseconds(20);
    options.stall_time_max = std::chrono::milliseconds(20);
    RunningServer server(options);
    RawSocket silent(server.server().port());
    auto frames = silent.read_all();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_THAT(frames[0].error().message, HasSubstr("no hello within 20 ms"));

    RawSocket stalled(server.server().port());
    HelloMessage hello;
    stalled.send(encode_hello(hello));
    stalled.send(Bytes(test_rows(1, 1)).first(30));
    frames = stalled.read_all();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_THAT(frames[1].error().message, HasSubstr("in the middle of a frame"));
}

TEST(Server, RefusesConnectionsAboveItsLimit) {
    ServerOptions options = test_options();
    options.connections_max = 1;
    RunningServer server(options);
    const auto first = server.connect();
    ClientOptions second;
    second.port = server.server().port();
    const auto refused = Client::connect(second);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
    EXPECT_TRUE(first->query("rows 1", AnswerHandler()).has_value());
}

TEST(Server, StopAnswersWhatIsInFlight) {
    RunningServer server;
    const auto client = server.connect();
    ASSERT_TRUE(client->define_schema("demo", *test_schema()).has_value());
    ClientRun run = client->open_run("demo", "a", OpenRunFrame::kCreateIfMissing).value();
    server.engine_side().run([&] { server.engine().hold(); });
    RowsBuilder builder(test_schema());
    const std::vector<double> values = {0.5, 0.1};
    builder.add(1, std::nullopt, values);
    ASSERT_TRUE(client->send_rows(run, builder).has_value());
    ASSERT_TRUE(client->poll().has_value());
    uint64_t frames = 0;
    while (frames != 3) {
        server.engine_side().run([&] { frames = server.engine().frames(); });
    }
    server.server().stop();
    server.engine_side().run([&] { server.engine().release(); });
    const auto report = client->flush();
    EXPECT_TRUE(report.has_value()) << report.error().to_string();
    const auto end = client->query("rows 1", AnswerHandler());
    EXPECT_EQ(end.error().code(), ErrorCode::kUnavailable);
    server.join();
    EXPECT_EQ(server.rows(), 1U);
}

TEST(Server, StopWithPeersThatDoNotReadEndsAnyway) {
    ServerOptions options = test_options();
    options.stop_time_max = std::chrono::milliseconds(50);
    RunningServer server(options);
    RawSocket peer(server.server().port());
    peer.send(encode_hello(HelloMessage()));
    for (uint64_t request = 1; request < 10; ++request) {
        peer.send(encode_query("rows 100000000", request));
    }
    const auto other = server.connect();
    EXPECT_TRUE(other->query("rows 10", AnswerHandler()).has_value());
    server.stop();
}

TEST(Server, NamesWhatItCannotListenOn) {
    ServerOptions options = test_options();
    options.host = "not an address";
    EXPECT_THAT(Server::listen(options).error().message(), HasSubstr("'not an address'"));
    RunningServer server;
    options = test_options();
    options.port = server.server().port();
    EXPECT_THAT(Server::listen(options).error().message(),
                HasSubstr(fmt::format("port {}", options.port)));
}

TEST(Client, NamesTheServerItCannotReach) {
    ClientOptions options;
    {
        const auto gone = Server::listen(test_options()).value();
        options.port = gone->port();
    }
    const auto client = Client::connect(options);
    ASSERT_FALSE(client.has_value());
    EXPECT_EQ(client.error().code(), ErrorCode::kUnavailable);
    EXPECT_THAT(client.error().message(), HasSubstr(std::to_string(options.port)));
}

}  // namespace stepdb::server_test
