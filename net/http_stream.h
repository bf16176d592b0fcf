// A socket with or without TLS as Asio's and Beast's reads and writes want a stream. Private to
// net/, as it shows Asio.
#pragma once

#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <utility>

#include "net/tls.h"

namespace stepdb {

// AsyncReadStream and AsyncWriteStream. One read and one write may be under way at a time.
class HttpStream {
  public:
    using Socket = boost::asio::ip::tcp::socket;
    using executor_type = Socket::executor_type;
    using ErrorStatus = boost::system::error_code;

    explicit HttpStream(Socket socket);
    // Before the first read: speaks TLS. Hands are shaken by the way.
    Status use_tls(const TlsContext& context);

    executor_type get_executor() { return socket_.get_executor(); }
    Socket& socket() { return socket_; }
    const Socket& socket() const { return socket_; }
    bool has_tls() const { return tls_ != nullptr; }

    // Both see the first of the buffers alone, as a read or write of "some" may.
    template <typename Buffers, typename Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_compose<Token, void(ErrorStatus, size_t)>(
            Step<boost::asio::mutable_buffer>(*this,
                                              first_of<boost::asio::mutable_buffer>(buffers)),
            token, socket_);
    }
    template <typename Buffers, typename Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_compose<Token, void(ErrorStatus, size_t)>(
            Step<boost::asio::const_buffer>(*this, first_of<boost::asio::const_buffer>(buffers)),
            token, socket_);
    }

    // Calls `call` with a status when there is something to read, or the peer has gone.
    template <typename Call>
    void async_wait_readable(Call call) {
        if (tls_ != nullptr && tls_->has_pending()) {
            boost::asio::post(get_executor(),
                              [call = std::move(call)]() mutable { call(ErrorStatus()); });
        } else {
            socket_.async_wait(Socket::wait_read, std::move(call));
        }
    }

    // Nothing more comes from us.
    void end_output();

  private:
    // Tries, waits for the socket, tries again.
    template <typename Buffer>
    class Step {
      public:
        Step(HttpStream& stream, Buffer buffer) : stream_(&stream), buffer_(buffer) {}

        template <typename Self>
        void operator()(Self& self, ErrorStatus status = ErrorStatus()) {
            HttpStream& stream = *stream_;
            if (!std::exchange(has_begun_, true)) {
                // An operation does not end within the call that begins it.
                return boost::asio::post(stream.get_executor(), std::move(self));
            }
            if (status) {
                return self.complete(status, 0);
            }
            const TlsStep step = stream.transfer(buffer_);
            switch (step.state) {
                case TlsStep::State::kDone:
                    return self.complete(ErrorStatus(), step.bytes);
                case TlsStep::State::kWaitReadable:
                    return stream.socket_.async_wait(Socket::wait_read, std::move(self));
                case TlsStep::State::kWaitWritable:
                    return stream.socket_.async_wait(Socket::wait_write, std::move(self));
                case TlsStep::State::kEnded:
                    return self.complete(boost::asio::error::eof, 0);
                case TlsStep::State::kFailed:
                    break;
            }
            self.complete(boost::asio::error::connection_reset, 0);
        }

      private:
        HttpStream* stream_;
        Buffer buffer_;
        bool has_begun_ = false;
    };

    template <typename Buffer, typename Buffers>
    static Buffer first_of(const Buffers& buffers) {
        const auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto at = boost::asio::buffer_sequence_begin(buffers); at != end; ++at) {
            const Buffer buffer(*at);
            if (buffer.size() != 0) {
                return buffer;
            }
        }
        return Buffer();
    }

    TlsStep transfer(boost::asio::mutable_buffer space);
    TlsStep transfer(boost::asio::const_buffer bytes);

    Socket socket_;
    std::unique_ptr<TlsSocket> tls_;  // null: without
};

}  // namespace stepdb
