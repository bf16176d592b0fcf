// When is measured, and what a load measures.
#pragma once

#include <chrono>
#include <cstdint>

#include "tools/bench/latencies.h"

namespace stepdb {

using SteadyTime = std::chrono::steady_clock::time_point;

// Outcomes and answers between the two count. Everything ends at `end`.
struct MeasuredWindow {
    SteadyTime begin;
    SteadyTime end;
    bool contains(SteadyTime at) const { return begin <= at && at < end; }
    double seconds() const { return std::chrono::duration<double>(end - begin).count(); }

    static MeasuredWindow from_now(double warm_up, double seconds);
};

// True once the process was told to stop; every loop of a load looks at it.
bool is_interrupted();
// Lets SIGINT and SIGTERM set it.
void catch_interruption();

// Of one thread of a load, or of all added up.
struct LoadReport {
    LoadReport() = default;

    uint64_t rows = 0;  // acknowledged, with those outside the window
    uint64_t rows_in_window = 0;
    uint64_t late_rows = 0;
    uint64_t frames = 0;  // sent, with those outside the window, and their bytes
    uint64_t bytes = 0;
    Latencies latencies;  // of frames in the window, or of rows picked from those

    void merge(const LoadReport& other);
};

}  // namespace stepdb
