// A WebSocket on a connection of the HTTP listener, by Beast: text messages in both directions, and
// pings that find out who has gone. Private to net/, as it shows Asio.
#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <functional>
#include <memory>

#include "net/http.h"
#include "net/http_stream.h"

namespace stepdb {

// Whoever sends longer messages is closed.
inline constexpr size_t kSocketMessageBytesMax = 256U << 10U;
// Messages to a peer that does not read, before none of its own are read.
inline constexpr size_t kSocketUnsentMax = 16;

class WebSocket : public HttpSocket {
  public:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;

    // Whether the request asks for one.
    static bool is_asked_for(const Request& request);
    // On the stream that the request came on, which `owner` keeps; shakes hands, then makes what is
    // spoken. `on_closed` is called once, and then nothing any more.
    static std::shared_ptr<WebSocket> start(HttpStream& stream, std::shared_ptr<const void> owner,
                                            const Request& request, HttpSocketMaker maker,
                                            std::function<void()> on_closed);

    // At once: the connection is being closed.
    virtual void abandon() = 0;
};

}  // namespace stepdb
