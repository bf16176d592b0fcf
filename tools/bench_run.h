// One benchmark of `stepdb bench`: the load, the questions, and the figures.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "tools/bench/frame_pool.h"

namespace stepdb {

enum class Benchmark : uint8_t { kIngest, kQuery, kMixed };

struct BenchOptions {
    std::string server;  // empty: one of our own
    std::string directory;
    std::string memory;
    std::string project{"bench"};
    std::string format{"table"};
    LoadShape shape;
    std::string values{"f32"};
    uint32_t connections = 1;
    uint32_t runs = 1;  // a connection
    size_t in_flight = 0;
    double seconds = 5;
    double warmup = 1;
    double rate = 0;  // points a second
    uint64_t seed = 1;
    uint64_t points = 1'000'000;
    std::string series;
    uint32_t charts = 1;
    bool settle = false;
};

// Loads the server and prints what it measured on the standard output. An error if anything failed
// or was refused, or if what was acknowledged is not what a query counts: no figures then.
Status run_benchmark(Benchmark kind, const BenchOptions& options);

}  // namespace stepdb
