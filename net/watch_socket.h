// /api/watch, docs/http.md: queries that are watched, over a WebSocket. A session within the server
// (net/local_session.h) watches them, so whoever reads slowly is told what has changed since it
// read last, as over the native protocol.
#pragma once

#include "net/http.h"
#include "net/local_session.h"

namespace stepdb {

// `services` and `sessions` are kept by reference and outlive the routes.
void add_watch_route(HttpRoutes& routes, const SessionServices& services, LocalSessions& sessions);

}  // namespace stepdb
