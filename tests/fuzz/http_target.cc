// HTTP, JSON and WebSocket. The first byte chooses: what a request holds by itself, or a whole
// connection of a real listener with fakes behind it, from its first byte on or within a WebSocket.
// Whatever came, what is answered must be HTTP, and the listener must answer the next one.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

#include "engine/model/rows.h"
#include "net/ingest_request.h"
#include "net/query_request.h"
#include "net/server.h"
#include "net/testing/executors.h"
#include "net/testing/fake_engine.h"
#include "net/testing/fake_query_service.h"
#include "query/diagnostic.h"
#include "tests/fuzz/fuzz_target.h"

namespace stepdb {

namespace {

// --- What requests hold ---

// The frames of it are ones that a server takes.
void read_ingest(std::string_view text) {
    Result<IngestRequest> request = read_ingest_json(text);
    if (!request) {
        CHECK(!request.error().message().empty(), "an error that says nothing");
        return;
    }
    uint64_t rows = 0;
    for (IngestRequest::Part& part : request->parts) {
        CHECK(part.first_row == rows, "row {} after {}", part.first_row, rows);
        rows += part.row_count;
        const std::vector<std::byte> frame = part.rows->finish(1, 0, 1);
        RowPosition bad;
        const auto view = RowsView::decode(frame_body(frame), *part.schema, bad);
        CHECK(view.has_value(), "{}", view.error().to_string());
        CHECK(view->rows() == part.row_count, "{} of {} rows", view->rows(), part.row_count);
    }
    CHECK(rows == request->row_count, "{} of {} rows", rows, request->row_count);
}

void read_part(int kind, std::string_view text) {
    switch (kind) {
        case 0:
            static_cast<void>(read_query_json(text).has_value());
            return;
        case 1:
            static_cast<void>(read_query_target(text).has_value());
            return;
        case 2:
            static_cast<void>(read_queries_json(text).has_value());
            return;
        case 3:
            return read_ingest(text);
        case 4:
            static_cast<void>(read_watch_json(text).has_value());
            return;
        default: {
            const auto span = span_of_query_error(text.substr(text.size() / 2), text);
            CHECK(!span || span->offset + span->bytes <= text.size(), "a place beyond the text");
        }
    }
}

// --- Connections ---

class Listener {
  public:
    Listener()
        : server_(Server::listen(options()).value()),
          queries_(server_->executor()),
          engine_(engine_side_),
          thread_([this] { server_->run(engine_, engine_side_, queries_); }) {}
    ~Listener() {
        server_->stop();
        thread_.join();
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // What comes back for these bytes.
    std::string converse(std::string_view bytes) {
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(client >= 0, "no socket");
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server_->http_port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
              "the listener is gone");
        while (!bytes.empty()) {
            const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                break;  // it has been closed already
            }
            bytes.remove_prefix(static_cast<size_t>(sent));
        }
        ::shutdown(client, SHUT_WR);
        std::string answer;
        std::array<char, 4096> piece;
        for (;;) {
            const ssize_t read = ::recv(client, piece.data(), piece.size(), 0);
            if (read <= 0) {
                break;
            }
            answer.append(piece.data(), static_cast<size_t>(read));
        }
        ::close(client);
        return answer;
    }

  private:
    static ServerOptions options() {
        ServerOptions options;
        options.port = 0;
        options.http.emplace();
        options.http->port = 0;
        return options;
    }

    std::unique_ptr<Server> server_;
    FakeQueryService queries_;
    FakeEngine engine_;
    ThreadExecutor engine_side_;  // goes first, and runs what was posted before it does
    std::thread thread_;
};

constexpr std::string_view kHandshake =
    "GET /api/watch HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

void connect(bool is_socket, std::string_view bytes) {
    static Listener listener;
    const std::string answer = listener.converse(
        is_socket ? std::string(kHandshake) + std::string(bytes) : std::string(bytes));
    CHECK(answer.empty() || answer.starts_with("HTTP/1."), "no HTTP: {}", answer.substr(0, 40));
    CHECK(!is_socket || answer.starts_with("HTTP/1.1 101 "), "no WebSocket: {}", answer);
}

}  // namespace

void fuzz_one(Bytes input) {
    if (input.empty()) {
        return;
    }
    const int kind = static_cast<int>(input[0]) % 8;
    const std::string_view text = as_text(input.subspan(1));
    if (kind < 6) {
        read_part(kind, text);
    } else {
        connect(kind == 7, text);
    }
}

}  // namespace stepdb
