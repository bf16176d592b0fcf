// HTTP as the rest of the server sees it: requests, responses, and which path is answered by whom.
// Sockets and the text of HTTP are net/http_server.h. Everything here happens on the net thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "net/tls_files.h"

namespace stepdb {

// Connections at a time. Those who look at a server are few, and none of them waits for long.
inline constexpr size_t kHttpConnectionsMax = 64;
inline constexpr size_t kHttpHeadBytesMax = 8U << 10U;
inline constexpr size_t kHttpBodyBytesMax = 64U << 10U;

struct HttpOptions {
    HttpOptions() = default;

    std::string host = "127.0.0.1";
    uint16_t port = 7421;           // 0 picks a free one
    std::shared_ptr<TlsFiles> tls;  // null: without TLS; whoever gave them looks at them
    size_t connections_max = kHttpConnectionsMax;
    // Of these, from one address; see ServerOptions.
    size_t address_connections_max = kHttpConnectionsMax / 2;
    // From the first look at a connection until its request is there as a whole, however it
    // trickles in; then for the answer, and for reading that.
    std::chrono::milliseconds request_time_max = std::chrono::seconds(10);
    std::chrono::milliseconds answer_time_max = std::chrono::seconds(30);
    // Between an answer and the next request.
    std::chrono::milliseconds idle_time_max = std::chrono::seconds(60);
};

struct HttpRequest {
    HttpRequest() = default;

    std::string method;
    std::string path;   // of the target, as it came
    std::string query;  // behind its `?`
    std::string token;  // of `Authorization: Bearer`; "" if there is none
    std::string body;
};

struct HttpResponse {
    HttpResponse() = default;
    HttpResponse(unsigned its_status, std::string its_body)
        : status(its_status), body(std::move(its_body)) {}

    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;  // of the head, beside the usual ones
};

// The answer to an error, as text for people: 401 or 403 for kPermissionDenied, and so on.
HttpResponse describe_http_error(const Error& error);

// To be called once, on the net thread, at once or later; by then the connection may have gone.
using HttpAnswer = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest& request, HttpAnswer answer)>;

class HttpRoutes {
  public:
    // `path` is a whole path. GET answers HEAD as well, for which the body is left out on the way.
    void add(std::string method, std::string path, HttpHandler handler);

    // By whom it is to be answered: 404 for an unknown path, 405 for another method.
    void handle(const HttpRequest& request, HttpAnswer answer) const;

  private:
    std::map<std::string, std::map<std::string, HttpHandler>> handlers_;  // by path, then method
};

}  // namespace stepdb
