#include "net/web_socket.h"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <chrono>
#include <deque>
#include <string>
#include <utility>

namespace stepdb {

namespace websocket = boost::beast::websocket;

// What Beast calls to end the stream below a WebSocket.
inline void teardown(boost::beast::role_type /*role*/, HttpStream& stream,
                     boost::system::error_code& status) {
    stream.end_output();
    status = {};
}
template <typename Handler>
void async_teardown(boost::beast::role_type /*role*/, HttpStream& stream, Handler&& handler) {
    stream.end_output();
    boost::asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler)]() mutable {
        handler(boost::system::error_code());
    });
}
inline void beast_close_socket(HttpStream& stream) {
    boost::system::error_code ignored;
    stream.socket().close(ignored);
}

namespace {

using SocketStatus = boost::system::error_code;

// Half of it without a word from the peer, and it is sent a ping.
constexpr std::chrono::seconds kSocketIdleMax{60};
constexpr std::chrono::seconds kSocketHandshakeMax{10};

class BeastSocket final : public WebSocket, public std::enable_shared_from_this<BeastSocket> {
  public:
    BeastSocket(HttpStream& stream, std::shared_ptr<const void> owner, HttpSocketMaker maker,
                std::function<void()> on_closed)
        : owner_(std::move(owner)),
          stream_(stream),
          maker_(std::move(maker)),
          on_closed_(std::move(on_closed)) {
        websocket::stream_base::timeout times{};
        times.handshake_timeout = kSocketHandshakeMax;
        times.idle_timeout = kSocketIdleMax;
        times.keep_alive_pings = true;
        stream_.set_option(times);
        stream_.read_message_max(kSocketMessageBytesMax);
        stream_.text(true);
        stream_.auto_fragment(false);
    }

    void shake_hands(const Request& request) {
        stream_.async_accept(request, [self = shared_from_this()](const SocketStatus& status) {
            if (self->is_over(status)) {
                return;
            }
            self->work_ = self->maker_(*self);
            self->read_next();
        });
    }

    void send(std::string text) override {
        if (is_closed_ || is_closing_) {
            return;
        }
        unsent_.push_back(std::move(text));
        write_next();
    }
    size_t unsent() const override { return unsent_.size(); }
    // Behind what is unsent.
    void close(uint16_t code, std::string reason) override {
        if (!is_closed_ && !std::exchange(is_closing_, true)) {
            last_words_ = websocket::close_reason(static_cast<websocket::close_code>(code),
                                                  reason.substr(0, kReasonBytesMax));
            write_next();
        }
    }
    void abandon() override {
        if (!std::exchange(is_closed_, true)) {
            let_work_go();
        }
    }

  private:
    // Of a control frame's 125 the code takes 2.
    static constexpr size_t kReasonBytesMax = 123;

    void read_next() {
        if (is_reading_ || is_closed_ || unsent_.size() >= kSocketUnsentMax) {
            return;
        }
        is_reading_ = true;
        stream_.async_read(buffer_, [self = shared_from_this()](const SocketStatus& status,
                                                                size_t) { self->on_read(status); });
    }

    void on_read(const SocketStatus& status) {
        is_reading_ = false;
        if (is_over(status)) {
            return;
        }
        if (!stream_.got_text()) {
            return close(static_cast<uint16_t>(websocket::close_code::unknown_data),
                         "messages are texts of JSON");
        }
        const std::string text = boost::beast::buffers_to_string(buffer_.data());
        buffer_.consume(buffer_.size());
        if (!is_closing_) {
            work_->on_message(text);
        }
        read_next();
    }

    void write_next() {
        if (is_writing_ || is_closed_) {
            return;
        }
        if (!unsent_.empty()) {
            is_writing_ = true;
            return stream_.async_write(
                boost::asio::buffer(unsent_.front()),
                [self = shared_from_this()](const SocketStatus& status, size_t) {
                    self->on_written(status);
                });
        }
        if (is_closing_) {
            is_writing_ = true;
            stream_.async_close(last_words_,
                                [self = shared_from_this()](const SocketStatus&) { self->end(); });
        }
    }

    void on_written(const SocketStatus& status) {
        is_writing_ = false;
        if (is_over(status)) {
            return;
        }
        unsent_.pop_front();
        if (!is_closing_) {
            work_->on_sent();
        }
        write_next();
        read_next();
    }

    // Whether nothing more is to be done; an error ends it.
    bool is_over(const SocketStatus& status) {
        if (status && !is_closed_) {
            end();
        }
        return is_closed_;
    }
    void end() {
        if (!std::exchange(is_closed_, true)) {
            let_work_go();
            on_closed_();
        }
    }
    // Not at once, as it may be what calls.
    void let_work_go() {
        boost::asio::post(stream_.get_executor(),
                          [work = std::shared_ptr<HttpSocketWork>(std::move(work_))] {});
    }

    const std::shared_ptr<const void> owner_;
    websocket::stream<HttpStream&> stream_;
    const HttpSocketMaker maker_;
    const std::function<void()> on_closed_;
    boost::beast::flat_buffer buffer_;
    std::unique_ptr<HttpSocketWork> work_;
    std::deque<std::string> unsent_;
    websocket::close_reason last_words_;
    bool is_reading_ = false;
    bool is_writing_ = false;
    bool is_closing_ = false;
    bool is_closed_ = false;
};

}  // namespace

bool WebSocket::is_asked_for(const Request& request) {
    return websocket::is_upgrade(request);
}

std::shared_ptr<WebSocket> WebSocket::start(HttpStream& stream, std::shared_ptr<const void> owner,
                                            const Request& request, HttpSocketMaker maker,
                                            std::function<void()> on_closed) {
    const auto socket = std::make_shared<BeastSocket>(stream, std::move(owner), std::move(maker),
                                                      std::move(on_closed));
    socket->shake_hands(request);
    return socket;
}

}  // namespace stepdb
