// What a server tells of itself over HTTP: /healthz and /readyz for whoever watches over processes,
// open to everybody, and /metrics for monitoring systems, which takes the metrics right where
// tokens are asked for.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/io/executor.h"
#include "net/access.h"
#include "net/http.h"
#include "net/metrics.h"
#include "net/query_service.h"

namespace stepdb {

// All of it outlives the routes. Pages are asked for on the net side; the engine is asked on its
// own, so an answer shows that both get on.
struct StatusSources {
    StatusSources(Engine& its_engine, Executor& its_engine_side, Executor& its_net_side,
                  QueryService& its_queries)
        : engine(its_engine),
          engine_side(its_engine_side),
          net_side(its_net_side),
          queries(its_queries) {}

    Engine& engine;
    Executor& engine_side;
    Executor& net_side;
    QueryService& queries;
    Access* access = nullptr;  // null: everybody may do everything
    std::string version;
    std::string directory;  // of the store, for the room on its disk; "": not told
    std::function<NetFigures()> net_figures;
};

// `sources` is kept by reference.
void add_status_pages(HttpRoutes& routes, const StatusSources& sources);

// Whether the holder of the request's token may use the whole store in this way: 401 without a good
// token, 403 without the right. Nothing if so.
std::optional<HttpResponse> refuse_http(Access* access, const HttpRequest& request, Right right,
                                        std::string_view what);

}  // namespace stepdb
