#include "net/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <array>

namespace stepdb {

namespace {

namespace asio = boost::asio;
using ErrorStatus = boost::system::error_code;

// What one connection may read before the others have their turn.
constexpr size_t kTurnBytesMax = 2U << 20U;
constexpr int kDrainTurnsMax = 64;

bool would_block(const ErrorStatus& status) {
    return status == asio::error::would_block || status == asio::error::try_again ||
           status == asio::error::interrupted;
}

}  // namespace

Connection::Connection(Socket socket, const SessionServices& services, const ServerOptions& options,
                       std::function<void(Connection&)> on_closed)
    : socket_(std::move(socket)),
      options_(options),
      on_closed_(std::move(on_closed)),
      session_(services, [this] { wake(); }) {}

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
    if (!is_writing_ && session_.finished()) {
        begin_linger();
    }
    // Without interest in input there is still interest in a peer that has gone, which only reading
    // tells; a write or a tick will find out.
    if (!is_waiting_readable_ && (is_lingering_ || session_.wants_input())) {
        wait_readable();
    }
}

void Connection::wait_readable() {
    is_waiting_readable_ = true;
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const ErrorStatus& status) {
        self->is_waiting_readable_ = false;
        if (!status && !self->is_closed_) {
            self->on_readable();
        }
    });
}

void Connection::on_readable() {
    if (is_lingering_) {
        for (int turn = 0; turn < kDrainTurnsMax && drain_once(); ++turn) {
        }
        if (!is_closed_) {
            wait_readable();
        }
        return;
    }
    const size_t turns = kTurnBytesMax / FrameStream::kReadBytesMax;
    for (size_t turn = 0; turn < turns && session_.wants_input(); ++turn) {
        if (!read_once()) {
            break;
        }
    }
    pump();
}

// False when there is nothing more to read now.
bool Connection::read_once() {
    const MutableBytes space = session_.prepare();
    ErrorStatus status;
    const size_t bytes = socket_.read_some(asio::buffer(space.data(), space.size()), status);
    if (would_block(status)) {
        session_.commit(0);
        return false;
    }
    if (status == asio::error::eof) {
        session_.end_input();
        return false;
    }
    if (status) {
        close();
        return false;
    }
    got_bytes_ = true;
    session_.commit(bytes);
    return bytes == space.size();
}

void Connection::write_next() {
    writing_ = session_.take_output();
    is_writing_ = true;
    asio::async_write(socket_, asio::buffer(writing_),
                      [self = shared_from_this()](const ErrorStatus& status, size_t) {
                          self->is_writing_ = false;
                          if (status) {
                              self->close();
                          } else {
                              self->session_.output_sent();
                              self->writing_ = std::vector<std::byte>();
                              self->pump();
                          }
                      });
}

// Closing a socket with unread bytes resets it, and the reset may overtake the error that says why.
// So our side ends first, and what still comes is thrown away for a while.
void Connection::begin_linger() {
    is_lingering_ = true;
    linger_since_ = now_;
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

void Connection::shut_down(const Error& reason) {
    session_.shut_down(reason);
    wake();
}

void Connection::close() {
    if (is_closed_) {
        return;
    }
    is_closed_ = true;
    session_.abandon();
    ErrorStatus ignored;
    socket_.close(ignored);
    on_closed_(*this);
}

void Connection::check_deadlines(Time now) {
    now_ = now;
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
    if (!session_.said_hello() && now - started_ >= options_.hello_time_max) {
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
