#include "net/server.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <list>
#include <optional>
#include <unordered_map>

#include "net/connection.h"
#include "net/engine_bridge.h"
#include "net/http_ingest.h"
#include "net/http_query.h"
#include "net/http_server.h"
#include "net/network_of.h"
#include "net/status_pages.h"
#include "net/watch_socket.h"
#include "net/web_pages.h"

namespace stepdb {

namespace {

namespace asio = boost::asio;
using ErrorStatus = boost::system::error_code;
using asio::ip::tcp;

// Connections above the limit that are being told so; further ones are closed without a word.
constexpr size_t kRefusedConnectionsMax = 64;
// The same for one address.
constexpr size_t kAddressRefusedMax = 8;
// Refusals are told of together, so that who is refused cannot fill the log.
constexpr std::chrono::seconds kTellOfRefusalsEvery{10};

class NetExecutor : public Executor {
  public:
    explicit NetExecutor(asio::io_context& context) : context_(context) {}
    void post(std::function<void()> work) override { asio::post(context_, std::move(work)); }
    bool is_current() const override { return context_.get_executor().running_in_this_thread(); }

  private:
    asio::io_context& context_;
};

class AsioServer : public Server {
  public:
    explicit AsioServer(ServerOptions options)
        : options_(std::move(options)),
          context_(1),
          work_(context_.get_executor()),
          executor_(context_),
          newcomers_(executor_),
          acceptor_(context_),
          tick_(context_),
          receive_(options_.receive_bytes_max, [this] { wake_all(); }),
          send_(options_.send_bytes_max, [this] { wake_all(); }) {}

    Status open();

    std::string host() const override { return endpoint_.address().to_string(); }
    uint16_t port() const override { return endpoint_.port(); }
    std::string http_host() const override { return http_ == nullptr ? "" : http_->host(); }
    uint16_t http_port() const override { return http_ == nullptr ? uint16_t{0} : http_->port(); }
    Executor& executor() override { return executor_; }
    void call_after(std::chrono::microseconds after, std::function<void()> call) override;
    void run(Engine& engine, Executor& engine_side, QueryService& queries) override;
    void stop() override;
    size_t connections() const override { return connection_count_; }

  private:
    // The tick's period is a fraction of the shortest deadline, so tests may shorten them.
    std::chrono::milliseconds tick_period() const;
    void accept_next();
    void on_accepted(tcp::socket socket);
    void on_closed(Connection& connection);
    NetFigures figures() const;
    void tell_of_connection(const char* event, const asio::ip::address& network) const;
    void tell_of_refusals(Connection::Time now);
    void schedule_tick();
    void on_tick();
    void begin_stop();
    void finish_stop_if_idle();
    void wake_all();

