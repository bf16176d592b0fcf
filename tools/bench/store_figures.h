// What a server tells of its store by the query `stats`.
#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "net/client.h"

namespace stepdb {

struct StoreFigures {
    StoreFigures() = default;

    uint64_t log_bytes = 0;             // that a restart would replay
    uint64_t rows_in_memory_bytes = 0;  // tails and sealed blocks
    double pieces_mean = 0;             // of a series, of those that are in segments
    uint64_t pieces_most = 0;
    uint64_t segment_bytes = 0;
    double write_amplification = 0;
    bool is_working = false;  // at a flush or a merge
    bool is_settled = false;
};

Result<StoreFigures> ask_store_figures(Client& client);

// How long a store took to settle.
struct Settling {
    Settling() = default;

    double seconds = 0;          // from the call on
    double working_seconds = 0;  // of these, with a flush or merge: the rest waits for more rows
    StoreFigures store;          // then
};

// Waits until the store has settled; looks ten times a second. An error if that takes an hour or
// the process is told to stop.
Result<Settling> wait_until_settled(Client& client);

}  // namespace stepdb
