#include "net/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>

namespace stepdb {

namespace {

namespace asio = boost::asio;
using ErrorStatus = boost::system::error_code;

// What one connection may read before the others have their turn.
constexpr size_t kTurnBytesMax = 2U << 20U;
constexpr int kDrainTurnsMax = 64;
constexpr std::chrono::seconds kRateWaitMax{1};

bool would_block(const ErrorStatus& status) {
    return status == asio::error::would_block || status == asio::error::try_again ||
           status == asio::error::interrupted;
}

}  // namespace

Connection::Connection(Socket socket, const SessionServices& services, const ServerOptions& options,
                       PatientLine& newcomers, std::function<void(Connection&)> on_closed)
    : socket_(std::move(socket)),
      options_(options),
      newcomers_(newcomers),
      on_closed_(std::move(on_closed)),
      session_(services, [this] { wake(); }) {}

Status Connection::use_tls(const TlsContext& context) {
    TRY_ASSIGN(tls_, TlsSocket::accept(context, socket_.native_handle()));
    return {};
}

void Connection::start(Time now) {
    now_ = started_ = last_bytes_ = frame_since_ = now;
    ErrorStatus ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    socket_.non_blocking(true, ignored);
    pump();
}

void Connection::wake() {
    if (is_waking_ || is_closed_) {
        return;
    }
    is_waking_ = true;
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->is_waking_ = false;
        self->pump();
    });
}

void Connection::pump() {
    if (is_closed_ || is_lingering_) {
        return;
    }
    session_.resume();
    if (!is_writing_ && session_.has_output()) {
        write_next();
    }
    if (is_closed_) {
        return;
    }
    if (!is_writing_ && session_.finished()) {
        begin_linger();
    }
    // Without interest in input there is still interest in a peer that has gone, which only reading
    // tells; a write or a tick will find out.
    if (!is_waiting_readable_ && (is_lingering_ || session_.wants_input())) {
        wait_readable();
    }
    wait_for_rate();
}

// The sender notices by its socket, as when the disk is slow.
void Connection::wait_for_rate() {
    const std::chrono::microseconds wait = session_.rate_wait();
    if (is_closed_ || is_waiting_for_rate_ || wait.count() == 0) {
        return;
    }
    is_waiting_for_rate_ = true;
    if (!rate_timer_) {
        rate_timer_.emplace(socket_.get_executor());
    }
    // Others of the token may take what comes meanwhile: then it is waited for again.
    rate_timer_->expires_after(std::min<std::chrono::microseconds>(wait, kRateWaitMax));
    rate_timer_->async_wait([self = shared_from_this()](const ErrorStatus& status) {
        self->is_waiting_for_rate_ = false;
        if (!status) {
            self->pump();
        }
    });
}

void Connection::wait_readable() {
    is_waiting_readable_ = true;
    auto on_ready = [self = shared_from_this()](const ErrorStatus& status) {
        if (status || self->is_closed_) {
            self->is_waiting_readable_ = false;
        } else {
            self->on_readable();
        }
    };
    if (tls_ != nullptr && !is_lingering_ && tls_->has_pending()) {
        asio::post(socket_.get_executor(),
                   [on_ready = std::move(on_ready)] { on_ready(ErrorStatus()); });
        return;
    }
    const bool wants_write = std::exchange(reading_wants_write_, false);
    socket_.async_wait(wants_write ? Socket::wait_write : Socket::wait_read, std::move(on_ready));
}

void Connection::on_readable() {
    if (session_.said_hello() && !is_lingering_) {
        return read_on();
    }
    newcomers_.ask([self = shared_from_this()] {
        if (self->is_closed_) {
            self->is_waiting_readable_ = false;
        } else {
            self->read_on();
        }
    });
}

void Connection::read_on() {
    is_waiting_readable_ = false;
    if (is_lingering_) {
        for (int turn = 0; turn < kDrainTurnsMax && drain_once(); ++turn) {
        }
        if (!is_closed_) {
            wait_readable();
        }
        return;
    }
    if (tls_ != nullptr && !is_heard_ && refuse_without_tls()) {
        return pump();
    }
    const size_t turns = kTurnBytesMax / FrameStream::kReadBytesMax;
    for (size_t turn = 0; turn < turns && session_.wants_input(); ++turn) {
        if (!read_once()) {
            break;
        }
    }
    pump();
}

// A client that speaks no TLS is told so in its own words, and nothing else: what it sends is not
// looked at.
bool Connection::refuse_without_tls() {
    std::byte first{};
    ErrorStatus status;
    const size_t bytes = socket_.receive(asio::buffer(&first, 1), Socket::message_peek, status);
    is_heard_ = bytes != 0;
    if (bytes == 0 || may_begin_tls(first)) {
        return false;
    }
    if (is_writing_) {  // in TLS, which it does not understand
        close();
        return true;
    }
    tls_.reset();
    session_.shut_down(Error(ErrorCode::kPermissionDenied,
                             "this server speaks TLS only; write its address as "
                             "stepdbs://HOST:PORT (any token that this connection has sent could "
                             "be read on the way)"));
    return true;
}

