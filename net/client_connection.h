// One connection of a client to a server: says hello, sends frames, and hands what comes back to a
// handler. Nothing here waits unless told to. net/client.h makes a blocking client of it,
// clients/cpp/ one that reconnects.
//
// Not thread-safe. After an error of the connection every call returns that error, and the socket
// is closed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "net/frame_stream.h"
#include "net/message.h"
#include "net/tls.h"

namespace stepdb {

struct ClientOptions {
    ClientOptions() = default;

    std::string host = "127.0.0.1";
    uint16_t port = 7420;
    Id128 writer;  // zero: reads only
    std::string name = "stepdb client";
    std::string token;
    TlsChoice tls;
    // Sent and not yet answered; a send of Client above it waits.
    size_t unanswered_bytes_max = 32U << 20U;
    // Without a byte from the server for so long while waiting for one, the connection is given up.
    std::chrono::milliseconds silence_time_max = std::chrono::minutes(5);
    // For each address of the host.
    std::chrono::milliseconds connect_time_max = std::chrono::seconds(30);
};

// Takes what the server sends, in the order in which it comes. Called from within poll() and
// wait().
class ClientEvents {
  public:
    // Every changing frame up to `ordinal` that was not refused is durable.
    virtual void on_ack(uint64_t ordinal, uint64_t late_rows) = 0;
    virtual void on_refused(uint64_t ordinal, ErrorMessage error) = 0;
    virtual void on_opened(uint64_t ordinal, const RunOpened& opened) = 0;
    // A query has ended in an error.
    virtual void on_request_failed(uint64_t request, const Error& error) = 0;
    // A part of an answer. An error is one of the connection.
    virtual Status on_answer(const ReceivedFrame& frame) = 0;

  protected:
    ~ClientEvents() = default;
};

class ClientConnection {
  public:
    // Small frames gather to this before they are sent, so that a row a frame costs no system call.
    static constexpr size_t kSendBytes = 64U << 10U;

    // Connects, shakes hands if TLS is wanted, and says hello. kUnavailable naming host and port,
    // kPermissionDenied if the server's certificate is not to be trusted, or the server's refusal.
    // `events` outlives the connection.
    static Result<std::unique_ptr<ClientConnection>> connect(const ClientOptions& options,
                                                             ClientEvents& events);
    ~ClientConnection();
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;

    const HelloOkMessage& server() const { return server_; }

    // Sends what the socket takes at once if it is much, and keeps a copy of the rest.
    Status send(Bytes bytes);
    // Sends later, without a copy: the bytes stay until they are sent or the connection is gone.
    void send_later(Bytes bytes);
    // Counts a changing frame, which one of the two was just given. Its ordinal.
    uint64_t count_change() { return ++changes_; }
    uint64_t changes() const { return changes_; }

    size_t unsent_bytes() const { return unsent_bytes_; }
    uint64_t received_bytes() const { return received_bytes_; }

    // Pushes out what is to be sent and takes in what has come, without waiting.
    Status poll();
    // Only pushes out, as far as the socket takes it.
    Status push() { return failed_ ? Status(*failed_) : write_some(); }
    // The socket, for who waits for several connections at once; -1 after an error.
    int descriptor() const { return socket_; }
    // As poll(), but waits for either to be possible, at most `time_max`. True also when a signal
    // interrupted it or `wake`, a file descriptor, can be read (which is left to the caller);
    // false if nothing happened.
    Result<bool> wait(std::chrono::microseconds time_max, int wake = -1);

    // Closes the connection and remembers why.
    Error fail(Error error);

  private:
    struct Unsent {
        std::vector<std::byte> own;  // empty: `bytes` are the caller's
        Bytes bytes;
    };

    ClientConnection(const ClientOptions& options, ClientEvents& events)
        : options_(options), events_(events) {}

    Status open_socket();
    Status shake_hands();
    Status say_hello();
    Error lost(const std::string& why);
    // Bytes the socket took.
    Result<size_t> send_some(Bytes bytes);
    Status write_some();
    Status write_some_tls();
    // As recv(2), which it is without TLS.
    ssize_t receive(MutableBytes space);
    Status read_some(bool& got_bytes);
    Status handle(const ReceivedFrame& frame);
    Status check_ordinal(const ReceivedFrame& frame) const;
    Status handle_error(const ReceivedFrame& frame);

    ClientOptions options_;
    ClientEvents& events_;
    int socket_ = -1;
    std::unique_ptr<TlsSocket> tls_;  // null: without
    bool tls_wants_write_ = false;    // before it can read on
    std::optional<Error> failed_;
    HelloOkMessage server_;
    bool has_heard_ = false;  // a whole frame came
    bool said_hello_ = false;
    FrameStream stream_;
    std::deque<Unsent> unsent_;
    size_t front_sent_ = 0;  // bytes of the first of them
    size_t unsent_bytes_ = 0;
    uint64_t received_bytes_ = 0;
    uint64_t changes_ = 0;
};

}  // namespace stepdb
