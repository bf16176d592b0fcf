// HTTP as the rest of the server sees it: requests, responses, and which path is answered by whom.
// Sockets and the text of HTTP are net/http_server.h. Everything here happens on the net thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "net/tls_files.h"

namespace stepdb {

// Connections at a time. Those who look at a server are few, and none of them waits for long.
inline constexpr size_t kHttpConnectionsMax = 64;
inline constexpr size_t kHttpHeadBytesMax = 8U << 10U;
// Of a request, but where its path takes more; such bodies say their length, for which room is
// kept.
inline constexpr size_t kHttpBodyBytesMax = 64U << 10U;
// Answers are written in pieces of it at most, each of which has its time.
inline constexpr size_t kHttpSliceBytes = 256U << 10U;

// Below it lie the parts of the page, under names that change with what they hold.
inline constexpr std::string_view kAssetsPath = "/assets/";
inline constexpr const char* kJsonType = "application/json";

struct HttpOptions {
    HttpOptions() = default;

    std::string host = "127.0.0.1";
    uint16_t port = 7421;           // 0 picks a free one
    std::shared_ptr<TlsFiles> tls;  // null: without TLS; whoever gave them looks at them
    size_t connections_max = kHttpConnectionsMax;
    // Of these, from one address; see ServerOptions.
    size_t address_connections_max = kHttpConnectionsMax / 2;
    // From the first look at a connection until its request is there as a whole, however it
    // trickles in (a long body has a second more for each 256 KiB); then for an answer that is made
    // at once, and for reading each kHttpSliceBytes of any.
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
    std::string host;   // of `Host`, as it came
    std::string etag;   // of `If-None-Match`; "" if there is none
    std::string body;
    // Answers may be compressed, and it is worth the time: not to a program of this machine, but to
    // one that asks through a proxy of this machine.
    bool wants_gzip = false;
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

// "invalid_argument": the word for programs.
std::string error_word(ErrorCode code);

// The same for programs: {"error": {"code", "message"}} and, where `query` is the text that the
// error shows a place of, "begin" and "end" of that, in bytes.
HttpResponse describe_api_error(const Error& error, std::string_view query = {});
// `{"code": ...}` alone, as it stands in there.
std::string api_error_text(const Error& error, std::string_view query = {});

// An error that was written as text for people, for programs.
HttpResponse as_api_error(HttpResponse response);

// To be called once, on the net thread, at once or later; by then the connection may have gone.
using HttpAnswer = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest& request, HttpAnswer answer)>;

// A part of an answer's body, with the memory that it is charged for until it is written.
struct HttpPiece {
    HttpPiece() = default;
    explicit HttpPiece(std::string its_bytes) : bytes(std::move(its_bytes)) {}

    std::string bytes;
    MemoryCharge charge;
};

// Where the answer of a request goes that takes its time: answer(), or begin(), pieces and end().
// Nothing is written, and nothing called back, within a call.
class HttpReply {
  public:
    virtual ~HttpReply() = default;
    virtual void answer(HttpResponse response) = 0;
    // The head; its body is left out. Of `length` bytes, or as many as come.
    virtual void begin(HttpResponse head, std::optional<uint64_t> length) = 0;
    virtual void put(HttpPiece piece) = 0;
    virtual void end() = 0;
    // What was begun cannot be ended: the peer is to see that it is not whole.
    virtual void cut_off() = 0;
    virtual bool has_begun() const = 0;
    virtual size_t unsent_bytes() const = 0;
};

// What is done for a request. Destroyed when its answer is written or the connection has gone, not
// within a call of its own or of the reply.
class HttpWork {
  public:
    virtual ~HttpWork() = default;
    // A piece has been written.
    virtual void on_sent() {}
    // Called now and then.
    virtual void tick() {}
    // The peer has gone; nothing is called any more.
    virtual void on_gone() {}
};

// `reply` outlives the work; it may be used at once.
using HttpWorker = std::function<std::unique_ptr<HttpWork>(HttpRequest request, HttpReply& reply)>;

// A WebSocket, as who answers there sees it. Nothing is written, and nothing called back, within a
// call.
class HttpSocket {
  public:
    virtual ~HttpSocket() = default;
    virtual void send(std::string text) = 0;
    // Messages sent and not yet written.
    virtual size_t unsent() const = 0;
    // Behind these; a code of RFC 6455, and why.
    virtual void close(uint16_t code, std::string reason) = 0;
};

// What is spoken there. Destroyed when the connection has gone, not within a call of its own.
class HttpSocketWork {
  public:
    virtual ~HttpSocketWork() = default;
    virtual void on_message(const std::string& text) = 0;
    // A message has been written.
    virtual void on_sent() = 0;
};

// `socket` outlives the work.
using HttpSocketMaker = std::function<std::unique_ptr<HttpSocketWork>(HttpSocket& socket)>;
using HttpSocketWorker =
    std::function<std::unique_ptr<HttpSocketWork>(const HttpRequest& request, HttpSocket& socket)>;

struct HttpRoute {
    HttpRoute() = default;

    HttpHandler handler;  // or:
    HttpWorker worker;    // or:
    HttpSocketWorker socket;
    size_t body_bytes_max = kHttpBodyBytesMax;
};

class HttpRoutes {
  public:
    // `path` is a whole path. GET answers HEAD as well, for which the body is left out on the way.
    void add(std::string method, std::string path, HttpHandler handler);
    void add_worker(std::string method, std::string path, HttpWorker worker,
                    size_t body_bytes_max = kHttpBodyBytesMax);
    // A WebSocket, which begins with a GET.
    void add_socket(std::string path, HttpSocketWorker worker);

    // By whom it is to be answered; null for an unknown path and for another method.
    const HttpRoute* find(std::string_view method, std::string_view path) const;
    // What to answer then: 404 or 405.
    HttpResponse describe_missing(std::string_view path) const;

  private:
    void add_route(std::string method, std::string path, HttpRoute route);

    // By path, then method.
    std::map<std::string, std::map<std::string, HttpRoute, std::less<>>, std::less<>> routes_;
};

}  // namespace stepdb
