// Queries over HTTP, docs/http.md: /api/query, one at a time, and /api/queries, many in one
// request. Same tokens, rights, rates and limits as over the native protocol.
#pragma once

#include <functional>

#include "net/access.h"
#include "net/http.h"
#include "net/query_service.h"
#include "net/session.h"

namespace stepdb {

// `services` is kept by reference and outlives the routes.
void add_query_routes(HttpRoutes& routes, const SessionServices& services);

}  // namespace stepdb
