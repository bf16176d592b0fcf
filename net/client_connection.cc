#include "net/client_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace stepdb {

namespace {

std::string error_text(int number) {
    return std::generic_category().message(number);
}

struct AddressList {
    ~AddressList() {
        if (first != nullptr) {
            freeaddrinfo(first);
        }
    }
    addrinfo* first = nullptr;
};

timespec to_timespec(std::chrono::microseconds time) {
    timespec spec = {};
    spec.tv_sec = time.count() / 1'000'000;
    spec.tv_nsec = time.count() % 1'000'000 * 1000;
    return spec;
}

// 0, or the number of the error.
int connect_within(int fd, const addrinfo& address, std::chrono::milliseconds time_max) {
    if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    pollfd ready = {};
    ready.fd = fd;
    ready.events = POLLOUT;
    const int count = ::poll(&ready, 1, static_cast<int>(time_max.count()));
    if (count <= 0) {
        return count == 0 ? ETIMEDOUT : errno;
    }
    int status = 0;
    socklen_t length = sizeof(status);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &length) == 0 ? status : errno;
}

}  // namespace

Result<std::unique_ptr<ClientConnection>> ClientConnection::connect(const ClientOptions& options,
                                                                    ClientEvents& events) {
    std::unique_ptr<ClientConnection> connection(new ClientConnection(options, events));
    TRY(connection->open_socket());
    if (options.tls.is_wanted) {
        TRY(connection->shake_hands());
    }
    TRY(connection->say_hello());
    return connection;
}

ClientConnection::~ClientConnection() {
    if (socket_ >= 0) {
        close(socket_);
    }
}

