// TLS on a socket that does not block, by OpenSSL: for the server's connections and for clients. It
// reads and writes the socket itself, so who waits for the socket, and how, is the caller's, as it
// is without TLS; Asio's own TLS would want to wait itself, which the clients do without Asio.
//
// At least TLS 1.2; no renegotiation, no compression, no resumption.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

struct ssl_st;
struct ssl_ctx_st;

namespace stepdb {

// How a client comes to trust a server.
struct TlsChoice {
    TlsChoice() = default;

    bool is_wanted = false;
    std::string
        ca_file;  // certificates (PEM) of who may have signed the server's; "": the system's
};

// What connections have in common. Any thread; connections keep what they need of it.
class TlsContext {
  public:
    // A server's certificate, followed by those that lead to its authority, and its key; PEM.
    // kInvalidArgument naming the file and what is wrong with it.
    static Result<std::shared_ptr<TlsContext>> for_server(const std::string& certificate_file,
                                                          const std::string& key_file);
    static Result<std::shared_ptr<TlsContext>> for_client(const std::string& ca_file);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    ssl_ctx_st* get() const { return context_; }

  private:
    explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

    ssl_ctx_st* context_;
};

// How far a call came.
struct TlsStep {
    enum class State : uint8_t {
        kDone,          // bytes were read or written, or hands are shaken
        kWaitReadable,  // to be called again once the socket can be read,
        kWaitWritable,  // or written
        kEnded,         // the peer has closed
        kFailed,        // why() tells
    };
    State state = State::kDone;
    size_t bytes = 0;
};

// One connection. Not thread-safe.
class TlsSocket {
  public:
    // `socket` does not block, is connected, stays the caller's and outlives this.
    static Result<std::unique_ptr<TlsSocket>> accept(const TlsContext& context, int socket);
    // `host` is what the certificate has to name: a host's name or an address.
    static Result<std::unique_ptr<TlsSocket>> connect(const TlsContext& context, int socket,
                                                      const std::string& host);
    ~TlsSocket();
    TlsSocket(const TlsSocket&) = delete;
    TlsSocket& operator=(const TlsSocket&) = delete;

    // Reading and writing shake hands by themselves; to do that first tells why it fails.
    TlsStep shake_hands();
    bool has_shaken_hands() const;
    // As much as has come, or as fits; kDone if there is any.
    TlsStep read(MutableBytes space);
    // As much as the socket takes; kDone if that is all.
    TlsStep write(Bytes bytes);
    // Bytes have been taken from the socket that read() would give. No more than one record's are:
    // what comes behind it can be waited for.
    bool has_pending() const;
    // Tells the peer that nothing more comes, if the socket takes it.
    void say_goodbye();

    // Why the last call failed, for people.
    const std::string& why() const { return why_; }
    // It failed because the connection did, not by what the peer said or lacked.
    bool was_cut() const { return was_cut_; }

  private:
    explicit TlsSocket(ssl_st* ssl) : ssl_(ssl) {}
    static Result<std::unique_ptr<TlsSocket>> make(const TlsContext& context, int socket);

    TlsStep::State judge(int outcome);

    ssl_st* ssl_;
    std::string why_;
    bool was_cut_ = false;
};

// Whether a client whose first byte this is may speak TLS. If not, it certainly does not.
bool may_begin_tls(std::byte first);

}  // namespace stepdb