    ServerOptions options_;
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    NetExecutor executor_;
    PatientLine newcomers_;
    tcp::acceptor acceptor_;
    tcp::endpoint endpoint_;
    asio::steady_timer tick_;
    std::list<asio::steady_timer> timers_;  // of call_after()
    FlowBudget receive_;
    FlowBudget send_;
    std::optional<EngineBridge> bridge_;
    std::unique_ptr<HttpServer> http_;  // null: without
    HttpRoutes routes_;
    std::optional<WebPages> web_pages_;
    std::optional<StatusSources> sources_;  // of the routes
    QueryService* queries_ = nullptr;
    std::optional<SessionServices> services_;
    std::optional<LocalSessions> local_sessions_;  // of HTTP
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
    NetworkCounts networks_;  // of connections, refused ones too
    std::atomic<size_t> connection_count_ = 0;
    uint64_t accepted_ = 0;
    uint64_t refused_full_ = 0;
    uint64_t refused_address_ = 0;
    NetFigures told_;  // of refusals
    Connection::Time told_at_;
    bool is_stopping_ = false;
    bool is_finished_ = false;
    bool accept_failed_ = false;  // until the next tick: out of descriptors
    Connection::Time stop_since_;
};

Status AsioServer::open() {
    TRY(listen_on(acceptor_, options_.host, options_.port));
    ErrorStatus ignored;
    endpoint_ = acceptor_.local_endpoint(ignored);
    if (options_.http) {
        TRY_ASSIGN(http_, HttpServer::listen(context_, *options_.http));
    }
    return {};
}

void AsioServer::run(Engine& engine, Executor& engine_side, QueryService& queries) {
    bridge_.emplace(engine, engine_side, executor_);
    services_.emplace(*bridge_, queries, receive_, send_);
    services_->store = engine.store_id();
    services_->server_name = options_.name;
    services_->limits = options_.session;
    services_->access = options_.access;
    queries_ = &queries;
    if (http_ != nullptr) {
        sources_.emplace(engine, engine_side, executor_, queries);
        sources_->access = options_.access;
        sources_->version = options_.version;
        sources_->directory = options_.directory;
        sources_->net_figures = [this] { return figures(); };
        add_status_pages(routes_, *sources_);
        local_sessions_.emplace(*services_, executor_);
        web_pages_.emplace(web_assets());
        web_pages_->add_routes(routes_);
        add_query_routes(routes_, *services_);
        add_ingest_route(routes_, *services_, *local_sessions_);
        add_watch_route(routes_, *services_, *local_sessions_);
        http_->serve(routes_, receive_, [access = options_.access] {
            return access == nullptr || !access->asks_for_tokens();
        });
    }
    accept_next();
    schedule_tick();
    context_.run();
}

void AsioServer::call_after(std::chrono::microseconds after, std::function<void()> call) {
    if (is_finished_) {
        return;
    }
    const auto timer = timers_.emplace(timers_.end(), context_, after);
    timer->async_wait([this, timer, call = std::move(call)](const ErrorStatus& status) {
        if (!status) {
            timers_.erase(timer);
            call();
        }
    });
}

void AsioServer::stop() {
    asio::post(context_, [this] { begin_stop(); });
}

std::chrono::milliseconds AsioServer::tick_period() const {
    const auto shortest = std::min({options_.hello_time_max, options_.stall_time_max,
                                    options_.stop_time_max, options_.linger_time_max});
    return std::clamp(shortest / 4, std::chrono::milliseconds(1), std::chrono::milliseconds(500));
}

void AsioServer::accept_next() {
    acceptor_.async_accept([this](const ErrorStatus& status, tcp::socket socket) {
        if (is_stopping_) {
            return;
        }
        if (status) {
            accept_failed_ = true;
            return;
        }
        // The next one is taken from the kernel's line when this one has had its turn.
        newcomers_.ask([this, taken = std::make_shared<tcp::socket>(std::move(socket))] {
            if (!is_stopping_) {
                on_accepted(std::move(*taken));
                accept_next();
            }
        });
    });
}

void AsioServer::on_accepted(tcp::socket socket) {
    ErrorStatus status;
    const asio::ip::address network = network_of(socket.remote_endpoint(status).address());
    const size_t from_there = networks_.add(network);
    ++accepted_;
    if (status || connections_.size() >= options_.connections_max + kRefusedConnectionsMax ||
        from_there > options_.address_connections_max + kAddressRefusedMax) {
        ++(from_there > options_.address_connections_max ? refused_address_ : refused_full_);
        networks_.remove(network);
        return;
    }
    const auto connection = std::make_shared<Connection>(
        std::move(socket), *services_, options_, newcomers_, [this, network](Connection& closed) {
            networks_.remove(network);
            on_closed(closed);
            tell_of_connection("connection_closed", network);
        });
    if (options_.tls != nullptr && !connection->use_tls(options_.tls->context())) {
        networks_.remove(network);  // no memory for it
        return;
    }
    connections_.emplace(connection.get(), connection);
    connection_count_ = connections_.size();
    tell_of_connection("connection_opened", network);
    connection->start(std::chrono::steady_clock::now());
    if (from_there > options_.address_connections_max) {
        ++refused_address_;
        connection->refuse(make_error(
            ErrorCode::kResourceExhausted,
            "there are {} connections from {}, the limit for one address; close some, or start the "
            "server with more --connections-per-address",
            options_.address_connections_max, network.to_string()));
    }
    if (connections_.size() > options_.connections_max) {
        ++refused_full_;
        connection->refuse(make_error(ErrorCode::kResourceExhausted,
                                      "the server has {} connections, its limit; try again "
                                      "later",
                                      options_.connections_max));
    }
}

void AsioServer::tell_of_connection(const char* event, const asio::ip::address& network) const {
    if (options_.tell) {
        LogEvent happened(LogLevel::kDebug, event);
        options_.tell(happened.text("address", network.to_string())
                          .count("connections", connections_.size()));
    }
}

void AsioServer::tell_of_refusals(Connection::Time now) {
    const NetFigures all = figures();
    const uint64_t of_server = all.refused_full - told_.refused_full;
    const uint64_t of_address = all.refused_address - told_.refused_address;
    const uint64_t of_token = all.hellos_refused - told_.hellos_refused;
    if (!options_.tell || of_server + of_address + of_token == 0 ||
        (told_at_ != Connection::Time() && now - told_at_ < kTellOfRefusalsEvery)) {
        return;
    }
    told_ = all;
    told_at_ = now;
    LogEvent refused(LogLevel::kWarning, "connections_refused");
    options_.tell(refused.count("server_limit", of_server)
                      .count("address_limit", of_address)
                      .count("token", of_token));
}

NetFigures AsioServer::figures() const {
    NetFigures figures;
    figures.connections = connections_.size();
    figures.connections_max = options_.connections_max;
    figures.accepted = accepted_;
    figures.refused_full = refused_full_;
    figures.refused_address = refused_address_;
    const SessionCounts& counts = *services_->counts;
    figures.hellos_refused = counts.hellos_refused;
    figures.queries_limited = counts.queries_limited;
    figures.frames = counts.frames;
    figures.acks = counts.acks;
    figures.received_bytes = counts.received_bytes;
    figures.sent_bytes = counts.sent_bytes;
    figures.receive_used_bytes = receive_.used();
    figures.receive_max_bytes = receive_.bytes_max();
    figures.send_used_bytes = send_.used();
    figures.send_max_bytes = send_.bytes_max();
    const HttpCounts http = http_ == nullptr ? HttpCounts() : http_->counts();
    figures.http_connections = http.connections;
    figures.http_refused = http.refused;
    figures.http_requests = http.requests;
    figures.http_failures = http.failures;
    return figures;
}

void AsioServer::on_closed(Connection& connection) {
    // Whoever called is inside the connection: it goes when it has returned.
    const auto at = connections_.find(&connection);
    asio::post(context_, [last = std::move(at->second)] {});
    connections_.erase(at);
    connection_count_ = connections_.size();
    finish_stop_if_idle();
}

void AsioServer::schedule_tick() {
    tick_.expires_after(tick_period());
    tick_.async_wait([this](const ErrorStatus& status) {
        if (!status && !is_finished_) {
            on_tick();
            schedule_tick();
        }
    });
}

void AsioServer::on_tick() {
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections_.size());
    for (const auto& [key, connection] : connections_) {
        all.push_back(connection);
    }
    const bool is_over = is_stopping_ && now - stop_since_ >= options_.stop_time_max;
    if (options_.access != nullptr) {
        options_.access->look();
    }
    if (options_.tls != nullptr) {
        options_.tls->look(options_.tell);
    }
    constexpr size_t kCheckedAtOnce = 64;
    for (size_t i = 0; i < all.size(); i += kCheckedAtOnce) {
        const size_t end = std::min(all.size(), i + kCheckedAtOnce);
        const auto first = all.begin() + static_cast<ptrdiff_t>(i);
        newcomers_.ask(
            [some = std::vector(first, first + static_cast<ptrdiff_t>(end - i)), now, is_over] {
                for (const auto& connection : some) {
                    connection->check_deadlines(now);
                    if (is_over) {
                        connection->close();
                    }
                }
            });
    }
    if (local_sessions_) {
        local_sessions_->tick();
    }
    tell_of_refusals(now);
    bridge_->tick();
    queries_->tick();
    if (std::exchange(accept_failed_, false) && !is_stopping_) {
        accept_next();
    }
}

void AsioServer::begin_stop() {
    if (std::exchange(is_stopping_, true)) {
        return;
    }
    stop_since_ = std::chrono::steady_clock::now();
    ErrorStatus ignored;
    acceptor_.close(ignored);
    if (http_ != nullptr) {
        http_->stop();
    }
    const Error reason(ErrorCode::kUnavailable, "the server is shutting down");
    for (const auto& [key, connection] : connections_) {
        connection->shut_down(reason);
    }
    finish_stop_if_idle();
}

void AsioServer::finish_stop_if_idle() {
    if (is_stopping_ && connections_.empty()) {
        // Nothing is left that could run, but what was posted: run() returns after it.
        is_finished_ = true;
        tick_.cancel();
        timers_.clear();
        work_.reset();
    }
}

void AsioServer::wake_all() {
    for (const auto& [key, connection] : connections_) {
        connection->wake();
    }
    if (local_sessions_) {
        local_sessions_->wake_all();
    }
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options) {
    auto server = std::make_unique<AsioServer>(std::move(options));
    TRY(server->open());
    return std::unique_ptr<Server>(std::move(server));
}

}  // namespace stepdb
