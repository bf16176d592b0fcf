#include "net/watch_socket.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/json_text.h"
#include "engine/query_memory.h"
#include "net/answer_encoder.h"
#include "net/message.h"
#include "net/query_request.h"

namespace stepdb {

namespace {

constexpr uint16_t kPolicyViolation = 1008;
constexpr uint16_t kGoingAway = 1001;

// What stands before the columns of the answer in those of an update.
constexpr size_t kUpdateColumns = 2;

// An update of one watched query, until it is whole.
class UpdateText {
  public:
    explicit UpdateText(std::shared_ptr<MemoryBudget> memory) : charge_(std::move(memory)) {}

    void begin(std::vector<ResultColumn> columns) {
        columns_ = std::move(columns);
        clear();
    }
    const std::vector<ResultColumn>& columns() const { return columns_; }

    // kResourceExhausted if there is no memory for it.
    Status add(const ResultBlock& block) {
        is_empty_ = false;
        size_t bytes = 0;
        for (size_t column = 0; column < texts_.size(); ++column) {
            append_json_cells(texts_[column], block.column(column));
            bytes += texts_[column].capacity();
        }
        // Once more for the message.
        return charge_query_memory(charge_, 2 * bytes);
    }

    // The message; what it was made of is gone.
    std::string finish(uint64_t id, const ResultUpdate& update) {
        std::string out = fmt::format("{{\"id\":{},\"kind\":\"{}\",\"columns\":", id,
                                      update.is_reset ? "whole" : "change");
        append_json_columns(out, {columns_.begin() + kUpdateColumns, columns_.end()});
        out += fmt::format(",\"key_columns\":{},\"rows\":{}", update.key_columns, update.rows);
        if (!update.is_reset) {
            out += ",\"change\":[" + texts_[0] + "],\"place\":[" + texts_[1] + "]";
        }
        out += ",\"values\":[";
        for (size_t column = kUpdateColumns; column < texts_.size(); ++column) {
            out += column == kUpdateColumns ? "[" : ",[";
            out += texts_[column];
            out += ']';
        }
        out += "],\"notes\":";
        append_json_texts(out, update.notes);
        out += fmt::format(",\"sequence\":{}}}", update.sequence);
        clear();
        return out;
    }
    // Messages are written: what is held is of an update that is not whole yet.
    void release() {
        if (is_empty_) {
            charge_.set(0);
        }
    }

  private:
    void clear() {
        texts_.assign(columns_.size(), std::string());
        is_empty_ = true;
    }

    std::vector<ResultColumn> columns_;
    std::vector<std::string> texts_;  // by column
    MemoryCharge charge_;
    bool is_empty_ = true;
};

class WatchWork final : public HttpSocketWork, private LocalSession::Peer {
  public:
    WatchWork(const SessionServices& services, LocalSessions& sessions, const HttpRequest& request,
              HttpSocket& socket)
        : services_(services), sessions_(sessions), socket_(socket) {
        const bool asks_for_token =
            services.access != nullptr && services.access->asks_for_tokens();
        if (!asks_for_token || !request.token.empty()) {
            say_hello(request.token);
        }
    }

    void on_message(const std::string& text) override;
    void on_sent() override {
        if (socket_.unsent() > 0) {
            return;
        }
        for (auto& [id, update] : updates_) {
            update.release();
        }
        if (session_) {
            session_->wake();
        }
    }

  private:
    LocalSession::Peer& peer() { return *this; }
    // What has changed meanwhile comes in one.
    bool wants_frames() const override { return socket_.unsent() == 0; }
    void on_frame(const FrameHeader& header, Bytes body) override;
    void on_finished() override { socket_.close(kGoingAway, "the session has ended"); }

    void say_hello(const std::string& token);
    void watch(uint64_t id, const QueryText& query);
    void on_block(uint64_t id, Bytes body);
    void on_error(uint64_t number, const ErrorMessage& message);
    void send_error(std::optional<uint64_t> id, const Error& error, std::string_view query = {});

