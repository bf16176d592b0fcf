// What benchmarks found, for people or as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/chart_asker.h"
#include "tools/bench/figures.h"
#include "tools/bench/measured.h"
#include "tools/bench/store_figures.h"
#include "tools/bench/workload.h"

namespace stepdb {

// What was measured, and on what. Text that nobody knows is "unknown".
struct BenchContext {
    BenchContext() = default;

    std::string benchmark;
    std::string version;
    std::string server;  // "own", or its address
    std::string server_version;
    std::string kernel;
    std::string io_backend;
    std::string file_system;
    uint32_t cores = 0;
    uint64_t seed = 0;
    std::optional<uint64_t> memory_limit_bytes;  // of its own server
};

// Answers to one kind of question in the window, of all connections.
struct AnswerReport {
    AnswerReport() = default;

    std::string name;
    AskerReport asked;
    double seconds = 0;  // of the window
};

struct IngestReport {
    IngestReport() = default;

    BenchContext context;
    Workload workload;
    std::optional<uint64_t> in_flight;  // unless the client packs
    LoadReport load;
    double seconds = 0;  // of the window, as it was
    uint64_t rows_counted = 0;
    double client_cpu_seconds = 0;
    // Of its own server.
    std::optional<double> server_cpu_seconds;
    std::optional<uint64_t> server_peak_bytes;
    std::optional<double> bytes_per_point;
    uint64_t log_bytes_bound = 0;
    uint64_t rows_in_memory_bytes_bound = 0;
    // At the end of the load, and when the store had settled, if that was waited for.
    StoreFigures loaded;
    std::optional<Settling> settled;
    // In `mixed`.
    std::optional<AnswerReport> charts;
    std::optional<AnswerReport> quiet_charts;  // asked after the load
    uint32_t chart_connections = 0;
    double chart_rate = 0;  // 0: as fast as they are answered
    Latencies freshness;    // from acknowledgements to updates of a watch

    double points() const { return points_of(load.rows); }
    double points_in_window() const { return points_of(load.rows_in_window); }
    double points_of(uint64_t rows) const {
        return static_cast<double>(rows) * workload.shape.metrics;
    }
    double rows_per_frame() const {
        return static_cast<double>(load.rows) / static_cast<double>(load.frames);
    }
    double frames_per_second() const {
        return static_cast<double>(load.rows_in_window) / rows_per_frame() / seconds;
    }
    double bytes_per_second() const {
        return frames_per_second() * static_cast<double>(load.bytes) /
               static_cast<double>(load.frames);
    }
    // Log and rows in memory at the end of the load.
    bool is_within_bounds() const;
};

// Figures for people: "1,234,567"; three digits that count, as in "1.23", "12.3", "123", "1,234";
// and microseconds in the unit in which they read well.
std::string grouped(double number);
std::string shown(double number);
std::string shown_us(double us);

// Keys of docs/benchmarks.md.
void add_context(const BenchContext& context, Figures& figures);
void add_answers(const AnswerReport& answers, Figures& figures);
Figures ingest_figures(const IngestReport& report);

// A paragraph, the first line naming the workload.
void print_ingest(const IngestReport& report, const TextSink& sink);
// What it ran on, on a line.
void print_context(const BenchContext& context, const TextSink& sink);
// A line each, for several.
void print_comparison(const std::vector<IngestReport>& reports, const TextSink& sink);

}  // namespace stepdb
