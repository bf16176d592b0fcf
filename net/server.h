// The TCP server: one thread that listens, reads and writes sockets and runs the sessions. Asio
// stays behind this header.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/engine.h"
#include "engine/io/executor.h"
#include "net/access.h"
#include "net/http.h"
#include "net/query_service.h"
#include "net/session.h"
#include "net/tls_files.h"

namespace stepdb {

struct ServerOptions {
    ServerOptions() = default;

    std::string host = "127.0.0.1";
    uint16_t port = 7420;  // 0 picks a free one
    std::string name = "stepdb";
    std::string version;              // of the program, for its metrics
    std::string directory;            // of the store; "": metrics tell nothing of its disk
    std::optional<HttpOptions> http;  // unset: no HTTP
    TellEvent tell;  // what an operator wants to know, on the net thread; may be unset
    size_t connections_max = kConnectionsMax;
    // Of these, from one address (of IPv6: one network of 64 bits), so that one machine cannot
    // shut out all others.
    size_t address_connections_max = kConnectionsMax / 2;
    std::shared_ptr<TlsFiles> tls;  // null: without TLS
    Access* access = nullptr;       // outlives the server; null: everybody may do everything
    size_t receive_bytes_max = kReceiveBytesMax;
    size_t send_bytes_max = kReceiveBytesMax;
    SessionLimits session;
    // A connection that has not said hello by then is closed, and so is one that sends nothing for
    // the second time within a frame: half-open peers must not hold room.
    std::chrono::milliseconds hello_time_max = std::chrono::seconds(10);
    std::chrono::milliseconds stall_time_max = std::chrono::seconds(30);
    // A frame that trickles in holds room all the while.
    std::chrono::milliseconds frame_time_max = std::chrono::seconds(60);
    // How long a stopping server waits for peers to read what is in flight.
    std::chrono::milliseconds stop_time_max = std::chrono::seconds(10);
    // How long a closed connection is drained, so that its last error is not lost to a reset.
    std::chrono::milliseconds linger_time_max = std::chrono::seconds(2);
};

class Server {
  public:
    // Binds and listens; connections queue in the kernel until run(). kIoError or kInvalidArgument
    // naming host and port.
    static Result<std::unique_ptr<Server>> listen(ServerOptions options);

    virtual ~Server() = default;

    virtual std::string host() const = 0;
    virtual uint16_t port() const = 0;

    // Where HTTP is answered; "" and 0 without.
    virtual std::string http_host() const = 0;
    virtual uint16_t http_port() const = 0;

    // Posts to the net thread, for answers of queries and outcomes of the engine.
    virtual Executor& executor() = 0;

    // Calls `call` on the net thread once the time has passed, unless the server has stopped by
    // then. On the net thread.
    virtual void call_after(std::chrono::microseconds after, std::function<void()> call) = 0;

    // Serves on the calling thread until stop(), then finishes what is in flight. `engine` works on
    // `engine_side`; it must not be closed before run() returns, and the server outlives it. Once
    // per server.
    virtual void run(Engine& engine, Executor& engine_side, QueryService& queries) = 0;

    // Stops accepting and reading, answers what was received, then lets run() return. May be called
    // from any thread and in a signal handler's stead, more than once, before run() too.
    virtual void stop() = 0;

    virtual size_t connections() const = 0;
};

}  // namespace stepdb