    const SessionServices& services_;
    LocalSessions& sessions_;
    HttpSocket& socket_;
    std::optional<LocalSession> session_;
    // Of what is watched; and of that, and what was given up and has not ended yet, the queries'
    // texts, for the places of errors.
    std::map<uint64_t, UpdateText> updates_;
    std::map<uint64_t, std::string> texts_;
};

void WatchWork::say_hello(const std::string& token) {
    HelloMessage hello;
    hello.token = token;
    hello.client = "http watch";
    session_.emplace(sessions_, peer());
    session_->send(encode_hello(hello));
}

void WatchWork::on_message(const std::string& text) {
    const Result<WatchRequest> request = read_watch_json(text);
    if (!request) {
        return send_error(std::nullopt, request.error());
    }
    if (request->token && session_) {
        return send_error(std::nullopt,
                          failed_precondition("a \"token\" comes once, in the first message"));
    }
    if (!session_) {
        if (!request->token) {
            send_error(std::nullopt,
                       Error(ErrorCode::kPermissionDenied,
                             "this server asks for a token; send {\"token\": \"...\"} first"));
            return socket_.close(kPolicyViolation, "a token is wanted");
        }
        say_hello(*request->token);
    }
    if (request->is_cancel) {
        return session_->send(encode_cancel(*request->id));
    }
    if (request->query) {
        watch(*request->id, *request->query);
    }
}

void WatchWork::watch(uint64_t id, const QueryText& query) {
    if (texts_.contains(id)) {
        return send_error(id, make_error(ErrorCode::kAlreadyExists,
                                         "{} is watched already; number queries anew", id));
    }
    updates_.emplace(id, UpdateText(services_.queries.make_memory()));
    texts_.emplace(id, query.text);
    session_->send(encode_watch(query.text, id, query.parameters));
}

void WatchWork::on_frame(const FrameHeader& header, Bytes body) {
    const uint64_t id = header.number;
    const auto update = updates_.find(id);
    if (header.type == FrameType::kError) {
        const Result<ErrorMessage> message = ErrorMessage::decode(body);
        CHECK(message, "an error of our own: {}", message.error().message());
        return on_error(id, *message);
    }
    if (update == updates_.end()) {
        return;  // of one that was given up
    }
    if (header.type == FrameType::kResultColumns) {
        Result<std::vector<ResultColumn>> columns = decode_result_columns(body);
        CHECK(columns, "columns of our own: {}", columns.error().message());
        update->second.begin(*std::move(columns));
    } else if (header.type == FrameType::kResultBlock) {
        on_block(id, body);
    } else if (header.type == FrameType::kResultUpdate) {
        const Result<ResultUpdate> end = ResultUpdate::decode(body);
        CHECK(end, "an update of our own: {}", end.error().message());
        socket_.send(update->second.finish(id, *end));
    }
}

void WatchWork::on_block(uint64_t id, Bytes body) {
    UpdateText& update = updates_.at(id);
    const Result<ResultBlock> block = decode_result_block(body, update.columns());
    CHECK(block, "a block of our own: {}", block.error().message());
    const Status added = update.add(*block);
    if (!added) {
        updates_.erase(id);
        session_->send(encode_cancel(id));
        send_error(id, added.error());
    }
}

void WatchWork::on_error(uint64_t number, const ErrorMessage& message) {
    if (message.scope != ErrorScope::kRequest) {
        send_error(std::nullopt, message.to_error());
        if (message.scope == ErrorScope::kConnection) {
            socket_.close(kPolicyViolation, message.message);
        }
        return;
    }
    const bool is_told = updates_.erase(number) == 0;
    const auto text = texts_.find(number);
    if (!is_told) {
        send_error(number, message.to_error(), text->second);
    }
    if (text != texts_.end()) {
        texts_.erase(text);
    }
}

void WatchWork::send_error(std::optional<uint64_t> id, const Error& error, std::string_view query) {
    std::string text = id ? fmt::format("{{\"id\":{},", *id) : std::string("{");
    socket_.send(text + "\"error\":" + api_error_text(error, query) + "}");
}

}  // namespace

void add_watch_route(HttpRoutes& routes, const SessionServices& services, LocalSessions& sessions) {
    routes.add_socket("/api/watch", [&](const HttpRequest& request, HttpSocket& socket) {
        return std::make_unique<WatchWork>(services, sessions, request, socket);
    });
}

}  // namespace stepdb
