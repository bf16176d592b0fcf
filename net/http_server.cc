#include "net/http_server.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "net/http_stream.h"
#include "net/network_of.h"

namespace stepdb {

namespace {

namespace http = boost::beast::http;
using HttpStatus = boost::system::error_code;
using HttpTime = std::chrono::milliseconds;

constexpr int kListenBacklog = 4096;
// How long a connection that was told an error is drained, so that the error is not lost to a
// reset.
constexpr HttpTime kHttpLingerMax = std::chrono::seconds(2);
constexpr HttpTime kAcceptRetryAfter{500};

// "localhost:7421", "[::1]:7421", "127.0.0.1": what stands before the port.
std::string host_name(std::string_view host) {
    if (host.starts_with('[')) {
        return std::string(host.substr(1, host.find(']') - 1));
    }
    return std::string(host.substr(0, host.find(':')));
}

bool is_name_of_this_machine(std::string_view host) {
    const std::string name = host_name(host);
    HttpStatus status;
    boost::asio::ip::make_address(name, status);
    return name.empty() || name == "localhost" || !status;
}

std::string bearer_of(std::string_view authorization) {
    constexpr std::string_view kBearer = "bearer ";
    const bool is_bearer =
        authorization.size() > kBearer.size() &&
        std::ranges::equal(authorization.substr(0, kBearer.size()), kBearer,
                           [](char given, char wanted) { return (given | 0x20) == wanted; });
    return is_bearer ? std::string(authorization.substr(kBearer.size())) : std::string();
}

// What Beast's parser says of a request that is none; nothing if the connection has failed.
std::optional<HttpResponse> describe_bad_request(const HttpStatus& status) {
    if (status == http::error::header_limit || status == http::error::buffer_overflow) {
        return HttpResponse(431, "the head of the request is longer than 8 KiB\n");
    }
    if (status == http::error::body_limit) {
        return HttpResponse(413, "the body of the request is longer than 64 KiB\n");
    }
    if (status.category() != make_error_code(http::error::bad_method).category() ||
        status == http::error::end_of_stream || status == http::error::partial_message) {
        return std::nullopt;
    }
    return HttpResponse(400, "this is no HTTP request: " + status.message() + "\n");
}

class HttpConnection;

class BeastServer final : public HttpServer {
  public:
    BeastServer(boost::asio::io_context& context, HttpOptions options)
        : options_(std::move(options)), acceptor_(context), retry_(context) {}

    Status open() { return listen_on(acceptor_, options_.host, options_.port); }

    std::string host() const override { return endpoint().address().to_string(); }
    uint16_t port() const override { return endpoint().port(); }
    void serve(const HttpRoutes& routes, std::function<bool()> is_open) override {
        routes_ = &routes;
        is_open_ = std::move(is_open);
        accept_next();
    }
    void stop() override;
    HttpCounts counts() const override {
        HttpCounts counts = counts_;
        counts.connections = connections_.size();
        return counts;
    }

    const HttpOptions& options() const { return options_; }
    const HttpRoutes& routes() const { return *routes_; }
    bool is_open() const { return is_open_(); }
    void count_answer(unsigned status) {
        ++counts_.requests;
        counts_.failures += status >= 400 ? 1U : 0U;
    }
    void on_closed(const std::shared_ptr<HttpConnection>& connection,
                   const boost::asio::ip::address& network) {
        connections_.erase(connection);
        networks_.remove(network);
    }

  private:
    boost::asio::ip::tcp::endpoint endpoint() const {
        HttpStatus ignored;
        return acceptor_.local_endpoint(ignored);
    }
    void accept_next();
    void on_accepted(boost::asio::ip::tcp::socket socket);

    HttpOptions options_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    const HttpRoutes* routes_ = nullptr;
    std::function<bool()> is_open_;
    std::set<std::shared_ptr<HttpConnection>> connections_;
    NetworkCounts networks_;
    HttpCounts counts_;
};

// One request after the other, each answered before the next is read.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
  public:
    HttpConnection(BeastServer& server, boost::asio::ip::tcp::socket socket,
                   const boost::asio::ip::address& network)
        : server_(server),
          network_(network),
          stream_(std::move(socket)),
          deadline_(stream_.get_executor()) {}

    Status use_tls(const TlsContext& context) { return stream_.use_tls(context); }
    void start() { read_next(server_.options().request_time_max); }
    void close();

  private:
    void set_deadline(HttpTime time);
    void read_next(HttpTime time);
    void read_request();
    void on_read(const HttpStatus& status);
    void handle(http::request<http::string_body> request);
    void answer(HttpResponse response);
    void on_written(const HttpStatus& status);
    void drain();

    BeastServer& server_;
    const boost::asio::ip::address network_;
    HttpStream stream_;
    boost::asio::steady_timer deadline_;
    boost::beast::flat_buffer buffer_{kHttpHeadBytesMax + kHttpBodyBytesMax};
    std::optional<http::request_parser<http::string_body>> parser_;
    std::optional<http::response<http::string_body>> response_;
    unsigned version_ = 11;
    bool is_head_ = false;
    bool keeps_alive_ = false;
    bool is_answering_ = false;
    bool is_closed_ = false;
};

void HttpConnection::set_deadline(HttpTime time) {
    deadline_.expires_after(time);
    deadline_.async_wait([weak = weak_from_this()](const HttpStatus& status) {
        const std::shared_ptr<HttpConnection> self = weak.lock();
        if (!status && self != nullptr) {
            self->close();
        }
    });
}

void HttpConnection::read_next(HttpTime time) {
    parser_.emplace();
    parser_->header_limit(kHttpHeadBytesMax);
    parser_->body_limit(kHttpBodyBytesMax);
    response_.reset();
    set_deadline(time);
    if (buffer_.size() != 0) {
        return read_request();
    }
    stream_.async_wait_readable([self = shared_from_this()](const HttpStatus& status) {
        if (!status && !self->is_closed_) {
            self->read_request();
        }
    });
}

// From its first byte on the request has its time.
void HttpConnection::read_request() {
    set_deadline(server_.options().request_time_max);
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](const HttpStatus& read, size_t) { self->on_read(read); });
}

