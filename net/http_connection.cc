#include "net/http_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include <algorithm>
#include <array>

#include "engine/base/text.h"

namespace stepdb {

namespace {

namespace http = boost::beast::http;

// How long a connection that was told an error is drained, so that the error is not lost to a
// reset.
constexpr std::chrono::milliseconds kHttpLingerMax = std::chrono::seconds(2);
// While an answer is computed: between looks whether its asker is still there.
constexpr std::chrono::milliseconds kPeerLookEvery{200};
// Who sends slower than that is not waited for.
constexpr uint64_t kBodyBytesPerSecondMin = 256U << 10U;
constexpr uint64_t kAnyBodyBytesMax = 1U << 30U;

// "localhost:7421", "[::1]:7421", "127.0.0.1": what stands before the port.
std::string host_name(std::string_view host) {
    if (host.starts_with('[')) {
        return std::string(host.substr(1, host.find(']') - 1));
    }
    return std::string(host.substr(0, host.find(':')));
}

bool is_name_of_this_machine(std::string_view host) {
    const std::string name = host_name(host);
    boost::system::error_code status;
    boost::asio::ip::make_address(name, status);
    return name.empty() || name == "localhost" || !status;
}

bool is_of_this_machine(const boost::asio::ip::tcp::socket& socket) {
    boost::system::error_code status;
    const boost::asio::ip::address peer = socket.remote_endpoint(status).address();
    const bool is_mapped = peer.is_v6() && peer.to_v6().is_v4_mapped();
    return is_mapped ? make_address_v4(boost::asio::ip::v4_mapped, peer.to_v6()).is_loopback()
                     : peer.is_loopback();
}

bool is_same_word(std::string_view given, std::string_view wanted) {
    return std::ranges::equal(given, wanted, [](char its, char want) {
        return (its >= 'A' && its <= 'Z' ? its + 32 : its) == want;
    });
}

std::string bearer_of(std::string_view authorization) {
    constexpr std::string_view kBearer = "bearer ";
    const bool is_bearer = authorization.size() > kBearer.size() &&
                           is_same_word(authorization.substr(0, kBearer.size()), kBearer);
    return is_bearer ? std::string(authorization.substr(kBearer.size())) : std::string();
}

// Whether `Accept-Encoding` names gzip, and not with a weight of 0.
bool takes_gzip(std::string_view accepted) {
    while (!accepted.empty()) {
        const size_t comma = std::min(accepted.find(','), accepted.size());
        const std::string_view one = accepted.substr(0, comma);
        accepted.remove_prefix(std::min(comma + 1, accepted.size()));
        const std::string_view name = trim(one.substr(0, one.find(';')));
        const size_t weight = one.find("q=");
        const bool is_refused = weight != std::string_view::npos &&
                                one.find_first_not_of("0. ", weight + 2) == std::string_view::npos;
        if (is_same_word(name, "gzip") || name == "*") {
            return !is_refused;
        }
    }
    return false;
}

// A page of another site may make a browser send a request, and then says so: whoever may read what
// comes of that, it may have changed something. `Origin` is a scheme, `://` and what `Host` says.
bool is_of_other_site(std::string_view origin, std::string_view host) {
    const size_t scheme = origin.find("://");
    return !origin.empty() &&
           (scheme == std::string_view::npos || origin.substr(scheme + 3) != host);
}

// What Beast's parser says of a request that is none; nothing if the connection has failed.
std::optional<HttpResponse> describe_bad_request(const boost::system::error_code& status) {
    if (status == http::error::header_limit || status == http::error::buffer_overflow) {
        return HttpResponse(431, "the head of the request is longer than 8 KiB\n");
    }
    if (status == http::error::body_limit) {
        return HttpResponse(413, "the body of the request is too long\n");
    }
    if (status.category() != make_error_code(http::error::bad_method).category() ||
        status == http::error::end_of_stream || status == http::error::partial_message) {
        return std::nullopt;
    }
    return HttpResponse(400, "this is no HTTP request: " + status.message() + "\n");
}

}  // namespace

HttpConnection::HttpConnection(HttpHome& home, boost::asio::ip::tcp::socket socket,
                               const boost::asio::ip::address& network)
    : home_(home),
      network_(network),
      stream_(std::move(socket)),
      deadline_(stream_.get_executor()),
      watch_(stream_.get_executor()) {}

HttpConnection::~HttpConnection() = default;

void HttpConnection::set_deadline(HttpTime time) {
    deadline_.expires_after(time);
    deadline_.async_wait([weak = weak_from_this()](const HttpStatus& status) {
        const std::shared_ptr<HttpConnection> self = weak.lock();
        if (!status && self != nullptr) {
            self->close();
        }
    });
}

// --- Requests ---

void HttpConnection::read_next(HttpTime time) {
    parser_.emplace();
    parser_->header_limit(kHttpHeadBytesMax);
    // Until the path is known.
    parser_->body_limit(kAnyBodyBytesMax);
    path_.clear();
    has_begun_ = false;
    has_ended_ = false;
    set_deadline(time);
    if (buffer_.size() != 0) {
        return read_head();
    }
    stream_.async_wait_readable([self = shared_from_this()](const HttpStatus& status) {
        if (!status && !self->is_closed_) {
            self->read_head();
        }
    });
}

// From its first byte on the request has its time.
void HttpConnection::read_head() {
    set_deadline(home_.options().request_time_max);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](const HttpStatus& read, size_t) { self->on_head(read); });
}

