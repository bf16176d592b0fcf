#include "net/client.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// Small frames gather to this before they are sent, so that a row a frame costs no system call.
constexpr size_t kSendBytes = 64U << 10U;

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

}  // namespace

Result<std::unique_ptr<Client>> Client::connect(ClientOptions options) {
    std::unique_ptr<Client> client(new Client(std::move(options)));
    TRY(client->open_socket());
    TRY(client->say_hello());
    return client;
}

Client::~Client() {
    if (socket_ >= 0) {
        close(socket_);
    }
}

Status Client::open_socket() {
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
        const int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && ::connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            socket_ = fd;
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            // The flags are a variable argument of the system's.
            fcntl(fd, F_SETFL, O_NONBLOCK);
            return {};
        }
        refused = errno;
        if (fd >= 0) {
            close(fd);
        }
    }
    return make_error(ErrorCode::kUnavailable,
                      "cannot connect to {}:{}: {} (is `stepdb serve` running there?)",
                      options_.host, options_.port, error_text(refused));
}

Status Client::say_hello() {
    HelloMessage hello;
    hello.writer = options_.writer;
    hello.token = options_.token;
    hello.client = options_.name;
    TRY(queue(encode_hello(hello)));
    while (!said_hello_) {
        const Status answered = wait();
        if (!answered && !has_heard_) {
            return make_error(ErrorCode::kUnavailable,
                              "{}:{} does not answer as a StepDB server does; does another program "
                              "listen there? ({})",
                              options_.host, options_.port, answered.error().message());
        }
        TRY(answered);
    }
    return {};
}

Error Client::fail(Error error) {
    failed_ = std::move(error);
    if (socket_ >= 0) {
        close(std::exchange(socket_, -1));
    }
    return *failed_;
}

// --- Bytes ---

Status Client::queue(Bytes bytes) {
    if (failed_) {
        return *failed_;
    }
    if (unsent_from_ > unsent_.size() / 2) {
        unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(unsent_from_));
        unsent_from_ = 0;
    }
    // A large frame goes out of the caller's memory, as far as the socket takes it.
    if (unsent_.empty() && bytes.size() >= kSendBytes) {
        TRY_ASSIGN(const size_t sent, send_some(bytes));
        bytes = bytes.subspan(sent);
    }
    unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
    return {};
}

Result<size_t> Client::send_some(Bytes bytes) {
    size_t taken = 0;
    while (taken < bytes.size()) {
        const ssize_t count =
            send(socket_, bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL);
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
            return fail(make_error(ErrorCode::kUnavailable, "connection to {}:{} lost: {}",
                                   options_.host, options_.port, error_text(number)));
        }
        taken += static_cast<size_t>(count);
    }
    return taken;
}

Status Client::write_some() {
    TRY_ASSIGN(const size_t sent, send_some(Bytes(unsent_).subspan(unsent_from_)));
    unsent_from_ += sent;
    if (unsent_from_ == unsent_.size()) {
        unsent_.clear();
        unsent_from_ = 0;
    }
    return {};
}

Status Client::read_some(bool& got_bytes) {
    const MutableBytes space = stream_.prepare();
    const ssize_t bytes = recv(socket_, space.data(), space.size(), 0);
    got_bytes = bytes > 0;
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
        stream_.commit(0);
        return {};
    }
    if (bytes <= 0) {
        return fail(make_error(ErrorCode::kUnavailable, "connection to {}:{} lost: {}",
                               options_.host, options_.port,
                               bytes == 0 ? "the server closed it" : error_text(errno)));
    }
    stream_.commit(static_cast<size_t>(bytes));
    for (;;) {
        Result<std::optional<ReceivedFrame>> next = stream_.next();
        if (!next) {
            return fail(next.error().within("answer of the server"));
        }
        if (!next->has_value()) {
            return {};
        }
        TRY(handle(**next));
    }
}

Status Client::wait() {
    TRY_ASSIGN(const bool is_ready, wait_until_ready(options_.silence_time_max));
    if (!is_ready) {
        return fail(make_error(ErrorCode::kUnavailable, "{}:{} did not answer for {} ms",
                               options_.host, options_.port, options_.silence_time_max.count()));
    }
    return {};
}

Status Client::wait_for(std::chrono::microseconds time_max) {
    const Result<bool> is_ready = wait_until_ready(time_max);
    return is_ready ? Status() : Status(is_ready.error());
}

