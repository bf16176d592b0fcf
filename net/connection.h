// One socket: reads and writes for its session, deadlines, lingering close. Private to net/, as it
// shows Asio.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/patient_line.h"
#include "net/server.h"
#include "net/session.h"
#include "net/tls.h"

namespace stepdb {

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Socket = boost::asio::ip::tcp::socket;
    using Time = std::chrono::steady_clock::time_point;

    // `on_closed` is called once, when the socket is closed. Until it has said hello, and once it
    // is ending, what it sends waits its turn in `newcomers`, which outlives it.
    Connection(Socket socket, const SessionServices& services, const ServerOptions& options,
               PatientLine& newcomers, std::function<void(Connection&)> on_closed);

    // Before start(): speaks TLS. It has shaken hands by the time until which it has to say hello.
    Status use_tls(const TlsContext& context);

    void start(Time now);
    // Reads and writes whatever the session has or takes; soon, not at once.
    void wake();
    // Answers what is in flight, tells the peer and closes. One that is still shaking hands can be
    // told nothing.
    void shut_down(const Error& reason);
    // The same for one that has just begun, which is given the time to shake hands so as to hear
    // it.
    void refuse(const Error& reason);
    void close();
    // Called now and then; closes what has passed a deadline.
    void check_deadlines(Time now);

  private:
    void pump();
    void wait_for_rate();
    void wait_readable();
    void on_readable();
    void read_on();
    bool refuse_without_tls();
    bool read_once();
    TlsStep read_some(MutableBytes space);
    void write_next();
    void write_tls();
    void on_written();
    bool is_shaking_hands() const { return tls_ != nullptr && !tls_->has_shaken_hands(); }
    void begin_linger();
    bool drain_once();

    Socket socket_;
    const ServerOptions& options_;
    PatientLine& newcomers_;
    std::function<void(Connection&)> on_closed_;
    Session session_;
    std::unique_ptr<TlsSocket> tls_;                       // null: without
    std::optional<boost::asio::steady_timer> rate_timer_;  // once its token's rate held it up
    std::vector<std::byte> writing_;
    size_t written_ = 0;  // of these, with TLS
    Time now_;            // of the last tick
    Time started_;
    Time last_bytes_;
    Time frame_since_;           // when the frame that is being received was seen first
    uint64_t frame_serial_ = 0;  // how many came before it
    Time linger_since_;
    bool is_waking_ = false;
    bool is_waiting_for_rate_ = false;
    bool is_waiting_readable_ = false;
    bool reading_wants_write_ = false;  // TLS has to write before it can read on
    bool is_heard_ = false;             // something came
    bool is_writing_ = false;
    bool is_lingering_ = false;
    bool is_closed_ = false;
    bool got_bytes_ = false;  // since the last tick
};

}  // namespace stepdb
