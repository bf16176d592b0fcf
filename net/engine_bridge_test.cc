#include "net/engine_bridge.h"

#include <gtest/gtest.h>

#include "net/testing/session_harness.h"

namespace stepdb::engine_bridge_test {

struct Outcomes : OutcomeSink {
    void on_durable(uint64_t ordinal, uint64_t late_rows) override {
        ++calls;
        durable = ordinal;
        late += late_rows;
    }
    void on_refused(uint64_t ordinal, Refusal) override {
        EXPECT_GT(ordinal, durable);
        refused.push_back(ordinal);
    }
    void on_opened(uint64_t ordinal, RunOpened) override { opened.push_back(ordinal); }

    int calls = 0;
    uint64_t durable = 0;
    uint64_t late = 0;
    std::vector<uint64_t> refused;
    std::vector<uint64_t> opened;
};

ReceivedFrame received(const std::vector<std::byte>& bytes) {
    std::shared_ptr<std::byte[]> buffer(new std::byte[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), buffer.get());
    return ReceivedFrame(parse_frame_header(bytes).value(), Bytes(buffer.get(), bytes.size()),
                         buffer);
}

struct Bridge : ::testing::Test {
    ~Bridge() override {
        engine.set_room(true);
        engine.release();
        while (engine_side.run() || net_side.run()) {
        }
    }
    std::unique_ptr<WriteChannel> open() {
        Id128 writer;
        writer.bytes[0] = std::byte{1};
        auto channel = bridge.open(writer, outcomes, 1, nullptr);
        channel->submit(received(encode_schema_frame("demo", *test_schema())));
        channel->submit(received(test_open()));
        return channel;
    }

    ManualExecutor engine_side;
    ManualExecutor net_side;
    FakeEngine engine{engine_side};
    EngineBridge bridge{engine, engine_side, net_side};
    Outcomes outcomes;
};

TEST_F(Bridge, CarriesOutcomesBackInOrderAndInBatches) {
    const auto channel = open();
    for (uint64_t i = 1; i <= 100; ++i) {
        const uint64_t step = (i + 1) / 2;
        channel->submit(received(test_rows(i, static_cast<double>(step))));
    }
    EXPECT_FALSE(engine_side.run());
    channel->flush();
    engine_side.run();
    EXPECT_EQ(outcomes.calls, 0);
    net_side.run();
    EXPECT_EQ(outcomes.durable, 102U);
    EXPECT_EQ(outcomes.late, 50U);
    EXPECT_EQ(outcomes.opened, std::vector<uint64_t>{2});
    EXPECT_LE(outcomes.calls, 2);
}

TEST_F(Bridge, BuffersAreFreeOnceTheEngineHasCopied) {
    const auto channel = open();
    const ReceivedFrame frame = received(test_rows(1, 1));
    const std::weak_ptr<const std::byte[]> buffer = frame.buffer;
    {
        ReceivedFrame copy = frame;
        channel->submit(std::move(copy));
    }
    channel->flush();
    EXPECT_EQ(buffer.use_count(), 2);
    engine.hold();
    engine_side.run();
    EXPECT_EQ(buffer.use_count(), 1);
}

TEST_F(Bridge, NothingComesAfterClosingButTheFramesStand) {
    auto channel = open();
    channel->submit(received(test_rows(1, 1)));
    channel->flush();
    channel.reset();
    while (engine_side.run() || net_side.run()) {
    }
    EXPECT_EQ(outcomes.calls, 0);
    EXPECT_EQ(engine.rows(), 1U);
    EXPECT_EQ(engine.sessions(), 0U);
}

TEST_F(Bridge, ClosingWhileOutcomesAreOnTheirWayIsQuiet) {
    auto channel = open();
    channel->flush();
    engine_side.run();
    channel.reset();
    while (net_side.run() || engine_side.run()) {
    }
    EXPECT_EQ(outcomes.calls, 0);
}

TEST_F(Bridge, RefusalsKeepTheirPlace) {
    const auto channel = open();
    channel->submit(received(test_rows(1, 1)));
    channel->submit(received(test_rows(9, 1)));
    channel->submit(received(test_rows(2, 2)));
    channel->flush();
    while (engine_side.run() || net_side.run()) {
    }
    EXPECT_EQ(outcomes.refused, std::vector<uint64_t>{4});
    EXPECT_EQ(outcomes.durable, 5U);
}

TEST_F(Bridge, FramesWaitWhileTheEngineHasNoRoom) {
    const auto channel = open();
    channel->submit(received(test_rows(1, 1)));
    engine.set_room(false);
    channel->flush();
    engine_side.run();
    EXPECT_EQ(engine.frames(), 0U);
    channel->submit(received(test_rows(2, 2)));
    channel->flush();
    engine_side.run();
    EXPECT_EQ(engine.frames(), 0U);
    engine.set_room(true);
    while (engine_side.run() || net_side.run()) {
    }
    EXPECT_EQ(engine.rows(), 2U);
    EXPECT_EQ(outcomes.durable, 4U);
    EXPECT_TRUE(outcomes.refused.empty());
}

TEST_F(Bridge, GivingUpIsDoneOnlyWhenTheEngineHasAnsweredEverything) {
    auto channel = open();
    channel->submit(received(test_rows(1, 1)));
    engine.set_room(false);
    channel->flush();
    bool is_done = false;
    channel->give_up([&] { is_done = true; });
    channel.reset();
    const auto run = [this] {
        while (engine_side.run() || net_side.run()) {
        }
    };
    run();
    EXPECT_FALSE(is_done);  // kept back
    engine.hold();
    engine.set_room(true);
    run();
    EXPECT_FALSE(is_done);  // in the log
    EXPECT_EQ(engine.sessions(), 1U);
    engine.release();
    run();
    EXPECT_TRUE(is_done);
    EXPECT_EQ(engine.rows(), 1U);
    EXPECT_EQ(engine.sessions(), 0U);
    EXPECT_EQ(outcomes.calls, 0);
}

}  // namespace stepdb::engine_bridge_test
