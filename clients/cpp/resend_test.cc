// Connections that are lost, and frames that are refused: what is sent again, and what is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "clients/cpp/testing/cutting_proxy.h"
#include "clients/cpp/testing/recorded_rows.h"
#include "clients/cpp/testing/scripted_peer.h"
#include "clients/cpp/testing/test_client.h"

namespace stepdb::client::resend_test {

using ::testing::HasSubstr;

// --- Lost connections ---

class ClientWriterCut : public ::testing::TestWithParam<uint32_t> {};

TEST_P(ClientWriterCut, EveryRowIsTakenOnceAndInOrder) {
    SCOPED_TRACE(fmt::format("seed {}", GetParam()));
    constexpr uint64_t kRows = 20'000;
    RecordingServer server;
    CuttingProxy proxy(server.port(), GetParam(), 12, 40'000);
    Options options = test_client(proxy.port());
    options.frame_bytes = 4U << 10U;
    options.queue_bytes_max = 128U << 10U;
    options.linger = std::chrono::microseconds(200);
    const auto writer = connect(options);
    std::vector<std::thread> threads;
    threads.reserve(2);
    for (int thread = 0; thread < 2; ++thread) {
        threads.emplace_back([&, thread] {
            RowLog log = loss_log(*writer, fmt::format("r{}", thread));
            for (uint64_t i = 0; i < kRows; ++i) {
                ASSERT_TRUE(log_row(log, i).has_value());
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const auto report = writer->flush();
    ASSERT_TRUE(report.has_value()) << report.error().to_string();
    EXPECT_EQ(report->rows, 2 * kRows);
    EXPECT_TRUE(report->all_stored());
    EXPECT_EQ(proxy.cuts_made(), 12);
    EXPECT_EQ(writer->counts().connections, 13U);
    expect_rows(server, "demo/r0", kRows);
    expect_rows(server, "demo/r1", kRows);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ClientWriterCut, ::testing::Values(1U, 2U, 3U, 4U, 5U));

// The peer reads on its own thread; the writer is driven by the test's.
template <typename Script>
std::thread play(const Listener& listener, Script script) {
    return std::thread([&listener, script] { script(listener); });
}

TEST(ClientWriter, WhatHasNoOutcomeIsSentAgainUnderItsNumbers) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        std::vector<std::vector<std::byte>> sent;
        {
            ScriptedPeer first(at);
            EXPECT_EQ(first.open().mode, OpenRunFrame::kCreateIfMissing);
            first.expect(FrameType::kSchema);
            first.expect(FrameType::kRows);
            first.ack();
            for (int i = 0; i < 2; ++i) {
                sent.push_back(first.expect(FrameType::kRows).bytes);
            }
        }
        ScriptedPeer second(at);
        const OpenRunFrame open = second.open(3);
        EXPECT_EQ(open.mode, OpenRunFrame::kResume);
        EXPECT_EQ(open.first_number, 2U);
        second.expect(FrameType::kSchema);
        for (const std::vector<std::byte>& bytes : sent) {
            EXPECT_EQ(second.expect(FrameType::kRows).bytes, bytes);
        }
        second.ack();
        EXPECT_EQ(second.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    auto run = writer->open_run("demo", "a").value();
    RowLog log = run.row_log({"loss", "lr"}).value();
    ASSERT_TRUE(log_row(log, 0).has_value());
    ASSERT_EQ(writer->flush()->rows, 1U);
    ASSERT_TRUE(log_row(log, 1).has_value());
    run.set_attempt(1);  // makes a frame of what has gathered
    ASSERT_TRUE(log_row(log, 2).has_value());
    EXPECT_EQ(writer->flush()->rows, 2U);
    writer.reset();
    peer.join();
}

// The answer to an opening that made the run may be lost.
TEST(ClientWriter, ARunThatIsThereBecauseWeMadeItIsOurs) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        {
            ScriptedPeer first(at);
            first.expect(FrameType::kOpenRun);
        }
        ScriptedPeer second(at);
        second.expect(FrameType::kOpenRun);
        second.refuse(ErrorCode::kAlreadyExists, "run demo/a exists");
        EXPECT_EQ(second.open().mode, OpenRunFrame::kResume);
        second.expect(FrameType::kOpenRun);
        second.refuse(ErrorCode::kAlreadyExists, "run demo/b exists");
        EXPECT_EQ(second.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    EXPECT_TRUE(writer->open_run("demo", "a", OpenMode::kMustCreate).has_value());
    const auto other = writer->open_run("demo", "b", OpenMode::kMustCreate);
    EXPECT_EQ(other.error().code(), ErrorCode::kAlreadyExists);
    writer.reset();
    peer.join();
}

TEST(ClientWriter, AServerThatDoesNotKnowTheWriterAnyMoreEndsTheRun) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        {
            ScriptedPeer first(at);
            first.open();
            first.expect(FrameType::kSchema);
            first.expect(FrameType::kRows);
        }
        ScriptedPeer second(at);
        second.expect(FrameType::kOpenRun);
        second.refuse(ErrorCode::kFailedPrecondition, "the writer is not known");
        second.expect(FrameType::kSchema);
        second.ack();
        second.expect(FrameType::kRows);
        second.refuse(ErrorCode::kFailedPrecondition, "run handle 1 is not open");
        second.open();  // another run goes on
        EXPECT_EQ(second.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    RowLog log = loss_log(*writer);
    ASSERT_TRUE(log_row(log, 0).has_value());
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 0U);
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_EQ(report.refused_rows, 1U);
    EXPECT_THAT(report.refused[0].error.message(), HasSubstr("the writer is not known"));
    EXPECT_THAT(log_row(log, 1).error().message(), HasSubstr("the writer is not known"));
    EXPECT_TRUE(writer->open_run("demo", "b").has_value());
    writer.reset();
    peer.join();
}

TEST(ClientWriter, ANumberThatWasNeverSentTellsOfAnotherProcess) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        {
            ScriptedPeer first(at);
            first.open();
            first.expect(FrameType::kSchema);
            first.expect(FrameType::kRows);
        }
        ScriptedPeer second(at);
        second.open(5);
        second.expect(FrameType::kSchema);
        second.expect(FrameType::kRows);
        second.ack();  // as a number that it has seen
        EXPECT_EQ(second.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    RowLog log = loss_log(*writer);
    ASSERT_TRUE(log_row(log, 0).has_value());
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 0U);
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_THAT(report.refused[0].error.message(), HasSubstr("another one uses the same writer"));
    writer.reset();
    peer.join();
}

// --- Refusals ---

TEST(ClientWriter, ARefusedFrameIsReportedAndStopsNoOther) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        ScriptedPeer only(at);
        only.open();
        only.expect(FrameType::kSchema);
        only.expect(FrameType::kRows);
        only.ack();
        only.expect(FrameType::kRows);
        ErrorMessage error(ErrorScope::kChange, Error(ErrorCode::kInvalidArgument, "no"));
        error.position.row = 3;
        only.send(encode_error(error, only.ordinal()));
        only.expect(FrameType::kRows);
        only.ack();
        EXPECT_EQ(only.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    auto run = writer->open_run("demo", "a").value();
    RowLog log = run.row_log({"loss", "lr"}).value();
    for (uint64_t i = 0; i < 30; ++i) {
        ASSERT_TRUE(log_row(log, i).has_value());
        if (i % 10 == 9) {
            run.set_attempt(static_cast<uint32_t>(i));  // makes a frame of what has gathered
        }
    }
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 20U);
    EXPECT_EQ(report.refused_rows, 10U);
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_EQ(report.refused[0].run, "demo/a");
    EXPECT_EQ(report.refused[0].schema, log.schema().hash());
    EXPECT_EQ(report.refused[0].first_row, 10U);
    EXPECT_EQ(report.refused[0].rows, 10U);
    EXPECT_EQ(report.refused[0].bad_row, 13U);
    EXPECT_EQ(report.refused[0].error.code(), ErrorCode::kInvalidArgument);
    writer.reset();
    peer.join();
}

// After an I/O error a store takes no frames until it is opened again, and what became of those
// under way is not known.
TEST(ClientWriter, FramesRefusedAsUnavailableAreSentAgain) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        std::vector<std::byte> sent;
        for (int i = 0; i < 3; ++i) {
            ScriptedPeer only(at);
            only.open();
            only.expect(FrameType::kSchema);
            only.ack();
            sent = only.expect(FrameType::kRows).bytes;
            only.refuse(ErrorCode::kUnavailable, "the log cannot be written");
            EXPECT_EQ(only.read().header.type, FrameType{0});
        }
        ScriptedPeer only(at);
        only.open();
        only.expect(FrameType::kSchema);
        EXPECT_EQ(only.expect(FrameType::kRows).bytes, sent);
        only.ack();
        EXPECT_EQ(only.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    RowLog log = loss_log(*writer);
    ASSERT_TRUE(log_row(log, 0).has_value());
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 1U);
    EXPECT_TRUE(report.all_stored());
    writer.reset();
    peer.join();
}

// A run whose stored data is damaged must not hold up the others.
TEST(ClientWriter, ARunThatIsUnavailableWhileOthersAreNotIsRefused) {
    const Listener listener;
    std::thread peer = play(listener, [](const Listener& at) {
        ScriptedPeer only(at);
        only.open();
        only.open();
        only.expect(FrameType::kSchema);
        only.expect(FrameType::kRows);
        const uint64_t bad = only.ordinal();
        only.expect(FrameType::kRows);
        only.send(encode_error(
            ErrorMessage(ErrorScope::kChange, Error(ErrorCode::kUnavailable, "it is damaged")),
            bad));
        only.ack();
        EXPECT_EQ(only.read().header.type, FrameType{0});
    });
    auto writer = connect(test_client(listener.port()));
    RowLog bad = loss_log(*writer, "bad");
    RowLog good = loss_log(*writer, "good");
    ASSERT_TRUE(log_row(bad, 0).has_value());
    ASSERT_TRUE(log_row(good, 0).has_value());
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 1U);
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_EQ(report.refused[0].run, "demo/bad");
    writer.reset();
    peer.join();
}

TEST(ClientWriter, LateRowsAreCounted) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    RowLog log = loss_log(*writer);
    for (const uint64_t i : {5U, 6U, 5U, 7U}) {
        ASSERT_TRUE(log_row(log, i).has_value());
    }
    EXPECT_EQ(writer->flush()->late_rows, 1U);
}

}  // namespace stepdb::client::resend_test
