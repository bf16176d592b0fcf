#include "net/http_server.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include <set>

#include "net/http_connection.h"
#include "net/network_of.h"

namespace stepdb {

namespace {

using HttpStatus = boost::system::error_code;

constexpr int kListenBacklog = 4096;
constexpr std::chrono::milliseconds kAcceptRetryAfter{500};

class BeastServer final : public HttpServer, private HttpHome {
  public:
    BeastServer(boost::asio::io_context& context, HttpOptions options)
        : options_(std::move(options)), acceptor_(context), retry_(context) {}

    Status open() { return listen_on(acceptor_, options_.host, options_.port); }

    std::string host() const override { return endpoint().address().to_string(); }
    uint16_t port() const override { return endpoint().port(); }
    void serve(const HttpRoutes& routes, FlowBudget& receive,
               std::function<bool()> is_open) override {
        routes_ = &routes;
        receive_ = &receive;
        is_open_ = std::move(is_open);
        accept_next();
    }
    void stop() override;
    HttpCounts counts() const override {
        HttpCounts counts = counts_;
        counts.connections = connections_.size();
        return counts;
    }

  private:
    HttpHome& home() { return *this; }
    const HttpOptions& options() const override { return options_; }
    const HttpRoutes& routes() const override { return *routes_; }
    bool is_open() const override { return is_open_(); }
    FlowBudget& receive() override { return *receive_; }
    void count_answer(unsigned status) override {
        ++counts_.requests;
        counts_.failures += status >= 400 ? 1U : 0U;
    }
    void on_closed(const std::shared_ptr<HttpConnection>& connection,
                   const boost::asio::ip::address& network) override {
        connections_.erase(connection);
        networks_.remove(network);
    }

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
    FlowBudget* receive_ = nullptr;
    std::function<bool()> is_open_;
    std::set<std::shared_ptr<HttpConnection>> connections_;
    NetworkCounts networks_;
    HttpCounts counts_;
};

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
    const auto connection = std::make_shared<HttpConnection>(home(), std::move(socket), network);
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
