// The server's own metrics: what it tells of itself, without the name of any project, run or token.
#pragma once

#include <cstdint>
#include <string>

#include "engine/engine.h"
#include "net/process_figures.h"
#include "net/query_service.h"

namespace stepdb {

// What the network counts, on its thread.
struct NetFigures {
    NetFigures() = default;

    uint64_t connections = 0;
    uint64_t connections_max = 0;
    uint64_t accepted = 0;
    uint64_t refused_full = 0;     // the server had as many as it may have
    uint64_t refused_address = 0;  // their address had
    uint64_t hellos_refused = 0;   // without a token that is good
    uint64_t queries_limited = 0;  // refused because of the rate of their token
    uint64_t frames = 0;
    uint64_t acks = 0;
    uint64_t received_bytes = 0;
    uint64_t sent_bytes = 0;
    uint64_t receive_used_bytes = 0;  // of frames without outcome
    uint64_t receive_max_bytes = 0;
    uint64_t send_used_bytes = 0;  // of answers that are not sent
    uint64_t send_max_bytes = 0;
    uint64_t http_connections = 0;
    uint64_t http_refused = 0;
    uint64_t http_requests = 0;
    uint64_t http_failures = 0;
};

// All of one moment, about.
struct ServerFigures {
    ServerFigures() = default;

    std::string version;
    EngineStats engine;
    bool is_read_only = false;
    uint64_t damages = 0;  // that were found when the store was opened
    QueryFigures queries;
    NetFigures net;
    ProcessFigures process;
};

// In the format of net/prometheus_text.h.
std::string encode_metrics(const ServerFigures& figures);

}  // namespace stepdb
