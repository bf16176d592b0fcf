#include "tools/bench/row_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "tools/bench/frame_pool.h"
#include "tools/bench/load_values.h"

namespace stepdb {

namespace {

// Of so many rows of a connection one is timed, and the clock is looked at.
constexpr uint64_t kSampledRows = 64;

bool is_over(SteadyTime now, const MeasuredWindow& window) {
    return is_interrupted() || now >= window.end;
}

}  // namespace

RowLoop::RowLoop(const LoadOptions& options, std::shared_ptr<const Schema> schema, uint64_t seed)
    : options_(options), schema_(std::move(schema)), pool_rows_(pool_rows(options.workload.shape)) {
    const LoadShape& shape = options_.workload.shape;
    LoadValues source(shape, seed);
    std::vector<double> values(shape.metrics);
    for (size_t row = 0; row < pool_rows_; ++row) {
        source.next_row(values);
        for (const double value : values) {
            if (shape.is_float64) {
                doubles_.push_back(value);
            } else {
                floats_.push_back(static_cast<float>(value));
            }
        }
    }
}

client::Values RowLoop::row_of(size_t row) const {
    const size_t metrics = options_.workload.shape.metrics;
    const size_t first = row % pool_rows_ * metrics;
    if (options_.workload.shape.is_float64) {
        return std::span(doubles_).subspan(first, metrics);
    }
    return std::span(floats_).subspan(first, metrics);
}

Status RowLoop::add(client::Options options, uint32_t connection) {
    if (is_interrupted()) {
        return Error(ErrorCode::kCancelled, "interrupted");
    }
    const bool is_float64 = options_.workload.shape.is_float64;
    Connection made;
    TRY_ASSIGN(made.writer, client::Writer::connect(std::move(options)));
    for (uint32_t at = 0; at < options_.workload.runs; ++at) {
        TRY_ASSIGN(
            client::Run run,
            made.writer->open_run(options_.project, Load::run_name(options_.prefix, connection, at),
                                  client::OpenMode::kMustCreate));
        TRY_ASSIGN(client::RowLog log,
                   run.row_log(schema_, is_float64 ? client::ValueType::kFloat64
                                                   : client::ValueType::kFloat32));
        made.runs.push_back(std::move(run));
        made.logs.push_back(std::move(log));
    }
    connections_.push_back(std::move(made));
    return {};
}

Status RowLoop::log_next(Connection& connection) {
    const size_t run = connection.rows % connection.logs.size();
    const uint64_t step = connection.rows / connection.logs.size();
    ++connection.rows;
    // As in LoadWriter: every run goes through the pool from a place of its own.
    return connection.logs[run].log(static_cast<double>(step), row_of(run * 7919 + step));
}

Status RowLoop::begin() {
    for (Connection& connection : connections_) {
        for (size_t run = 0; run < connection.logs.size(); ++run) {
            TRY(log_next(connection));
        }
        TRY_ASSIGN(const client::Report report, connection.writer->flush());
        if (!report.refused.empty()) {
            return report.refused.front().error.within("a frame was refused");
        }
        connection.rows_durable = connection.rows;
    }
    return {};
}

Status RowLoop::run(const MeasuredWindow& window) {
    TRY(options_.workload.closed_loop ? log_closed(window) : log_in_turn(window));
    return finish();
}

void RowLoop::look(Connection& connection, const MeasuredWindow& window) {
    const uint64_t durable = connection.writer->counts().rows_durable;
    const SteadyTime now = std::chrono::steady_clock::now();
    if (window.contains(now)) {
        report_.rows_in_window += durable - connection.rows_durable;
    }
    connection.rows_durable = durable;
    auto& samples = connection.samples;
    while (!samples.empty() && samples.front().rows <= durable) {
        if (window.contains(now)) {
            report_.latencies.add(
                std::chrono::duration_cast<std::chrono::nanoseconds>(now - samples.front().since)
                    .count());
        }
        samples.pop_front();
    }
}

Status RowLoop::log_in_turn(const MeasuredWindow& window) {
    const double rows_per_second =
        options_.workload.rows_per_second * static_cast<double>(connections_.size());
    // At a rate there is time to look at each.
    const uint64_t sampled = rows_per_second > 0 ? 1 : kSampledRows;
    const SteadyTime begun = std::chrono::steady_clock::now();
    SteadyTime now = begun;
    for (uint64_t turn = 0; !is_over(now, window); ++turn) {
        // A batch of rows for each connection in turn, one of each where there is a rate.
        for (Connection& connection : connections_) {
            TRY(log_next(connection));
            if (connection.rows % sampled == 0) {
                now = std::chrono::steady_clock::now();
                connection.samples.push_back({connection.rows, now});
                look(connection, window);
            }
        }
        if (rows_per_second > 0) {
            const double due = static_cast<double>((turn + 1) * connections_.size());
            const auto wait = std::chrono::duration<double>(due / rows_per_second);
            std::this_thread::sleep_until(
                begun + std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait));
            now = std::chrono::steady_clock::now();
        }
    }
    return {};
}

Status RowLoop::log_closed(const MeasuredWindow& window) {
    for (SteadyTime now = std::chrono::steady_clock::now(); !is_over(now, window);) {
        for (Connection& connection : connections_) {
            const SteadyTime since = now;
            TRY(log_next(connection));
            TRY_ASSIGN(const client::Report report, connection.writer->flush());
            report_.late_rows += report.late_rows;
            now = std::chrono::steady_clock::now();
            if (window.contains(now)) {
                ++report_.rows_in_window;
                report_.latencies.add(
                    std::chrono::duration_cast<std::chrono::nanoseconds>(now - since).count());
            }
        }
    }
    return {};
}

Status RowLoop::finish() {
    for (Connection& connection : connections_) {
        TRY_ASSIGN(const client::Report report, connection.writer->flush());
        if (!report.refused.empty()) {
            return report.refused.front().error.within(
                fmt::format("{} frames were refused, the first", report.refused_frames));
        }
        const client::Counts counts = connection.writer->counts();
        report_.late_rows += report.late_rows;
        report_.rows += counts.rows_durable;
        report_.frames += counts.frames_sent;
        report_.bytes += counts.bytes_sent;
    }
    return {};
}

}  // namespace stepdb
