// What a request over HTTP asks: from the JSON of its body, or from its target.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "net/answer_encoder.h"
#include "query/parameters.h"

namespace stepdb {

// Of one request; each is answered apart.
inline constexpr size_t kHttpQueriesMax = 256;
// Of a request with queries: their texts and parameters.
inline constexpr size_t kQueryBodyBytesMax = 1U << 20U;

struct QueryRequest {
    QueryRequest() = default;

    QueryText query;
    AnswerFormat format = AnswerFormat::kJson;
};

// {"query": "...", "parameters": {"name": "text"}, "format": "json"}. kInvalidArgument naming what
// is wrong.
Result<QueryRequest> read_query_json(std::string_view body);
// query=...&p.NAME=VALUE&format=json, as behind the `?` of a target.
Result<QueryRequest> read_query_target(std::string_view query);
// {"queries": [{"query": "...", "parameters": {...}}, ...]}.
Result<std::vector<QueryText>> read_queries_json(std::string_view body);

// What a client says over the WebSocket of /api/watch.
struct WatchRequest {
    WatchRequest() = default;

    std::optional<std::string> token;  // in the first message, alone or with a query
    std::optional<uint64_t> id;
    std::optional<QueryText> query;  // to be watched as `id`
    bool is_cancel = false;          // what is watched as `id` is not any more
};

// {"id": 1, "query": "...", "parameters": {...}}, {"id": 1, "cancel": true} or {"token": "..."}.
Result<WatchRequest> read_watch_json(std::string_view text);

// `%41` and `+` of a target undone; nothing if a `%` has no two hex digits behind it.
std::optional<std::string> decode_percent(std::string_view text);

}  // namespace stepdb