TlsStep Connection::read_some(MutableBytes space) {
    if (tls_ != nullptr) {
        return tls_->read(space);
    }
    TlsStep step;
    ErrorStatus status;
    step.bytes = socket_.read_some(asio::buffer(space.data(), space.size()), status);
    if (would_block(status)) {
        step.state = TlsStep::State::kWaitReadable;
    } else if (status) {
        step.state = status == asio::error::eof ? TlsStep::State::kEnded : TlsStep::State::kFailed;
    }
    return step;
}

// False when there is nothing more to read now.
bool Connection::read_once() {
    const MutableBytes space = session_.prepare();
    const TlsStep step = read_some(space);
    switch (step.state) {
        case TlsStep::State::kDone:
            got_bytes_ = true;
            session_.commit(step.bytes);
            return step.bytes == space.size();
        case TlsStep::State::kWaitReadable:
        case TlsStep::State::kWaitWritable:
            reading_wants_write_ = step.state == TlsStep::State::kWaitWritable;
            session_.commit(0);
            return false;
        case TlsStep::State::kEnded:
            session_.end_input();
            return false;
        case TlsStep::State::kFailed:
            close();
            return false;
    }
    return false;
}

void Connection::write_next() {
    writing_ = session_.take_output();
    is_writing_ = true;
    if (tls_ != nullptr) {
        written_ = 0;
        return write_tls();
    }
    asio::async_write(socket_, asio::buffer(writing_),
                      [self = shared_from_this()](const ErrorStatus& status, size_t) {
                          if (status) {
                              self->is_writing_ = false;
                              self->close();
                          } else {
                              self->on_written();
                              self->pump();
                          }
                      });
}

void Connection::write_tls() {
    const TlsStep step = tls_->write(Bytes(writing_).subspan(written_));
    written_ += step.bytes;
    if (step.state == TlsStep::State::kDone) {
        on_written();
        return wake();  // others have their turn
    }
    if (step.state == TlsStep::State::kEnded || step.state == TlsStep::State::kFailed) {
        is_writing_ = false;
        return close();
    }
    const bool wants_read = step.state == TlsStep::State::kWaitReadable;
    socket_.async_wait(wants_read ? Socket::wait_read : Socket::wait_write,
                       [self = shared_from_this()](const ErrorStatus& status) {
                           if (!status && !self->is_closed_) {
                               self->write_tls();
                           }
                       });
}

void Connection::on_written() {
    is_writing_ = false;
    session_.output_sent();
    writing_ = std::vector<std::byte>();
}

// Closing a socket with unread bytes resets it, and the reset may overtake the error that says why.
// So our side ends first, and what still comes is thrown away for a while.
void Connection::begin_linger() {
    is_lingering_ = true;
    linger_since_ = now_;
    if (tls_ != nullptr) {
        tls_->say_goodbye();
    }
    ErrorStatus ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

bool Connection::drain_once() {
    std::array<std::byte, 16384> thrown_away;
    ErrorStatus status;
    socket_.read_some(asio::buffer(thrown_away.data(), thrown_away.size()), status);
    if (would_block(status)) {
        return false;
    }
    if (status) {
        close();
        return false;
    }
    return true;
}

void Connection::refuse(const Error& reason) {
    session_.shut_down(reason);
    wake();
}

void Connection::shut_down(const Error& reason) {
    refuse(reason);
    if (is_shaking_hands()) {
        // Not at once: the caller may be going through all connections.
        asio::post(socket_.get_executor(), [self = shared_from_this()] { self->close(); });
    }
}

void Connection::close() {
    if (is_closed_) {
        return;
    }
    is_closed_ = true;
    if (rate_timer_) {
        rate_timer_->cancel();
    }
    session_.abandon();
    ErrorStatus ignored;
    socket_.close(ignored);
    on_closed_(*this);
}

void Connection::check_deadlines(Time now) {
    if (is_closed_) {
        return;
    }
    now_ = now;
    session_.check_access();
    session_.probe_peer();
    if (std::exchange(got_bytes_, false) || !is_waiting_readable_) {
        last_bytes_ = now;  // or we are the one that does not read
    }
    if (!session_.is_within_frame() || !is_waiting_readable_ ||
        std::exchange(frame_serial_, session_.frames_read()) != session_.frames_read()) {
        frame_since_ = now;
    }
    if (is_lingering_) {
        if (now - linger_since_ >= options_.linger_time_max) {
            close();
        }
        return;
    }
    if (is_shaking_hands() && now - started_ >= options_.hello_time_max) {
        close();  // it can be told nothing
    } else if (!session_.said_hello() && now - started_ >= options_.hello_time_max) {
        shut_down(make_error(ErrorCode::kUnavailable, "no hello within {} ms",
                             options_.hello_time_max.count()));
    } else if (session_.is_within_frame() && now - last_bytes_ >= options_.stall_time_max) {
        shut_down(make_error(ErrorCode::kUnavailable,
                             "nothing came for {} ms in the middle of a frame",
                             options_.stall_time_max.count()));
    } else if (now - frame_since_ >= options_.frame_time_max) {
        shut_down(make_error(ErrorCode::kUnavailable,
                             "a frame is not complete after {} ms; send smaller ones",
                             options_.frame_time_max.count()));
    }
}

}  // namespace stepdb