Status ClientConnection::open_socket() {
    addrinfo wanted = {};
    wanted.ai_socktype = SOCK_STREAM;
    AddressList list;
    const int status = getaddrinfo(options_.host.c_str(), std::to_string(options_.port).c_str(),
                                   &wanted, &list.first);
    if (status != 0) {
        return make_error(ErrorCode::kUnavailable, "cannot find server {}: {}", options_.host,
                          gai_strerror(status));
    }
    int refused = 0;
    for (const addrinfo* at = list.first; at != nullptr; at = at->ai_next) {
        const int fd =
            socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
        refused = fd < 0 ? errno : connect_within(fd, *at, options_.connect_time_max);
        if (fd >= 0 && refused == 0) {
            socket_ = fd;
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            return {};
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    return make_error(ErrorCode::kUnavailable,
                      "cannot connect to {}:{}: {} (is `stepdb serve` running there?)",
                      options_.host, options_.port, error_text(refused));
}

Status ClientConnection::shake_hands() {
    TRY_ASSIGN(const auto context, TlsContext::for_client(options_.tls.ca_file));
    TRY_ASSIGN(tls_, TlsSocket::connect(*context, socket_, options_.host));
    const auto end = std::chrono::steady_clock::now() + options_.connect_time_max;
    for (;;) {
        const TlsStep::State state = tls_->shake_hands().state;
        if (state == TlsStep::State::kDone) {
            return {};
        }
        if (state == TlsStep::State::kEnded || tls_->was_cut()) {
            return make_error(ErrorCode::kUnavailable,
                              "no TLS with {}:{}: the connection was cut ({})", options_.host,
                              options_.port, tls_->why());
        }
        if (state == TlsStep::State::kFailed) {
            return make_error(ErrorCode::kPermissionDenied,
                              "no TLS with {}:{}: {} (its certificate has to name {} and be signed "
                              "by an authority known here or in the file of --tls-ca; a server "
                              "without TLS takes the address without stepdbs://)",
                              options_.host, options_.port, tls_->why(), options_.host);
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd ready = {};
        ready.fd = socket_;
        ready.events = state == TlsStep::State::kWaitReadable ? POLLIN : POLLOUT;
        const int count = left.count() <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left.count()));
        if (count == 0) {
            return make_error(
                ErrorCode::kUnavailable,
                "no TLS with {}:{} within {} ms; does a StepDB server with TLS listen "
                "there?",
                options_.host, options_.port, options_.connect_time_max.count());
        }
    }
}

Status ClientConnection::say_hello() {
    HelloMessage hello;
    hello.writer = options_.writer;
    hello.token = options_.token;
    hello.client = options_.name;
    TRY(send(encode_hello(hello)));
    while (!said_hello_) {
        const Result<bool> answered = wait(options_.silence_time_max);
        const bool is_silent = answered && !*answered;
        if (!has_heard_ && (is_silent || !answered)) {
            return make_error(ErrorCode::kUnavailable,
                              "{}:{} does not answer as a StepDB server does; does another program "
                              "listen there? ({})",
                              options_.host, options_.port,
                              is_silent ? "it is silent" : answered.error().message());
        }
        if (!answered) {
            return answered.error();
        }
    }
    return {};
}

Error ClientConnection::fail(Error error) {
    failed_ = std::move(error);
    if (socket_ >= 0) {
        close(std::exchange(socket_, -1));
    }
    return *failed_;
}

Error ClientConnection::lost(const std::string& why) {
    return fail(make_error(ErrorCode::kUnavailable, "connection to {}:{} lost: {}", options_.host,
                           options_.port, why));
}

// --- Bytes ---

Status ClientConnection::send(Bytes bytes) {
    if (failed_) {
        return *failed_;
    }
    // Much goes out of the caller's memory, as far as the socket takes it.
    if (unsent_bytes_ == 0 && bytes.size() >= kSendBytes) {
        TRY_ASSIGN(const size_t sent, send_some(bytes));
        bytes = bytes.subspan(sent);
    }
    if (bytes.empty()) {
        return {};
    }
    if (unsent_.empty() || unsent_.back().own.empty() || unsent_.back().own.size() >= kSendBytes) {
        unsent_.emplace_back();
    }
    Unsent& last = unsent_.back();
    last.own.insert(last.own.end(), bytes.begin(), bytes.end());
    last.bytes = last.own;
    unsent_bytes_ += bytes.size();
    return {};
}

void ClientConnection::send_later(Bytes bytes) {
    unsent_.emplace_back();
    unsent_.back().bytes = bytes;
    unsent_bytes_ += bytes.size();
}

Result<size_t> ClientConnection::send_some(Bytes bytes) {
    size_t taken = 0;
    if (tls_ != nullptr) {
        const TlsStep step = tls_->write(bytes);
        if (step.state == TlsStep::State::kEnded || step.state == TlsStep::State::kFailed) {
            return lost(tls_->why());
        }
        return step.bytes;
    }
    while (taken < bytes.size()) {
        const ssize_t count =
            ::send(socket_, bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EAGAIN) {
            break;
        }
        if (count < 0) {
            // The server may have said why before it closed.
            const int number = errno;
            bool got_bytes = true;
            while (got_bytes && !failed_) {
                TRY(read_some(got_bytes));
            }
            return lost(error_text(number));
        }
        taken += static_cast<size_t>(count);
    }
    return taken;
}

Status ClientConnection::write_some_tls() {
    while (unsent_bytes_ > 0) {
        const Bytes bytes = unsent_.front().bytes.subspan(front_sent_);
        TRY_ASSIGN(const size_t sent, send_some(bytes));
        unsent_bytes_ -= sent;
        front_sent_ += sent;
        if (sent < bytes.size()) {
            return {};
        }
        front_sent_ = 0;
        unsent_.pop_front();
    }
    return {};
}

Status ClientConnection::write_some() {
    if (tls_ != nullptr) {
        return write_some_tls();
    }
    constexpr size_t kPiecesMax = 64;
    while (unsent_bytes_ > 0) {
        std::array<iovec, kPiecesMax> pieces;
        size_t count = 0;
        size_t wanted = 0;
        for (size_t skipped = front_sent_; count < std::min(unsent_.size(), kPiecesMax);
             skipped = 0, ++count) {
            const Bytes bytes = unsent_[count].bytes.subspan(skipped);
            // The system's type is not const; it only reads.
            pieces[count].iov_base = const_cast<std::byte*>(bytes.data());
            pieces[count].iov_len = bytes.size();
            wanted += bytes.size();
        }
        msghdr message = {};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        const ssize_t sent = sendmsg(socket_, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return {};
        }
        if (sent < 0) {
            // As in send_some, which also tells what the server said last.
            const Result<size_t> again = send_some(unsent_.front().bytes.subspan(front_sent_));
            return again ? lost("the socket takes nothing more") : again.error();
        }
        unsent_bytes_ -= static_cast<size_t>(sent);
        front_sent_ += static_cast<size_t>(sent);
        while (!unsent_.empty() && front_sent_ >= unsent_.front().bytes.size()) {
            front_sent_ -= unsent_.front().bytes.size();
            unsent_.pop_front();
        }
        if (static_cast<size_t>(sent) < wanted) {
            return {};  // it is full
        }
    }
    return {};
}

ssize_t ClientConnection::receive(MutableBytes space) {
    if (tls_ == nullptr) {
        return recv(socket_, space.data(), space.size(), 0);
    }
    const TlsStep step = tls_->read(space);
    tls_wants_write_ = step.state == TlsStep::State::kWaitWritable;
    switch (step.state) {
        case TlsStep::State::kDone:
            return static_cast<ssize_t>(step.bytes);
        case TlsStep::State::kEnded:
            return 0;
        case TlsStep::State::kFailed:
            errno = EPROTO;
            return -1;
        default:
            errno = EAGAIN;
            return -1;
    }
}

Status ClientConnection::read_some(bool& got_bytes) {
    const MutableBytes space = stream_.prepare();
    const ssize_t bytes = receive(space);
    got_bytes = bytes > 0;
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
        stream_.commit(0);
        return {};
    }
    if (bytes <= 0) {
        const bool is_tls = bytes < 0 && errno == EPROTO && tls_ != nullptr;
        return lost(bytes == 0 ? "the server closed it" : is_tls ? tls_->why() : error_text(errno));
    }
    stream_.commit(static_cast<size_t>(bytes));
    received_bytes_ += static_cast<uint64_t>(bytes);
    for (;;) {
        Result<std::optional<ReceivedFrame>> next = stream_.next();
        if (!next) {
            return fail(next.error().within("answer of the server"));
        }
        if (!next->has_value()) {
            return {};
        }
        const Status handled = handle(**next);
        if (!handled) {
            return failed_ ? *failed_ : fail(handled.error());
        }
    }
}

