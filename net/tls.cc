#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <system_error>

namespace stepdb {

namespace {

// --- The socket, as OpenSSL sees it. Its own would raise SIGPIPE in programs that log. ---

int socket_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
}

bool is_passing(int error) {
    return error == EAGAIN || error == EINTR;
}

int read_socket(BIO* bio, char* data, int bytes) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = recv(socket_of(bio), data, static_cast<size_t>(bytes), 0);
    if (count < 0 && is_passing(errno)) {
        BIO_set_retry_read(bio);
    }
    return static_cast<int>(count);
}

int write_socket(BIO* bio, const char* data, int bytes) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = send(socket_of(bio), data, static_cast<size_t>(bytes), MSG_NOSIGNAL);
    if (count < 0 && is_passing(errno)) {
        BIO_set_retry_write(bio);
    }
    return static_cast<int>(count);
}

long control_socket(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* socket_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stepdb socket");
        CHECK(made != nullptr, "no memory for a BIO method");
        BIO_meth_set_read(made, read_socket);
        BIO_meth_set_write(made, write_socket);
        BIO_meth_set_ctrl(made, control_socket);
        return made;
    }();
    return method;
}

// What OpenSSL said last, and nothing of it stays for the next caller.
std::string take_tls_error() {
    const unsigned long number = ERR_peek_last_error();
    ERR_clear_error();
    const char* const reason = number == 0 ? nullptr : ERR_reason_error_string(number);
    return reason == nullptr ? "no reason given" : reason;
}

// A key that wants a password is refused; the default would ask on the terminal.
int give_no_password(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* /*data*/) {
    return 0;
}

ssl_ctx_st* make_context(const SSL_METHOD* method) {
    ERR_clear_error();
    SSL_CTX* const context = SSL_CTX_new(method);
    CHECK(context != nullptr, "no TLS context: {}", take_tls_error());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // A buffer moves between two tries to write it; idle connections hold none of OpenSSL's.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, give_no_password);
    return context;
}

Error bad_tls_file(std::string_view what, const std::string& file) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{} {}: {}; it has to be PEM, readable by this process, and without a password", what, file,
        take_tls_error());
}

bool is_ip_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> address;
    return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

// --- Contexts ---

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_server(const std::string& certificate_file,
                                                           const std::string& key_file) {
    const std::shared_ptr<TlsContext> made(new TlsContext(make_context(TLS_server_method())));
    SSL_CTX* const context = made->get();
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
        return bad_tls_file("certificate", certificate_file);
    }
    // Looks besides whether it belongs to the certificate.
    if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        if (ERR_GET_REASON(ERR_peek_last_error()) != X509_R_KEY_VALUES_MISMATCH) {
            return bad_tls_file("key", key_file);
        }
        ERR_clear_error();
        return make_error(ErrorCode::kInvalidArgument,
                          "key {} is not that of the certificate {}; give the two that belong "
                          "together",
                          key_file, certificate_file);
    }
    return made;
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_client(const std::string& ca_file) {
    const std::shared_ptr<TlsContext> made(new TlsContext(make_context(TLS_client_method())));
    SSL_CTX* const context = made->get();
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (ca_file.empty()) {
        SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1) {
        return bad_tls_file("certificates", ca_file);
    }
    return made;
}

// --- Connections ---

Result<std::unique_ptr<TlsSocket>> TlsSocket::make(const TlsContext& context, int socket) {
    ERR_clear_error();
    SSL* const ssl = SSL_new(context.get());
    BIO* const bio = ssl == nullptr ? nullptr : BIO_new(socket_method());
    if (bio == nullptr) {
        SSL_free(ssl);
        return make_error(ErrorCode::kResourceExhausted, "no TLS connection: {}", take_tls_error());
    }
    // A number in the place of a pointer, which OpenSSL only keeps for socket_of().
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return std::unique_ptr<TlsSocket>(new TlsSocket(ssl));
}

