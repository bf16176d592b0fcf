// What `stepdb bench query` found, for people or as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/latencies.h"
#include "tools/bench/query_suite.h"
#include "tools/bench/reports.h"

namespace stepdb {

// To one query, of all connections.
struct SuiteAnswers {
    SuiteAnswers() = default;

    Latencies latencies;
    std::string text;            // the last one's; of a page, its first question
    uint64_t rows = 0;           // of the last one
    uint64_t values = 0;         // cells of it that are no text; of names alone, rows
    std::optional<Error> wrong;  // how one was not what had been stored

    void merge(const SuiteAnswers& other) {
        latencies.merge(other.latencies);
        text = other.text;
        rows = other.rows;
        values = other.values;
    }
};

struct SuiteReport {
    SuiteReport() = default;

    BenchContext context;
    double scale = 1;
    uint32_t connections = 1;
    double warm_up_seconds = 0;
    std::optional<uint64_t> server_peak_bytes;  // of its own server, so far
    // Of the query that was asked last.
    double seconds = 0;
    SuiteAnswers answers;
};

// A line each as soon as it is there.
class SuitePrinter {
  public:
    // `queries` outlive the printer.
    SuitePrinter(const std::vector<SuiteQuery>& queries, bool json, TextSink sink);

    void begin(const SuiteReport& report);
    void print(const SuiteQuery& query, const SuiteReport& report);
    void end(const SuiteReport& report);

  private:
    void print_line(std::string_view name, std::string_view what, std::string_view median,
                    std::string_view p99, std::string_view values, std::string_view verified);

    bool json_;
    TextSink sink_;
    size_t name_width_ = 5;
    size_t what_width_ = 4;
};

}  // namespace stepdb
