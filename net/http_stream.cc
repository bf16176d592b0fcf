#include "net/http_stream.h"

namespace stepdb {

namespace {

TlsStep step_of(const HttpStream::ErrorStatus& status, size_t bytes, bool is_reading) {
    namespace error = boost::asio::error;
    TlsStep step;
    step.bytes = bytes;
    if (status == error::would_block || status == error::try_again ||
        status == error::interrupted) {
        step.state = is_reading ? TlsStep::State::kWaitReadable : TlsStep::State::kWaitWritable;
    } else if (status) {
        step.state = status == error::eof ? TlsStep::State::kEnded : TlsStep::State::kFailed;
    }
    return step;
}

}  // namespace

HttpStream::HttpStream(Socket socket) : socket_(std::move(socket)) {
    ErrorStatus ignored;
    socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
}

Status HttpStream::use_tls(const TlsContext& context) {
    TRY_ASSIGN(tls_, TlsSocket::accept(context, socket_.native_handle()));
    return {};
}

TlsStep HttpStream::transfer(boost::asio::mutable_buffer space) {
    if (tls_ != nullptr) {
        return tls_->read(MutableBytes(static_cast<std::byte*>(space.data()), space.size()));
    }
    ErrorStatus status;
    const size_t bytes = socket_.read_some(boost::asio::mutable_buffers_1(space), status);
    return step_of(status, bytes, true);
}

TlsStep HttpStream::transfer(boost::asio::const_buffer bytes) {
    if (tls_ != nullptr) {
        TlsStep step =
            tls_->write(Bytes(static_cast<const std::byte*>(bytes.data()), bytes.size()));
        // A part is something, too.
        if (step.bytes != 0) {
            step.state = TlsStep::State::kDone;
        }
        return step;
    }
    ErrorStatus status;
    const size_t written = socket_.write_some(boost::asio::const_buffers_1(bytes), status);
    return step_of(status, written, false);
}

void HttpStream::end_output() {
    if (tls_ != nullptr) {
        tls_->say_goodbye();
    }
    ErrorStatus ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

}  // namespace stepdb
