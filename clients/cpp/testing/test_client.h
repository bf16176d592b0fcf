// What the tests of the writer share.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "clients/cpp/testing/recorded_rows.h"
#include "clients/cpp/writer.h"

namespace stepdb::client {

inline constexpr std::chrono::hours kNever(1);

// Nothing is sent before it must be, and a lost connection is made again at once.
inline Options test_client(uint16_t port) {
    Options options;
    options.port = port;
    options.linger = kNever;
    options.retry_delay_min = std::chrono::milliseconds(1);
    options.retry_delay_max = std::chrono::milliseconds(4);
    return options;
}

inline std::unique_ptr<Writer> connect(Options options) {
    auto writer = Writer::connect(std::move(options));
    EXPECT_TRUE(writer.has_value()) << writer.error().to_string();
    return std::move(writer).value();
}

inline RowLog loss_log(Writer& writer, std::string_view run = "a") {
    return writer.open_run("demo", run)->row_log({"loss", "lr"}).value();
}

inline float value_of(uint64_t row, uint64_t column) {
    return static_cast<float>(row) * 0.5F + static_cast<float>(column);
}

// Row i of two values.
inline Status log_row(const RowLog& log, uint64_t i) {
    return log.log(static_cast<double>(i), std::array{value_of(i, 0), value_of(i, 1)},
                   static_cast<int64_t>(i) + 1);
}

// Rows 0 to count - 1, each once and in order.
inline void expect_rows(RecordingServer& server, const std::string& run, uint64_t count) {
    const std::vector<RecordedRow> rows = server.rows(run);
    ASSERT_EQ(rows.size(), count) << run;
    for (uint64_t i = 0; i < count; ++i) {
        ASSERT_EQ(rows[i].step, static_cast<double>(i)) << run;
        ASSERT_EQ(rows[i].time_us, static_cast<int64_t>(i) + 1);
        for (uint64_t column = 0; column < 2; ++column) {
            ASSERT_EQ(rows[i].bits[column], bits_of(static_cast<double>(value_of(i, column))));
        }
    }
}

}  // namespace stepdb::client
