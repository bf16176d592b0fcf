// POST /api/ingest, docs/http.md: rows, attributes and tags of a run as JSON, for scripts in any
// language. They go the way of native frames (net/local_session.h), and the answer comes when all
// of it is durable and visible.
#pragma once

#include "net/http.h"
#include "net/local_session.h"

namespace stepdb {

// `services` and `sessions` are kept by reference and outlive the routes.
void add_ingest_route(HttpRoutes& routes, const SessionServices& services, LocalSessions& sessions);

}  // namespace stepdb