void HttpConnection::on_head(const HttpStatus& status) {
    if (is_closed_) {
        return;
    }
    if (status) {
        return on_read(status);
    }
    const Request& request = parser_->get();
    const std::string_view target(request.target());
    path_ = std::string(target.substr(0, target.find('?')));
    version_ = request.version();
    if (!admit_body()) {
        return;
    }
    if (is_same_word(std::string_view(request[http::field::expect]), "100-continue")) {
        out_ = "HTTP/1.1 100 Continue\r\n\r\n";
        return boost::asio::async_write(
            stream_, boost::asio::buffer(out_),
            [self = shared_from_this()](const HttpStatus& written, size_t) {
                self->out_.clear();
                if (self->is_closed_) {
                    return;
                }
                if (written) {
                    return self->close();
                }
                self->read_body();
            });
    }
    read_body();
}

// Whether so long a body may come; if not, it was answered.
bool HttpConnection::admit_body() {
    const Request& request = parser_->get();
    const HttpRoute* const route =
        home_.routes().find(std::string_view(request.method_string()), path_);
    const uint64_t most = route == nullptr ? kHttpBodyBytesMax : route->body_bytes_max;
    const auto length = parser_->content_length();
    const uint64_t bytes = length ? *length : 0;
    if (bytes > most) {
        refuse(HttpResponse(
            413, fmt::format("the body of the request is longer than {}\n", format_size(most))));
        return false;
    }
    // Whoever does not say how much comes gets no room for it.
    parser_->body_limit(length ? most : std::min<uint64_t>(most, kHttpBodyBytesMax));
    if (bytes <= kHttpBodyBytesMax) {
        return true;
    }
    if (!home_.receive().try_reserve(bytes)) {
        refuse(HttpResponse(503,
                            "the server has no room for so long a body now; send it again "
                            "later, or less at a time\n"));
        return false;
    }
    reserved_ = bytes;
    set_deadline(home_.options().request_time_max +
                 std::chrono::seconds(bytes / kBodyBytesPerSecondMin));
    return true;
}

void HttpConnection::read_body() {
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](const HttpStatus& read, size_t) { self->on_read(read); });
}

void HttpConnection::on_read(const HttpStatus& status) {
    if (is_closed_) {
        return;
    }
    if (!status) {
        set_deadline(home_.options().answer_time_max);
        is_answering_ = true;
        return handle(parser_->release());
    }
    std::optional<HttpResponse> response = describe_bad_request(status);
    if (!response) {
        return close();
    }
    refuse(*std::move(response));
}

// What has come of the request, or comes yet, is not read.
void HttpConnection::refuse(HttpResponse response) {
    set_deadline(home_.options().answer_time_max);
    is_answering_ = true;
    keeps_alive_ = false;
    is_head_ = false;
    answer(std::move(response));
}

void HttpConnection::handle(Request request) {
    is_head_ = request.method() == http::verb::head;
    keeps_alive_ = request.keep_alive();
    HttpRequest asked;
    asked.host = std::string(std::string_view(request[http::field::host]));
    if (home_.is_open() && !is_name_of_this_machine(asked.host)) {
        return answer(HttpResponse(
            403,
            "without tokens this server answers to the names of its own machine alone, such "
            "as localhost; ask for http://127.0.0.1\n"));
    }
    asked.method = std::string(std::string_view(request.method_string()));
    const bool changes_nothing =
        (asked.method == "GET" || asked.method == "HEAD") && !WebSocket::is_asked_for(request);
    const std::string_view origin(request[http::field::origin]);
    if (!changes_nothing && is_of_other_site(origin, asked.host)) {
        return answer(HttpResponse(
            403, "pages of other sites (" + printable(origin) + ") may not use this server\n"));
    }
    const std::string_view target(request.target());
    asked.path = path_;
    asked.query = std::string(target.substr(std::min(path_.size() + 1, target.size())));
    asked.token = bearer_of(std::string_view(request[http::field::authorization]));
    asked.etag = std::string(std::string_view(request[http::field::if_none_match]));
    const bool is_through_proxy =
        request.count("X-Forwarded-For") != 0 || request.count(http::field::forwarded) != 0;
    asked.wants_gzip = takes_gzip(std::string_view(request[http::field::accept_encoding])) &&
                       (is_through_proxy || !is_of_this_machine(stream_.socket()));
    asked.body = std::move(request.body());
    dispatch(std::move(asked), request);
}