Result<bool> Client::wait_until_ready(std::chrono::microseconds time_max) {
    if (failed_) {
        return *failed_;
    }
    TRY(write_some());
    pollfd ready = {};
    ready.fd = socket_;
    ready.events = static_cast<short>(POLLIN | (unsent_.empty() ? 0 : POLLOUT));
    timespec limit = {};
    limit.tv_sec = time_max.count() / 1'000'000;
    limit.tv_nsec = time_max.count() % 1'000'000 * 1000;
    const int count = ppoll(&ready, 1, &limit, nullptr);
    if (count < 0 && errno != EINTR) {
        return fail(make_error(ErrorCode::kUnavailable, "connection to {}:{} lost: {}",
                               options_.host, options_.port, error_text(errno)));
    }
    if (count <= 0) {
        return count < 0;  // interrupted: as good as ready, the caller looks again
    }
    if ((ready.revents & POLLOUT) != 0) {
        TRY(write_some());
    }
    if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        bool got_bytes = false;
        TRY(read_some(got_bytes));
    }
    return true;
}

Status Client::poll() {
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

Status Client::send_bytes(Bytes bytes) {
    TRY(queue(bytes));
    return poll();
}

// --- Changes ---

Result<uint64_t> Client::send_change(Bytes frame) {
    TRY(queue(frame));
    ++sent_;
    unanswered_.push_back(frame.size());
    unanswered_bytes_ += frame.size();
    if (frame.size() >= kSendBytes || unsent_.size() - unsent_from_ >= kSendBytes) {
        TRY(poll());
    }
    while (unanswered_bytes_ > options_.unanswered_bytes_max) {
        TRY(wait());
    }
    return sent_;
}

Status Client::define_schema(std::string_view project, const Schema& schema) {
    for (const auto& frame : encode_schema_frames(project, schema)) {
        const Result<uint64_t> sent = send_change(frame);
        if (!sent) {
            return sent.error();
        }
    }
    return {};
}

Result<ClientRun> Client::open_run(std::string_view project, std::string_view run, uint8_t mode,
                                   uint64_t first_number) {
    OpenRunFrame open;
    open.mode = mode;
    open.first_number = first_number;
    open.project = project;
    open.run = run;
    return this->open(open);
}

Result<ClientRun> Client::fork_run(std::string_view project, std::string_view run,
                                   std::string_view parent, double fork_step) {
    OpenRunFrame open;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.project = project;
    open.run = run;
    open.parent = parent;
    open.fork_step = fork_step;
    return this->open(open);
}

Result<ClientRun> Client::open(OpenRunFrame open) {
    open.handle = next_handle_++;
    opening_ = sent_ + 1;
    TRY_ASSIGN(const uint64_t ordinal, send_change(encode_open_run_frame(open)));
    while (!opened_.contains(ordinal)) {
        TRY(wait());
    }
    opening_.reset();
    const Result<RunOpened> outcome = std::move(opened_.extract(ordinal).mapped());
    TRY_ASSIGN(const RunOpened opened, outcome);
    ClientRun made;
    made.handle = open.handle;
    made.attempt = opened.attempt;
    made.run = opened.run;
    made.next_number = std::max(open.first_number, opened.last_number + 1);
    made.created = opened.created;
    return made;
}

Result<uint64_t> Client::send_rows(ClientRun& run, RowsBuilder& rows, bool compress) {
    return send_change(rows.finish(run.handle, run.attempt, run.next_number++, compress));
}

Result<uint64_t> Client::finish_run(ClientRun& run, RunState state) {
    FinishRunFrame finish;
    finish.handle = run.handle;
    finish.attempt = run.attempt;
    finish.state = state;
    return send_change(encode_finish_run_frame(finish, run.next_number++));
}

Result<FlushReport> Client::flush() {
    // A server that stops answers everything and then says so: what it answered counts.
    Status status = poll();
    while (!unanswered_.empty()) {
        TRY(status);
        status = wait();
    }
    return std::exchange(report_, FlushReport());
}

// --- Queries ---

Result<QueryEnd> Client::query(std::string_view text, const AnswerHandler& handler,
                               const QueryParameters& parameters) {
    if (text.size() > kQueryTextBytesMax) {
        return make_error(ErrorCode::kInvalidArgument, "query of {} bytes; at most {} are allowed",
                          text.size(), kQueryTextBytesMax);
    }
    query_.emplace();
    query_->request = next_request_++;
    query_->handler = &handler;
    TRY(queue(encode_query(text, query_->request, parameters)));
    while (!query_->outcome) {
        TRY(wait());
        if (!query_->outcome && !query_->is_cancelled && handler.should_stop &&
            handler.should_stop()) {
            query_->is_cancelled = true;
            TRY(queue(encode_cancel(query_->request)));
        }
    }
    Result<QueryEnd> outcome = std::move(*query_->outcome);
    query_.reset();
    return outcome;
}

// --- What comes ---

Status Client::handle(const ReceivedFrame& frame) {
    has_heard_ = true;
    switch (frame.header.type) {
        case FrameType::kHelloOk: {
            Result<HelloOkMessage> hello = HelloOkMessage::decode(frame_body(frame.bytes));
            if (!hello) {
                return fail(hello.error());
            }
            server_ = std::move(hello).value();
            said_hello_ = true;
            return {};
        }
        case FrameType::kAck:
            return handle_ack(frame);
        case FrameType::kRunOpened: {
            const Result<RunOpened> opened = decode_run_opened(frame_body(frame.bytes));
            if (!opened) {
                return fail(opened.error());
            }
            if (opening_ == frame.header.number) {
                opened_.emplace(frame.header.number, opened);
            }
            return {};
        }
        case FrameType::kError:
            return handle_error(frame);
        case FrameType::kResultColumns:
        case FrameType::kResultBlock:
        case FrameType::kResultEnd:
            return handle_answer(frame);
        default:
            return fail(make_error(ErrorCode::kInvalidArgument,
                                   "the server sent {}, which no "
                                   "client can take",
                                   frame_type_name(frame.header.type)));
    }
}

void Client::settle(uint64_t ordinal) {
    uint64_t first = sent_ - unanswered_.size() + 1;
    for (; first <= ordinal && !unanswered_.empty(); ++first) {
        unanswered_bytes_ -= unanswered_.front();
        unanswered_.pop_front();
    }
}

Status Client::handle_ack(const ReceivedFrame& frame) {
    const Result<AckMessage> ack = AckMessage::decode(frame_body(frame.bytes));
    if (!ack) {
        return fail(ack.error());
    }
    settle(frame.header.number);
    report_.late_rows += ack->late_rows;
    return {};
}

Status Client::handle_error(const ReceivedFrame& frame) {
    Result<ErrorMessage> error = ErrorMessage::decode(frame_body(frame.bytes));
    if (!error) {
        return fail(error.error());
    }
    const uint64_t number = frame.header.number;
    switch (error->scope) {
        case ErrorScope::kConnection:
        case ErrorScope::kFrame:
            return fail(error->to_error().within(
                fmt::format("server {}:{}", options_.host, options_.port)));
        case ErrorScope::kChange:
            settle(number);
            if (opening_ == number) {
                opened_.emplace(number, error->to_error());
                return {};
            }
            ++report_.refused_frames;
            if (report_.refused.size() < FlushReport::kRefusedKept) {
                report_.refused.emplace_back(number, std::move(error).value());
            }
            return {};
        case ErrorScope::kRequest:
            if (query_ && query_->request == number) {
                query_->outcome = error->to_error();
            }
            return {};
    }
    return {};
}

Status Client::handle_answer(const ReceivedFrame& frame) {
    if (!query_ || query_->request != frame.header.number) {
        return {};
    }
    const Bytes body = frame_body(frame.bytes);
    if (frame.header.type == FrameType::kResultColumns) {
        Result<std::vector<ResultColumn>> columns = decode_result_columns(body);
        if (!columns) {
            return fail(columns.error());
        }
        query_->columns = std::move(columns).value();
        if (query_->handler->on_columns) {
            query_->handler->on_columns(query_->columns);
        }
    } else if (frame.header.type == FrameType::kResultBlock) {
        const Result<ResultBlock> block = decode_result_block(body, query_->columns);
        if (!block) {
            return fail(block.error());
        }
        if (!query_->is_cancelled && query_->handler->on_block &&
            !query_->handler->on_block(*block)) {
            query_->is_cancelled = true;
            return queue(encode_cancel(query_->request));
        }
    } else {
        Result<QueryEnd> end = QueryEnd::decode(body);
        if (!end) {
            return fail(end.error());
        }
        query_->outcome = std::move(end);
    }
    return {};
}

}  // namespace stepdb
