// What became of a query and what it took: the log of slow queries, and what `stats` counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/log_event.h"
#include "engine/snapshot.h"
#include "query/parameters.h"

namespace stepdb {

enum class QueryOutcome : uint8_t {
    kDone,
    kFailed,
    kCancelled,
    kClientGone,
};

struct QueryReport {
    QueryReport() = default;

    QueryOutcome outcome = QueryOutcome::kDone;
    std::string error;  // of what failed
    // From its arrival to the last block, or to whatever ended it. A client that reads slowly is in
    // it.
    std::chrono::microseconds duration{0};
    std::chrono::microseconds turn_wait{0};    // of that, for its turns on its thread
    std::chrono::microseconds memory_wait{0};  // and for memory that others had
    size_t memory_peak_bytes = 0;
    uint64_t rows = 0;  // of the answer
    ReadCost cost;      // of what was computed last, if it had to begin anew
};

// `slow_query`. Text and error are cut at some hundred bytes, and of a parameter's value no more
// than a few are told.
LogEvent describe_query(const QueryReport& report, const QueryText& asked);

}  // namespace stepdb
