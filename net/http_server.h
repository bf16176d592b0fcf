// The HTTP listener beside the native one: sockets, the text of HTTP (by Beast), deadlines and
// limits. What is answered is the routes' matter. Private to net/, as it shows Asio.
//
// Everything happens on the thread of its io_context, the net thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "net/flow_budget.h"
#include "net/http.h"

namespace stepdb {

struct HttpCounts {
    HttpCounts() = default;

    uint64_t connections = 0;  // now
    uint64_t refused = 0;      // because there were too many
    uint64_t requests = 0;     // answered
    uint64_t failures = 0;     // of these, with a status of 400 and above
};

class HttpServer {
  public:
    // Binds and listens; connections queue in the kernel until serve(). `context` outlives it.
    // kIoError or kInvalidArgument naming host and port.
    static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& context,
                                                      HttpOptions options);
    virtual ~HttpServer() = default;

    virtual std::string host() const = 0;
    virtual uint16_t port() const = 0;

    // Begins to accept. `routes` and `receive`, where room for bodies is kept, outlive it,
    // `is_open` tells whether anybody may ask: only names of this machine are then let in, so that
    // a page of another site, whose name was made to point here, reads nothing (DNS rebinding).
    virtual void serve(const HttpRoutes& routes, FlowBudget& receive,
                       std::function<bool()> is_open) = 0;
    // Closes everything, at once; nothing of it keeps the context running afterwards.
    virtual void stop() = 0;

    virtual HttpCounts counts() const = 0;
};

// Binds and listens on an address: what both listeners do. kIoError or kInvalidArgument naming it.
Status listen_on(boost::asio::ip::tcp::acceptor& acceptor, const std::string& host, uint16_t port);

}  // namespace stepdb