Result<std::unique_ptr<TlsSocket>> TlsSocket::accept(const TlsContext& context, int socket) {
    TRY_ASSIGN(std::unique_ptr<TlsSocket> made, make(context, socket));
    SSL_set_accept_state(made->ssl_);
    return made;
}

Result<std::unique_ptr<TlsSocket>> TlsSocket::connect(const TlsContext& context, int socket,
                                                      const std::string& host) {
    TRY_ASSIGN(std::unique_ptr<TlsSocket> made, make(context, socket));
    SSL* const ssl = made->ssl_;
    SSL_set_connect_state(ssl);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool is_set = false;
    if (is_ip_address(host)) {
        is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    } else {
        is_set = SSL_set1_host(ssl, host.c_str()) == 1 &&
                 SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                          const_cast<char*>(host.c_str())) == 1;
    }
    if (!is_set) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' is no host that TLS can verify: {}",
                          host, take_tls_error());
    }
    return made;
}

TlsSocket::~TlsSocket() {
    SSL_free(ssl_);
}

TlsStep::State TlsSocket::judge(int outcome) {
    const int system_error = errno;
    switch (SSL_get_error(ssl_, outcome)) {
        case SSL_ERROR_NONE:
            return TlsStep::State::kDone;
        case SSL_ERROR_WANT_READ:
            return TlsStep::State::kWaitReadable;
        case SSL_ERROR_WANT_WRITE:
            return TlsStep::State::kWaitWritable;
        case SSL_ERROR_ZERO_RETURN:
            return TlsStep::State::kEnded;
        case SSL_ERROR_SYSCALL:
            why_ = system_error == 0 ? "the peer has gone"
                                     : std::generic_category().message(system_error);
            was_cut_ = true;
            ERR_clear_error();
            return TlsStep::State::kFailed;
        default:
            break;
    }
    // Frames say how long they are: a peer that ends without a word of TLS is like any that ends.
    const unsigned long number = ERR_peek_last_error();
    const bool is_end = ERR_GET_REASON(number) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    was_cut_ = was_cut_ || is_end;
    const long verified = SSL_get_verify_result(ssl_);
    why_ = take_tls_error();
    if (verified != X509_V_OK) {
        why_ = X509_verify_cert_error_string(verified);
    }
    return is_end && has_shaken_hands() ? TlsStep::State::kEnded : TlsStep::State::kFailed;
}

TlsStep TlsSocket::shake_hands() {
    ERR_clear_error();
    TlsStep step;
    step.state = judge(SSL_do_handshake(ssl_));
    return step;
}

bool TlsSocket::has_shaken_hands() const {
    return SSL_is_init_finished(ssl_) == 1;
}

TlsStep TlsSocket::read(MutableBytes space) {
    TlsStep step;
    while (step.bytes < space.size()) {
        ERR_clear_error();
        size_t count = 0;
        const int outcome =
            SSL_read_ex(ssl_, space.data() + step.bytes, space.size() - step.bytes, &count);
        step.bytes += count;
        if (outcome != 1) {
            const TlsStep::State state = judge(outcome);
            // What came before counts; the end or the failure is found again.
            step.state = step.bytes != 0 ? TlsStep::State::kDone : state;
            return step;
        }
    }
    return step;
}

TlsStep TlsSocket::write(Bytes bytes) {
    TlsStep step;
    while (step.bytes < bytes.size()) {
        ERR_clear_error();
        size_t count = 0;
        const int outcome =
            SSL_write_ex(ssl_, bytes.data() + step.bytes, bytes.size() - step.bytes, &count);
        step.bytes += count;
        if (outcome != 1) {
            step.state = judge(outcome);
            return step;
        }
    }
    return step;
}

bool TlsSocket::has_pending() const {
    return SSL_pending(ssl_) > 0;
}

void TlsSocket::say_goodbye() {
    if (has_shaken_hands()) {
        ERR_clear_error();
        SSL_shutdown(ssl_);
        ERR_clear_error();
    }
}

bool may_begin_tls(std::byte first) {
    constexpr std::byte kHandshakeRecord{0x16};
    return first == kHandshakeRecord;
}

}  // namespace stepdb
