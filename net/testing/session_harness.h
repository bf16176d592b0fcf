// A session with a fake engine and fake queries behind it and a test in front of it, all run by
// hand on one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "net/engine_bridge.h"
#include "net/session.h"
#include "net/testing/executors.h"
#include "net/testing/fake_engine.h"
#include "net/testing/fake_query_service.h"

namespace stepdb {

// What several sessions share.
struct TestServer {
    explicit TestServer(size_t receive_bytes_max = kReceiveBytesMax,
                        size_t send_bytes_max = kReceiveBytesMax)
        : engine(engine_side),
          queries(net_side),
          bridge(engine, engine_side, net_side),
          receive(receive_bytes_max, [this] { ++rooms; }),
          send(send_bytes_max, [this] { ++rooms; }),
          services(bridge, queries, receive, send) {
        services.store = engine.store_id();
        services.server_name = "stepdb test";
    }
    // What was posted is still the engine's business.
    ~TestServer() {
        engine.set_room(true);
        engine.release();
        run();
    }
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    // True if anything happened.
    bool run() {
        bool had_work = false;
        while (engine_side.run() || net_side.run()) {
            had_work = true;
        }
        return had_work;
    }

    ManualExecutor engine_side;
    ManualExecutor net_side;
    FakeEngine engine;
    FakeQueryService queries;
    EngineBridge bridge;
    int rooms = 0;
    FlowBudget receive;
    FlowBudget send;
    SessionServices services;
};

// A frame the session sent.
struct SentFrame {
    FrameHeader header;
    std::vector<std::byte> bytes;

    Bytes body() const { return frame_body(bytes); }
    ErrorMessage error() const { return ErrorMessage::decode(body()).value(); }
};

class TestPeer {
  public:
    explicit TestPeer(TestServer& server) : server_(server), session_(server.services, [] {}) {}

    Session& session() { return session_; }

    // Delivers `bytes` in pieces of at most `piece` while the session takes input; returns how many
    // it took.
    size_t send(Bytes bytes, size_t piece = size_t{1} << 30U) {
        const size_t total = bytes.size();
        while (!bytes.empty() && session_.wants_input()) {
            const MutableBytes space = session_.prepare();
            const size_t count = std::min({space.size(), bytes.size(), piece});
            std::memcpy(space.data(), bytes.data(), count);
            session_.commit(count);
            bytes = bytes.subspan(count);
        }
        return total - bytes.size();
    }

    // Lets everything happen that can, and takes all output.
    std::vector<SentFrame> receive() {
        std::vector<SentFrame> frames;
        session_.resume();
        while (server_.run() || session_.has_output()) {
            take(frames, size_t{1} << 30U);
            session_.resume();
        }
        return frames;
    }

    // Takes output as a slow reader would, `pieces` times.
    void take(std::vector<SentFrame>& frames, size_t pieces) {
        for (size_t i = 0; i < pieces && session_.has_output(); ++i) {
            const std::vector<std::byte> bytes = session_.take_output();
            EXPECT_FALSE(bytes.empty());
            session_.output_sent();
            split(bytes, frames);
        }
    }

    std::vector<SentFrame> exchange(const std::vector<std::byte>& bytes) {
        EXPECT_EQ(send(bytes), bytes.size());
        return receive();
    }

    void say_hello(uint8_t writer = 1) {
        HelloMessage hello;
        hello.writer.bytes[0] = std::byte{writer};
        const auto frames = exchange(encode_hello(hello));
        ASSERT_EQ(frames.size(), 1U);
        ASSERT_EQ(frames[0].header.type, FrameType::kHelloOk);
    }

  private:
    static void split(Bytes bytes, std::vector<SentFrame>& frames) {
        while (!bytes.empty()) {
            SentFrame frame;
            frame.header = parse_frame_header(bytes).value();
            ASSERT_LE(frame.header.length, bytes.size());
            const Bytes whole = bytes.first(frame.header.length);
            ASSERT_TRUE(verify_frame(frame.header, whole).has_value());
            frame.bytes.assign(whole.begin(), whole.end());
            frames.push_back(std::move(frame));
            bytes = bytes.subspan(whole.size());
        }
    }

    TestServer& server_;
    Session session_;
};

inline std::shared_ptr<const Schema> test_schema() {
    static const auto schema = std::make_shared<const Schema>(
        Schema::create(Axis::kStepped, {"train/loss", "lr"}).value());
    return schema;
}

inline std::vector<std::byte> test_open(std::string_view run = "run", uint32_t handle = 1) {
    OpenRunFrame open;
    open.handle = handle;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.project = "demo";
    open.run = run;
    return encode_open_run_frame(open);
}

// One row at `step`; the number is the frame's.
inline std::vector<std::byte> test_rows(uint64_t number, double step) {
    RowsBuilder builder(test_schema());
    const std::vector<double> values = {0.5, 0.1};
    builder.add(step, 1'000'000, values);
    return builder.finish(1, 0, number);
}

using Bytestring = std::vector<std::byte>;

inline Bytestring operator+(Bytestring a, const Bytestring& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// A connection with a schema and an open run.
struct Logging : ::testing::Test {
    Logging() {
        peer.say_hello();
        const auto frames =
            peer.exchange(encode_schema_frame("demo", *test_schema()) + test_open());
        EXPECT_EQ(frames.back().header.type, FrameType::kAck);
        EXPECT_EQ(frames.back().header.number, 2U);
    }

    TestServer server;
    TestPeer peer{server};
};

}  // namespace stepdb
