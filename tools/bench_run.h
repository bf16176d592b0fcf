// The benchmarks of `stepdb bench`: the load, the questions, and the figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/bench/workload.h"
#include "tools/server_choice.h"

namespace stepdb {

enum class Benchmark : uint8_t { kIngest, kQuery, kMixed };

struct BenchOptions {
    ServerChoice server;  // no address: one of our own
    std::string directory;
    std::string memory;
    std::string project{"bench"};
    std::string format{"table"};
    uint64_t seed = 1;
    uint32_t threads = 1;
    std::vector<Workload> workloads;  // one after the other, each on a store of its own
    std::optional<size_t> in_flight;
    bool settle = true;  // wait for it after a load
    // query: a suite of them, unless it is about one series
    std::vector<std::string> queries;
    double scale = 1;
    std::optional<uint64_t> points;  // of a series that it fills
    std::string series;              // that is there
    bool reopen = false;             // between filling and asking

    bool is_of_one_series() const { return points || !series.empty(); }
    // mixed
    uint32_t charts = 1;
    double chart_rate = 0;  // charts a second over all of these; 0: as fast as they are answered
};

// Loads the server and prints what it measured on the standard output. An error if anything failed
// or was refused, or if what was acknowledged is not what a query counts: no figures then.
Status run_benchmark(Benchmark kind, const BenchOptions& options);

}  // namespace stepdb
