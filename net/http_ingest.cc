#include "net/http_ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "engine/base/json_text.h"
#include "engine/model/life_frame.h"
#include "net/http_access.h"
#include "net/ingest_request.h"
#include "net/message.h"

namespace stepdb {

namespace {

constexpr uint32_t kIngestHandle = 1;

Id128 random_writer() {
    Id128 id;
    std::random_device device;
    for (std::byte& byte : id.bytes) {
        byte = static_cast<std::byte>(device() & 0xFFU);
    }
    return id;
}

class IngestWork final : public HttpWork, private LocalSession::Peer {
  public:
    IngestWork(LocalSessions& sessions, HttpReply& reply)
        : session_(sessions, peer()), reply_(reply) {}

    void start(IngestRequest request, const std::string& token) {
        request_ = std::move(request);
        HelloMessage hello;
        hello.writer = request_.writer ? *request_.writer : random_writer();
        hello.token = token;
        hello.client = "http";
        session_.send(encode_hello(hello));
        OpenRunFrame open;
        open.handle = kIngestHandle;
        open.mode = static_cast<uint8_t>(OpenRunFrame::kCreateIfMissing |
                                         (request_.number > 1 ? OpenRunFrame::kResume : 0));
        open.first_number = request_.number;
        open.project = request_.project;
        open.run = request_.run;
        number_ = request_.number;
        send_change(encode_open_run_frame(open));
    }

  private:
    LocalSession::Peer& peer() { return *this; }
    bool wants_frames() const override { return true; }
    void on_frame(const FrameHeader& header, Bytes body) override;
    void on_finished() override {
        finish_with(Error(ErrorCode::kUnavailable, "the session has ended"), std::nullopt);
    }
    void on_opened(const RunOpened& opened);
    void on_ack(const FrameHeader& header, Bytes body);
    void on_error(const FrameHeader& header, Bytes body);

    void send_change(std::vector<std::byte> frame) {
        ++sent_;
        session_.send(std::move(frame));
    }
    void finish_if_settled();
    void finish_with(const Error& error, std::optional<uint64_t> row);
    void answer(unsigned status, std::string body) {
        if (!std::exchange(has_answered_, true)) {
            HttpResponse response(status, std::move(body));
            response.type = kJsonType;
            reply_.answer(std::move(response));
        }
    }

    IngestRequest request_;
    LocalSession session_;
    HttpReply& reply_;
    uint64_t number_ = 1;   // of the next numbered frame
    uint64_t sent_ = 0;     // changing frames
    uint64_t settled_ = 0;  // of these
    uint64_t late_rows_ = 0;
    uint64_t rows_ = 0;  // of frames that were not refused
    uint32_t attempt_ = 0;
    bool is_open_ = false;  // all frames are sent
    bool has_answered_ = false;
    std::map<uint64_t, size_t> parts_;  // by ordinal: of rows
    std::optional<Error> error_;        // the first
    std::optional<uint64_t> bad_row_;
};

void IngestWork::on_frame(const FrameHeader& header, Bytes body) {
    if (header.type == FrameType::kRunOpened) {
        const Result<RunOpened> opened = decode_run_opened(body);
        CHECK(opened, "a run_opened of our own: {}", opened.error().message());
        on_opened(*opened);
    } else if (header.type == FrameType::kAck) {
        on_ack(header, body);
    } else if (header.type == FrameType::kError) {
        on_error(header, body);
    }
}

void IngestWork::on_opened(const RunOpened& opened) {
    attempt_ = request_.attempt.value_or(opened.attempt);
    if (!request_.changes.empty()) {
        SetAttributesFrame frame;
        frame.handle = kIngestHandle;
        frame.changes = std::move(request_.changes);
        send_change(encode_set_attributes_frame(frame, number_++));
    }
    std::set<SchemaHash> named;
    for (size_t at = 0; at < request_.parts.size(); ++at) {
        IngestRequest::Part& part = request_.parts[at];
        if (named.insert(part.schema->hash()).second) {
            for (auto& frame : encode_schema_frames(request_.project, *part.schema)) {
                send_change(std::move(frame));
            }
        }
        send_change(part.rows->finish(kIngestHandle, attempt_, number_++));
        parts_.emplace(sent_, at);
        rows_ += part.row_count;
    }
    if (request_.state) {
        FinishRunFrame finish;
        finish.handle = kIngestHandle;
        finish.attempt = attempt_;
        finish.state = *request_.state;
        send_change(encode_finish_run_frame(finish, number_++));
    }
    is_open_ = true;
    finish_if_settled();
}

void IngestWork::on_ack(const FrameHeader& header, Bytes body) {
    const Result<AckMessage> ack = AckMessage::decode(body);
    CHECK(ack, "an ack of our own: {}", ack.error().message());
    late_rows_ += ack->late_rows;
    settled_ = std::max(settled_, header.number);
    finish_if_settled();
}

void IngestWork::on_error(const FrameHeader& header, Bytes body) {
    const Result<ErrorMessage> message = ErrorMessage::decode(body);
    CHECK(message, "an error of our own: {}", message.error().message());
    if (message->scope != ErrorScope::kChange) {
        return finish_with(message->to_error(), std::nullopt);
    }
    settled_ = std::max(settled_, header.number);
    const auto part = parts_.find(header.number);
    if (part != parts_.end()) {
        rows_ -= request_.parts[part->second].row_count;
    }
    if (!error_) {
        error_ = message->to_error();
        if (part != parts_.end()) {
            bad_row_ = request_.parts[part->second].first_row + message->position.row.value_or(0);
        }
    }
    // Of a run that was not opened nothing comes.
    is_open_ = is_open_ || header.number == 1;
    finish_if_settled();
}

void IngestWork::finish_if_settled() {
    if (!is_open_ || settled_ < sent_) {
        return;
    }
    if (error_) {
        return finish_with(*error_, bad_row_);
    }
    std::string body = "{\"run\":";
    append_json_text(body, request_.project + "/" + request_.run);
    body += fmt::format(",\"attempt\":{},\"rows\":{},\"late_rows\":{},\"next_number\":{}}}\n",
                        attempt_, request_.row_count, late_rows_, number_);
    answer(200, std::move(body));
}

void IngestWork::finish_with(const Error& error, std::optional<uint64_t> row) {
    std::string body = "{\"error\":" + api_error_text(error);
    body.pop_back();
    body += row ? fmt::format(",\"row\":{}}},\"rows\":{}}}\n", *row, rows_)
                : fmt::format("}},\"rows\":{}}}\n", is_open_ ? rows_ : 0);
    answer(describe_http_error(error).status, std::move(body));
}

}  // namespace

void add_ingest_route(HttpRoutes& routes, const SessionServices& services,
                      LocalSessions& sessions) {
    const auto begin = [&services, &sessions](HttpRequest request,
                                              HttpReply& reply) -> std::unique_ptr<HttpWork> {
        Admission admission;  // asked for again by the session, which keeps its own
        if (auto refusal = admit_http(services.access, request, admission)) {
            reply.answer(*std::move(refusal));
            return std::make_unique<HttpWork>();
        }
        admission = Admission();
        Result<IngestRequest> asked = read_ingest_json(request.body);
        if (!asked) {
            reply.answer(describe_api_error(asked.error()));
            return std::make_unique<HttpWork>();
        }
        auto work = std::make_unique<IngestWork>(sessions, reply);
        work->start(*std::move(asked), request.token);
        return work;
    };
    routes.add_worker("POST", "/api/ingest", begin, kIngestBodyBytesMax);
}

}  // namespace stepdb
