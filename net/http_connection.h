// One connection of the HTTP listener: requests one after the other, each answered before the next
// is read. Reads and writes by deadlines, answers whole or in pieces, and looks now and then
// whether the peer is still there while an answer takes its time. Private to net/, as it shows
// Asio.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/flow_budget.h"
#include "net/http.h"
#include "net/http_stream.h"
#include "net/web_socket.h"

namespace stepdb {

class HttpConnection;

// What the connections of a listener share; outlives them.
class HttpHome {
  public:
    virtual ~HttpHome() = default;
    virtual const HttpOptions& options() const = 0;
    virtual const HttpRoutes& routes() const = 0;
    // Whether anybody may ask.
    virtual bool is_open() const = 0;
    // Where room for long bodies is kept.
    virtual FlowBudget& receive() = 0;
    virtual void count_answer(unsigned status) = 0;
    virtual void on_closed(const std::shared_ptr<HttpConnection>& connection,
                           const boost::asio::ip::address& network) = 0;
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection>, private HttpReply {
  public:
    HttpConnection(HttpHome& home, boost::asio::ip::tcp::socket socket,
                   const boost::asio::ip::address& network);
    ~HttpConnection() override;
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    Status use_tls(const TlsContext& context) { return stream_.use_tls(context); }
    void start() { read_next(home_.options().request_time_max); }
    void close();

  private:
    using HttpStatus = boost::system::error_code;
    using HttpTime = std::chrono::milliseconds;
    using Request = boost::beast::http::request<boost::beast::http::string_body>;

    void set_deadline(HttpTime time);
    void read_next(HttpTime time);
    void read_head();
    void on_head(const HttpStatus& status);
    bool admit_body();
    void read_body();
    void on_read(const HttpStatus& status);
    void refuse(HttpResponse response);
    void handle(Request request);
    void dispatch(HttpRequest asked, const Request& request);
    void open_socket(const HttpRoute& route, HttpRequest asked, const Request& request);

    void answer(HttpResponse response) override;
    void begin(HttpResponse head, std::optional<uint64_t> length) override;
    void put(HttpPiece piece) override;
    void end() override;
    void cut_off() override { close(); }
    bool has_begun() const override { return has_begun_; }
    size_t unsent_bytes() const override { return unsent_; }

    void write_next();
    void write_slice();
    void on_slice(const HttpStatus& status, size_t bytes);
    void write_out();
    void on_answered();
    void drain();
    void let_work_go();
    void watch_peer();
    bool has_peer_gone();

    HttpHome& home_;
    const boost::asio::ip::address network_;
    HttpStream stream_;
    boost::asio::steady_timer deadline_;
    boost::asio::steady_timer watch_;
    boost::beast::flat_buffer buffer_{kHttpHeadBytesMax + kHttpBodyBytesMax};
    std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
    std::string path_;  // of the request
    size_t reserved_ = 0;
    std::unique_ptr<HttpWork> work_;
    std::shared_ptr<WebSocket> socket_;

    std::string out_;  // what goes before the next slice
    std::deque<HttpPiece> pieces_;
    size_t written_ = 0;  // of the first piece
    size_t unsent_ = 0;   // of all of them
    unsigned version_ = 11;
    bool is_head_ = false;
    bool keeps_alive_ = false;
    bool is_answering_ = false;
    bool has_begun_ = false;
    bool has_ended_ = false;
    bool is_chunked_ = false;
    bool is_writing_ = false;
    bool is_closed_ = false;
};

}  // namespace stepdb
