#include "clients/cpp/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "clients/cpp/testing/recorded_rows.h"
#include "clients/cpp/testing/scripted_peer.h"
#include "clients/cpp/testing/test_client.h"
#include "engine/model/limits.h"

namespace stepdb::client::writer_test {

using ::testing::HasSubstr;

// --- Rows ---

TEST(ClientWriter, RowsLoggedOneByOneArriveAsFewFrames) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    RowLog log = loss_log(*writer);
    for (uint64_t i = 0; i < 10'000; ++i) {
        ASSERT_TRUE(log_row(log, i).has_value());
    }
    EXPECT_EQ(log.rows(), 10'000U);
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 10'000U);
    EXPECT_TRUE(report.all_stored());
    expect_rows(server, "demo/a", 10'000);
    EXPECT_LE(server.frames(), 10U);
    EXPECT_EQ(writer->flush()->rows, 0U);
}

TEST(ClientWriter, LingeringRowsAreSentUnasked) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.linger = std::chrono::milliseconds(1);
    const auto writer = connect(options);
    RowLog log = loss_log(*writer);
    for (uint64_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(log_row(log, i).has_value());
        server.wait_for_rows();
    }
    expect_rows(server, "demo/a", 3);
}

TEST(ClientWriter, EveryBitOfEveryValueComesThrough) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    auto run = writer->open_run("demo", "a").value();
    RowLog log = run.row_log({"f32", "f64", "same"}, Axis::kStepped, ValueType::kFloat64).value();
    const double signalling = std::bit_cast<double>(uint64_t{0x7FF0'0000'0000'0001});
    const double payload = std::bit_cast<double>(uint64_t{0xFFF8'1234'0000'0000});
    const std::vector<std::array<double, 3>> rows = {
        {0.5, 0.1, 1e300},
        {std::nan(""), signalling, -0.0},
        {-0.0, payload, INFINITY},
        {1e10, 1e-320, -INFINITY},  // the first column travels as float32
    };
    for (size_t i = 0; i < rows.size(); ++i) {
        ASSERT_TRUE(log.log(static_cast<double>(i), rows[i]).has_value());
    }
    const auto nan32 = std::bit_cast<float>(0x7F80'0001U);  // widened by bits
    ASSERT_TRUE(log.log(4, std::array{1.5F, nan32, -0.0F}).has_value());
    ASSERT_TRUE(writer->flush()->all_stored());
    const auto got = server.rows("demo/a");
    ASSERT_EQ(got.size(), 5U);
    for (size_t i = 0; i < rows.size(); ++i) {
        for (size_t column = 0; column < 3; ++column) {
            EXPECT_EQ(got[i].bits[column], bits_of(rows[i][column])) << i << ", " << column;
        }
    }
    EXPECT_EQ(got[4].bits[1], bits_of(widen(0x7F80'0001U)));
    EXPECT_EQ(got[4].bits[2], bits_of(-0.0));
}

TEST(ClientWriter, AbsentValuesAreAbsent) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    auto run = writer->open_run("demo", "a").value();
    for (const ValueType type : {ValueType::kFloat32, ValueType::kFloat64}) {
        std::vector<std::string> names;
        names.reserve(11);
        for (int i = 0; i < 11; ++i) {
            names.push_back(fmt::format("{}/{}", type == ValueType::kFloat32 ? "a" : "b", i));
        }
        const std::vector<std::string_view> views(names.begin(), names.end());
        RowLog log = run.row_log(views, Axis::kStepped, type).value();
        std::vector<float> values(11, 0.25F);
        ASSERT_TRUE(log.log(0, values).has_value());
        const std::array present = {std::byte{0b1010'0101}, std::byte{0b1111'1010}};
        ASSERT_TRUE(log.log(1, Values(values, present)).has_value());
        std::vector<double> doubles(11, 0.1);
        const Status last = type == ValueType::kFloat32 ? log.log(2, values) : log.log(2, doubles);
        ASSERT_TRUE(last.has_value());
    }
    const Report report = writer->flush().value();
    ASSERT_TRUE(report.all_stored());
    const auto got = server.rows("demo/a");
    ASSERT_EQ(got.size(), 6U);
    for (const size_t first : {size_t{0}, size_t{3}}) {
        EXPECT_EQ(got[first].present, std::vector<bool>(11, true));
        EXPECT_EQ(got[first + 1].present, (std::vector<bool>{true, false, true, false, false, true,
                                                             false, true, false, true, false}));
        EXPECT_EQ(got[first + 2].present, std::vector<bool>(11, true));
        EXPECT_EQ(got[first + 1].bits[2], bits_of(0.25));
    }
    EXPECT_EQ(got[5].bits[10], bits_of(0.1));
}

TEST(ClientWriter, RowsThatNoServerWouldTakeAreErrorsAtOnce) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    auto run = writer->open_run("demo", "a").value();
    RowLog log = run.row_log({"loss", "lr"}).value();
    RowLog timed = run.row_log({"gpu"}, Axis::kTimed).value();
    EXPECT_THAT(log.log(1, 0.5F).error().message(), HasSubstr("1 values for a schema of 2"));
    EXPECT_THAT(log.log(1, std::array{0.5, 0.1}).error().message(), HasSubstr("lose bits"));
    EXPECT_THAT(log.log(NAN, std::array{0.5F, 0.1F}).error().message(), HasSubstr("step NaN"));
    EXPECT_THAT(log.log_timed(std::array{0.5F, 0.1F}).error().message(), HasSubstr("is stepped"));
    EXPECT_THAT(timed.log(1, 0.5F).error().message(), HasSubstr("log_timed()"));
    EXPECT_FALSE(run.row_log({"loss", "loss"}).has_value());
    EXPECT_FALSE(run.row_log({"loss", "lr"}, Axis::kStepped, ValueType::kFloat64).has_value());
    ASSERT_TRUE(timed.log_timed(0.5F, 77).has_value());
    EXPECT_EQ(writer->flush()->rows, 1U);
    EXPECT_EQ(server.rows("demo/a")[0].time_us, 77);
}

TEST(ClientWriter, RowsAreStampedWhenTheyAreLogged) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.now_us = [now = int64_t{1'000}]() mutable { return ++now; };
    const auto writer = connect(options);
    RowLog log = loss_log(*writer);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(log.log(i, std::array{0.5F, 0.1F}).has_value());
    }
    ASSERT_TRUE(writer->flush().has_value());
    EXPECT_EQ(server.rows("demo/a")[2].time_us, 1'003);
}

// The later call wins, whatever schema brings it: rows of one key arrive in the order of the calls.
TEST(ClientWriter, SchemasThatShareAMetricKeepTheirOrder) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    auto run = writer->open_run("demo", "a").value();
    RowLog both = run.row_log({"loss", "lr"}).value();
    RowLog apart = run.row_log({"other"}).value();
    RowLog one = run.row_log({"loss"}).value();
    for (int step = 0; step < 100; ++step) {
        ASSERT_TRUE(both.log(step, std::array{1.0F, 1.0F}).has_value());
        ASSERT_TRUE(apart.log(step, 7.0F).has_value());
        ASSERT_TRUE(one.log(step, 2.0F).has_value());
    }
    ASSERT_TRUE(one.log(200, 3.0F).has_value());
    ASSERT_TRUE(writer->flush()->all_stored());
    std::map<double, double> loss;
    for (const RecordedRow& row : server.rows("demo/a")) {
        if (row.schema != apart.schema().hash()) {
            loss[row.step] = std::bit_cast<double>(row.bits[0]);
        }
    }
    EXPECT_EQ(loss.size(), 101U);
    for (int step = 0; step < 100; ++step) {
        EXPECT_EQ(loss[step], 2.0) << step;
    }
}

TEST(ClientWriter, ManyThreadsLogIntoManyRuns) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.linger = std::chrono::microseconds(100);
    const auto writer = connect(options);
    constexpr uint64_t kRows = 5'000;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            RowLog log = loss_log(*writer, fmt::format("r{}", thread));
            for (uint64_t i = 0; i < kRows; ++i) {
                ASSERT_TRUE(log_row(log, i).has_value());
            }
            ASSERT_TRUE(writer->flush().has_value());
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (int thread = 0; thread < 4; ++thread) {
        expect_rows(server, fmt::format("demo/r{}", thread), kRows);
    }
}

TEST(ClientWriter, ThreadsThatShareARunLoseNothing) {
    RecordingServer server;
    const auto writer = connect(test_client(server.port()));
    const RowLog log = loss_log(*writer);
    std::vector<std::thread> threads;
    for (uint64_t thread = 0; thread < 3; ++thread) {
        threads.emplace_back([thread, &log] {
            for (uint64_t i = 0; i < 2'000; ++i) {
                ASSERT_TRUE(log_row(log, i * 3 + thread).has_value());
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(writer->flush()->rows, 6'000U);
    std::set<double> steps;
    for (const RecordedRow& row : server.rows("demo/a")) {
        steps.insert(row.step);
    }
    EXPECT_EQ(steps.size(), 6'000U);
}

// --- A full queue ---

TEST(ClientWriter, AFullQueueMakesTheCallerWait) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.queue_bytes_max = 64U << 10U;
    options.frame_bytes = 8U << 10U;
    const auto writer = connect(options);
    RowLog log = loss_log(*writer);
    ASSERT_TRUE(writer->flush().has_value());
    server.hold();
    std::atomic<uint64_t> logged = 0;
    std::thread logger([&] {
        for (uint64_t i = 0; i < 20'000; ++i) {  // about 500 KB
            ASSERT_TRUE(log_row(log, i).has_value());
            ++logged;
        }
    });
    while (writer->counts().rows_logged < 1'000) {
        server.wait_for_rows();
    }
    EXPECT_LT(logged, 4'000U);
    server.release();
    logger.join();
    EXPECT_EQ(writer->flush()->rows, 20'000U);
    expect_rows(server, "demo/a", 20'000);
}

TEST(ClientWriter, AFullQueueDropsTheNewestIfToldSo) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.queue_bytes_max = 64U << 10U;
    options.frame_bytes = 8U << 10U;
    options.when_full = WhenFull::kDropNewest;
    const auto writer = connect(options);
    RowLog log = loss_log(*writer);
    server.hold();
    for (uint64_t i = 0; i < 20'000; ++i) {
        ASSERT_TRUE(log_row(log, i).has_value());
    }
    const uint64_t kept = log.rows();
    EXPECT_LT(kept, 4'000U);
    server.release();
    const Report report = writer->flush().value();
    EXPECT_EQ(report.rows, kept);
    EXPECT_EQ(report.dropped_rows, 20'000 - kept);
    EXPECT_FALSE(report.all_stored());
    expect_rows(server, "demo/a", kept);
}

TEST(ClientWriter, ARowLargerThanTheQueueIsTakenAlone) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.queue_bytes_max = 4U << 10U;
    const auto writer = connect(options);
    auto run = writer->open_run("demo", "a").value();
    std::vector<std::string> names;
    names.reserve(5'000);
    for (int i = 0; i < 5'000; ++i) {
        names.push_back(fmt::format("m/{}", i));
    }
    RowLog log =
        run.row_log(std::vector<std::string_view>(names.begin(), names.end()), Axis::kStepped)
            .value();
    for (int step = 0; step < 5; ++step) {
        ASSERT_TRUE(log.log(step, std::vector<float>(5'000, 1.0F)).has_value());
    }
    EXPECT_EQ(writer->flush()->rows, 5U);
}

// --- The end ---

TEST(ClientWriter, NoServerIsAnErrorAtOnce) {
    uint16_t port = 0;
    {
        const Listener listener;
        port = listener.port();
    }
    const auto writer = Writer::connect(test_client(port));
    ASSERT_FALSE(writer.has_value());
    EXPECT_THAT(writer.error().message(), HasSubstr("cannot connect"));
    Options bad = test_client(port);
    bad.frame_bytes = kFrameBytesMax + 1;
    EXPECT_EQ(Writer::connect(bad).error().code(), ErrorCode::kInvalidArgument);
}

TEST(ClientWriter, TheDestructorWaitsForOutcomes) {
    RecordingServer server;
    {
        const auto writer = connect(test_client(server.port()));
        RowLog log = loss_log(*writer);
        for (uint64_t i = 0; i < 1'000; ++i) {
            ASSERT_TRUE(log_row(log, i).has_value());
        }
    }
    expect_rows(server, "demo/a", 1'000);
}

TEST(ClientWriter, ClosingGivesUpWhatGetsNoOutcomeInTime) {
    RecordingServer server;
    Options options = test_client(server.port());
    options.close_time_max = std::chrono::milliseconds(1);
    const auto writer = connect(options);
    RowLog log = loss_log(*writer);
    server.hold();
    ASSERT_TRUE(log_row(log, 0).has_value());
    EXPECT_EQ(writer->close().error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(log_row(log, 1).error().message(), HasSubstr("has been closed"));
    EXPECT_FALSE(writer->flush().has_value());
    EXPECT_TRUE(writer->close().has_value());
    server.release();
}

TEST(ClientWriter, HandlesOutliveTheirWriter) {
    RecordingServer server;
    auto writer = connect(test_client(server.port()));
    RowLog log = loss_log(*writer);
    auto run = writer->open_run("demo", "b").value();
    writer.reset();
    EXPECT_FALSE(log_row(log, 0).has_value());
    EXPECT_FALSE(run.finish().has_value());
    EXPECT_FALSE(run.heartbeat().has_value());
}

TEST(ClientWriter, AServerThatStaysAwayIsGivenUp) {
    auto server = std::make_unique<RecordingServer>();
    Options options = test_client(server->port());
    // Enough for a server that is there, on a machine that does other things besides.
    options.give_up_time = std::chrono::seconds(2);
    options.queue_bytes_max = 16U << 10U;
    const auto writer = connect(options);
    RowLog log = loss_log(*writer);
    server.reset();
    Status status;
    for (uint64_t i = 0; status; ++i) {
        status = log_row(log, i);  // waits for room in the end
    }
    EXPECT_THAT(status.error().message(), HasSubstr("gave up"));
    EXPECT_THAT(writer->flush().error().message(), HasSubstr("may be stored or not: "));
}

}  // namespace stepdb::client::writer_test