void HttpConnection::on_read(const HttpStatus& status) {
    if (is_closed_) {
        return;
    }
    set_deadline(server_.options().answer_time_max);
    is_answering_ = true;
    if (!status) {
        return handle(parser_->release());
    }
    keeps_alive_ = false;
    is_head_ = false;
    std::optional<HttpResponse> response = describe_bad_request(status);
    if (!response) {
        return close();
    }
    answer(*std::move(response));
}

void HttpConnection::handle(http::request<http::string_body> request) {
    version_ = request.version();
    is_head_ = request.method() == http::verb::head;
    keeps_alive_ = request.keep_alive();
    const std::string_view host(request[http::field::host]);
    if (server_.is_open() && !is_name_of_this_machine(host)) {
        return answer(HttpResponse(
            403,
            "without tokens this server answers to the names of its own machine alone, such "
            "as localhost; ask for http://127.0.0.1\n"));
    }
    HttpRequest asked;
    asked.method = std::string(request.method_string());
    const std::string_view target(request.target());
    const size_t mark = std::min(target.find('?'), target.size());
    asked.path = std::string(target.substr(0, mark));
    asked.query = std::string(target.substr(std::min(mark + 1, target.size())));
    asked.token = bearer_of(std::string_view(request[http::field::authorization]));
    asked.body = std::move(request.body());
    server_.routes().handle(asked, [weak = weak_from_this()](HttpResponse response) {
        if (const std::shared_ptr<HttpConnection> self = weak.lock()) {
            self->answer(std::move(response));
        }
    });
}

void HttpConnection::answer(HttpResponse response) {
    if (is_closed_ || !std::exchange(is_answering_, false)) {
        return;
    }
    server_.count_answer(response.status);
    response_.emplace(static_cast<http::status>(response.status), version_);
    response_->set(http::field::content_type, response.type);
    response_->set(http::field::cache_control, "no-store");
    response_->set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.fields) {
        response_->set(name, value);
    }
    response_->keep_alive(keeps_alive_);
    response_->content_length(response.body.size());
    if (!is_head_) {
        response_->body() = std::move(response.body);
    }
    http::async_write(stream_, *response_,
                      [self = shared_from_this()](const HttpStatus& status, size_t) {
                          self->on_written(status);
                      });
}

void HttpConnection::on_written(const HttpStatus& status) {
    if (is_closed_) {
        return;
    }
    if (status) {
        return close();
    }
    if (keeps_alive_) {
        return read_next(server_.options().idle_time_max);
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
    HttpStatus ignored;
    stream_.socket().close(ignored);
    server_.on_closed(shared_from_this(), network_);
}

void BeastServer::accept_next() {
    acceptor_.async_accept([this](const HttpStatus& status, boost::asio::ip::tcp::socket socket) {
        if (status == boost::asio::error::operation_aborted) {
            return;
        }
        if (!status) {
            on_accepted(std::move(socket));
            return accept_next();
        }
        // Out of descriptors, which others give back.
        retry_.expires_after(kAcceptRetryAfter);
        retry_.async_wait([this](const HttpStatus& waited) {
            if (!waited) {
                accept_next();
            }
        });
    });
}

void BeastServer::on_accepted(boost::asio::ip::tcp::socket socket) {
    HttpStatus status;
    const boost::asio::ip::address network = network_of(socket.remote_endpoint(status).address());
    const size_t from_there = networks_.add(network);
    if (status || connections_.size() >= options_.connections_max ||
        from_there > options_.address_connections_max) {
        networks_.remove(network);
        ++counts_.refused;
        return;
    }
    const auto connection = std::make_shared<HttpConnection>(*this, std::move(socket), network);
    if (options_.tls != nullptr && !connection->use_tls(options_.tls->context())) {
        networks_.remove(network);  // no memory for it
        ++counts_.refused;
        return;
    }
    connections_.insert(connection);
    connection->start();
}

void BeastServer::stop() {
    HttpStatus ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    const std::set<std::shared_ptr<HttpConnection>> all = connections_;
    for (const auto& connection : all) {
        connection->close();
    }
}

}  // namespace

Status listen_on(boost::asio::ip::tcp::acceptor& acceptor, const std::string& host, uint16_t port) {
    HttpStatus status;
    const auto address = boost::asio::ip::make_address(host, status);
    if (status) {
        return make_error(ErrorCode::kInvalidArgument,
                          "cannot listen on '{}': not an IP address (such as 127.0.0.1 or ::)",
                          host);
    }
    const boost::asio::ip::tcp::endpoint endpoint(address, port);
    acceptor.open(endpoint.protocol(), status);
    if (!status) {
        acceptor.set_option(boost::asio::socket_base::reuse_address(true), status);
    }
    if (!status) {
        acceptor.bind(endpoint, status);
    }
    if (!status) {
        acceptor.listen(kListenBacklog, status);
    }
    if (status) {
        return make_error(ErrorCode::kIoError, "cannot listen on {} port {}: {}", host, port,
                          status.message());
    }
    return {};
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(boost::asio::io_context& context,
                                                       HttpOptions options) {
    auto server = std::make_unique<BeastServer>(context, std::move(options));
    TRY(server->open());
    return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace stepdb