Status ClientConnection::poll() {
    if (failed_) {
        return *failed_;
    }
    TRY(write_some());
    bool got_bytes = true;
    while (got_bytes) {
        TRY(read_some(got_bytes));
    }
    return {};
}

Result<bool> ClientConnection::wait(std::chrono::microseconds time_max, int wake) {
    if (failed_) {
        return *failed_;
    }
    TRY(write_some());
    if (tls_ != nullptr && tls_->has_pending()) {
        bool got_bytes = false;
        TRY(read_some(got_bytes));
        return true;
    }
    std::array<pollfd, 2> ready = {};
    ready[0].fd = socket_;
    const bool wants_write = unsent_bytes_ != 0 || tls_wants_write_;
    ready[0].events = static_cast<short>(POLLIN | (wants_write ? POLLOUT : 0));
    ready[1].fd = wake;  // none if negative
    ready[1].events = POLLIN;
    const timespec limit = to_timespec(time_max);
    const int count = ppoll(ready.data(), ready.size(), &limit, nullptr);
    if (count < 0 && errno != EINTR) {
        return lost(error_text(errno));
    }
    if (count <= 0) {
        return count < 0;  // interrupted: as good as ready, the caller looks again
    }
    if ((ready[0].revents & POLLOUT) != 0) {
        TRY(write_some());
    }
    if ((ready[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        bool got_bytes = false;
        TRY(read_some(got_bytes));
    }
    return true;
}

// --- What comes ---

Status ClientConnection::handle(const ReceivedFrame& frame) {
    has_heard_ = true;
    const Bytes body = frame_body(frame.bytes);
    switch (frame.header.type) {
        case FrameType::kHelloOk: {
            TRY_ASSIGN(server_, HelloOkMessage::decode(body));
            said_hello_ = true;
            return {};
        }
        case FrameType::kAck: {
            TRY_ASSIGN(const AckMessage ack, AckMessage::decode(body));
            TRY(check_ordinal(frame));
            events_.on_ack(frame.header.number, ack.late_rows);
            return {};
        }
        case FrameType::kRunOpened: {
            TRY_ASSIGN(const RunOpened opened, decode_run_opened(body));
            TRY(check_ordinal(frame));
            events_.on_opened(frame.header.number, opened);
            return {};
        }
        case FrameType::kError:
            return handle_error(frame);
        case FrameType::kResultColumns:
        case FrameType::kResultBlock:
        case FrameType::kResultEnd:
        case FrameType::kResultUpdate:
            return events_.on_answer(frame);
        default:
            return make_error(ErrorCode::kInvalidArgument,
                              "the server sent {}, which no client can take",
                              frame_type_name(frame.header.type));
    }
}

// An outcome is one of a frame that was sent.
Status ClientConnection::check_ordinal(const ReceivedFrame& frame) const {
    const uint64_t ordinal = frame.header.number;
    if (ordinal == 0 || ordinal > changes_) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the server sent {} for frame {} of this connection, which has sent {}",
                          frame_type_name(frame.header.type), ordinal, changes_);
    }
    return {};
}

Status ClientConnection::handle_error(const ReceivedFrame& frame) {
    TRY_ASSIGN(ErrorMessage error, ErrorMessage::decode(frame_body(frame.bytes)));
    switch (error.scope) {
        case ErrorScope::kConnection:
        case ErrorScope::kFrame:
            return error.to_error().within(
                fmt::format("server {}:{}", options_.host, options_.port));
        case ErrorScope::kChange:
            TRY(check_ordinal(frame));
            events_.on_refused(frame.header.number, std::move(error));
            return {};
        case ErrorScope::kRequest:
            events_.on_request_failed(frame.header.number, error.to_error());
            return {};
    }
    return {};
}

}  // namespace stepdb