void HttpConnection::dispatch(HttpRequest asked, const Request& request) {
    const HttpRoute* const route = home_.routes().find(asked.method, asked.path);
    if (route == nullptr) {
        return answer(home_.routes().describe_missing(asked.path));
    }
    if (route->socket) {
        return open_socket(*route, std::move(asked), request);
    }
    if (route->handler) {
        return route->handler(asked, [weak = weak_from_this()](HttpResponse response) {
            if (const std::shared_ptr<HttpConnection> self = weak.lock()) {
                self->answer(std::move(response));
            }
        });
    }
    deadline_.cancel();
    work_ = route->worker(std::move(asked), *this);
    watch_peer();
}

void HttpConnection::open_socket(const HttpRoute& route, HttpRequest asked,
                                 const Request& request) {
    if (!WebSocket::is_asked_for(request)) {
        HttpResponse response(426, "there is a WebSocket here, for a request that asks for one\n");
        response.fields.emplace_back("Upgrade", "websocket");
        return answer(std::move(response));
    }
    deadline_.cancel();
    is_answering_ = false;
    home_.count_answer(101);
    socket_ = WebSocket::start(
        stream_, shared_from_this(), request,
        [worker = route.socket, asked = std::move(asked)](HttpSocket& socket) {
            return worker(asked, socket);
        },
        [this] { close(); });
}

// --- The peer, while it waits ---

void HttpConnection::watch_peer() {
    watch_.expires_after(kPeerLookEvery);
    watch_.async_wait([weak = weak_from_this()](const HttpStatus& status) {
        const std::shared_ptr<HttpConnection> self = weak.lock();
        if (status || self == nullptr || self->is_closed_ || self->work_ == nullptr) {
            return;
        }
        if (self->has_peer_gone()) {
            return self->close();
        }
        self->work_->tick();
        self->watch_peer();
    });
}

// What it may have sent beyond its request lies before the end of its stream, so reading would not
// tell.
bool HttpConnection::has_peer_gone() {
    pollfd socket{stream_.socket().native_handle(), POLLRDHUP, 0};
    return ::poll(&socket, 1, 0) > 0;
}

void HttpConnection::let_work_go() {
    watch_.cancel();
    if (work_ != nullptr) {
        // Whoever called may be inside it.
        boost::asio::post(stream_.get_executor(),
                          [work = std::shared_ptr<HttpWork>(std::move(work_))] {});
    }
}

// --- Answers ---

void HttpConnection::answer(HttpResponse response) {
    std::string body = std::move(response.body);
    if (response.status >= 400 && path_.starts_with("/api/") && response.type != kJsonType) {
        response.body = std::move(body);
        response = as_api_error(std::move(response));
        body = std::move(response.body);
    }
    const size_t length = body.size();
    begin(std::move(response), length);
    put(HttpPiece(std::move(body)));
    end();
}

void HttpConnection::begin(HttpResponse head, std::optional<uint64_t> length) {
    if (is_closed_ || !std::exchange(is_answering_, false)) {
        return;
    }
    has_begun_ = true;
    home_.count_answer(head.status);
    is_chunked_ = !length && version_ >= 11;
    keeps_alive_ = keeps_alive_ && (length || is_chunked_);
    out_ = fmt::format(
        "HTTP/1.{} {} {}\r\n", version_ >= 11 ? 1 : 0, head.status,
        std::string_view(http::obsolete_reason(static_cast<http::status>(head.status))));
    const auto add = [&](std::string_view name, std::string_view value) {
        out_ += fmt::format("{}: {}\r\n", name, value);
    };
    bool is_kept = false;  // by browsers
    for (const auto& [name, value] : head.fields) {
        add(name, value);
        is_kept = is_kept || name == "Cache-Control";
    }
    if (!is_kept) {
        add("Cache-Control", "no-store");
    }
    add("Content-Type", head.type);
    add("X-Content-Type-Options", "nosniff");
    if (!keeps_alive_) {
        add("Connection", "close");
    } else if (version_ < 11) {
        add("Connection", "keep-alive");
    }
    if (head.status == 304) {
        // It is what the browser has that is as long.
    } else if (length) {
        add("Content-Length", fmt::format("{}", *length));
    } else if (is_chunked_) {
        add("Transfer-Encoding", "chunked");
    }
    out_ += "\r\n";
    write_next();
}

void HttpConnection::put(HttpPiece piece) {
    if (is_closed_ || !has_begun_ || has_ended_ || is_head_ || piece.bytes.empty()) {
        return;
    }
    unsent_ += piece.bytes.size();
    pieces_.push_back(std::move(piece));
    write_next();
}

void HttpConnection::end() {
    if (is_closed_ || !has_begun_ || std::exchange(has_ended_, true)) {
        return;
    }
    write_next();
}

void HttpConnection::write_next() {
    if (is_writing_ || is_closed_) {
        return;
    }
    if (!pieces_.empty()) {
        return write_slice();
    }
    if (has_ended_ && std::exchange(is_chunked_, false) && !is_head_) {
        out_ += "0\r\n\r\n";
    }
    if (!out_.empty()) {
        return write_out();
    }
    if (has_ended_) {
        on_answered();
    }
}

// The next bytes of the first piece, behind what goes before them.
void HttpConnection::write_slice() {
    is_writing_ = true;
    set_deadline(home_.options().answer_time_max);
    const std::string& bytes = pieces_.front().bytes;
    const size_t count = std::min(bytes.size() - written_, kHttpSliceBytes);
    if (is_chunked_) {
        out_ += fmt::format("{:x}\r\n", count);
    }
    const std::string_view after = is_chunked_ ? "\r\n" : "";
    const std::array<boost::asio::const_buffer, 3> buffers = {
        boost::asio::buffer(out_), boost::asio::buffer(bytes.data() + written_, count),
        boost::asio::buffer(after.data(), after.size())};
    boost::asio::async_write(stream_, buffers,
                             [self = shared_from_this(), count](const HttpStatus& status, size_t) {
                                 self->on_slice(status, count);
                             });
}

void HttpConnection::on_slice(const HttpStatus& status, size_t bytes) {
    is_writing_ = false;
    if (is_closed_) {
        return;
    }
    if (status) {
        return close();
    }
    out_.clear();
    written_ += bytes;
    unsent_ -= bytes;
    if (work_ != nullptr) {
        deadline_.cancel();
    }
    if (written_ == pieces_.front().bytes.size()) {
        pieces_.pop_front();
        written_ = 0;
        if (work_ != nullptr) {
            work_->on_sent();
        }
    }
    write_next();
}

void HttpConnection::write_out() {
    is_writing_ = true;
    set_deadline(home_.options().answer_time_max);
    boost::asio::async_write(stream_, boost::asio::buffer(out_),
                             [self = shared_from_this()](const HttpStatus& status, size_t) {
                                 self->is_writing_ = false;
                                 if (self->is_closed_) {
                                     return;
                                 }
                                 if (status) {
                                     return self->close();
                                 }
                                 self->out_.clear();
                                 if (self->work_ != nullptr) {
                                     self->deadline_.cancel();
                                 }
                                 self->write_next();
                             });
}

void HttpConnection::on_answered() {
    let_work_go();
    home_.receive().release(std::exchange(reserved_, 0));
    if (keeps_alive_) {
        return read_next(home_.options().idle_time_max);
    }
    // Closing a socket with unread bytes resets it, and the reset may overtake the answer.
    stream_.end_output();
    set_deadline(kHttpLingerMax);
    drain();
}

void HttpConnection::drain() {
    buffer_.clear();
    stream_.socket().async_read_some(buffer_.prepare(kHttpHeadBytesMax),
                                     [self = shared_from_this()](const HttpStatus& status, size_t) {
                                         if (status) {
                                             self->close();
                                         } else if (!self->is_closed_) {
                                             self->drain();
                                         }
                                     });
}

void HttpConnection::close() {
    if (std::exchange(is_closed_, true)) {
        return;
    }
    deadline_.cancel();
    if (work_ != nullptr) {
        work_->on_gone();
    }
    let_work_go();
    if (socket_ != nullptr) {
        socket_->abandon();
        // It holds this, and may be what calls.
        boost::asio::post(stream_.get_executor(), [socket = std::move(socket_)] {});
    }
    home_.receive().release(std::exchange(reserved_, 0));
    HttpStatus ignored;
    stream_.socket().close(ignored);
    home_.on_closed(shared_from_this(), network_);
}

}  // namespace stepdb
