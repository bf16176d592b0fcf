#include "net/http_query.h"

#include <fmt/format.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/answer_encoder.h"
#include "net/deflate_stream.h"
#include "net/http_access.h"
#include "net/query_request.h"

namespace stepdb {

namespace {

// Blocks wanted of a query and not yet sent.
constexpr uint32_t kHttpBlocksWanted = 2;
// A streamed answer goes on when less than that is unsent.
constexpr size_t kHttpUnsentMax = 1U << 20U;
// Of the queries of one request, as many are computed at a time.
constexpr size_t kHttpQueriesAtOnce = 16;

// One query and its answer, as bytes.
class QueryAnswer final : public ResultSink {
  public:
    // What is done with them.
    class Taker {
      public:
        virtual ~Taker() = default;
        virtual void on_piece(QueryAnswer& answer, EncodedPiece piece) = 0;
        virtual void on_done(QueryAnswer& answer) = 0;
        virtual void on_failed(QueryAnswer& answer, const Error& error) = 0;
        virtual const void* asker() const = 0;
    };

    QueryAnswer(Taker& taker, size_t index, std::string text)
        : taker_(taker), index_(index), text_(std::move(text)) {}

    void start(QueryService& service, QueryText query, AnswerStyle style) {
        encoder_ = make_answer_encoder(std::move(style));
        query_ = service.start(std::move(query), *this);
        query_->want(kHttpBlocksWanted);
    }
    void want_block() { query_->want(1); }
    void note_client_gone() { query_->note_client_gone(); }

    size_t index() const { return index_; }
    const std::string& text() const { return text_; }

    void on_columns(std::vector<ResultColumn> /*columns*/) override {}
    void on_block(ResultBlock /*block*/) override {}
    void on_blocks_returned(uint32_t blocks) override { returned_ += blocks; }
    void on_resumed() override { query_->want(std::exchange(returned_, 0)); }
    void on_encoded(EncodedPiece piece) override { taker_.on_piece(*this, std::move(piece)); }
    void on_end(QueryEnd /*end*/) override { taker_.on_done(*this); }
    void on_error(Error error) override { taker_.on_failed(*this, error); }
    std::shared_ptr<AnswerEncoder> encoder() override { return encoder_; }
    const void* asker() const override { return taker_.asker(); }

  private:
    Taker& taker_;
    const size_t index_;
    const std::string text_;
    std::shared_ptr<AnswerEncoder> encoder_;
    uint32_t returned_ = 0;
    std::unique_ptr<RunningQuery> query_;
};

// What works on queries have in common: a token that may end while they are computed, and a body
// that may be compressed.
class QueryWorkBase : public HttpWork, protected QueryAnswer::Taker {
  public:
    QueryWorkBase(const SessionServices& services, Admission admission, bool wants_gzip,
                  HttpReply& reply)
        : services_(services),
          admission_(std::move(admission)),
          is_compressed_(wants_gzip),
          reply_(reply) {}

    void tick() override {
        const Status allowed =
            services_.access == nullptr ? Status() : services_.access->check(admission_);
        if (!allowed && !std::exchange(has_ended_, true)) {
            fail(allowed.error(), "");
        }
    }

  protected:
    QueryAnswer::Taker& taker() { return *this; }
    const void* asker() const override { return &reply_; }
    bool is_compressed() const { return is_compressed_; }
    bool has_ended() const { return has_ended_; }

    void fail(const Error& error, std::string_view query) {
        has_ended_ = true;
        if (reply_.has_begun()) {
            return reply_.cut_off();
        }
        reply_.answer(describe_api_error(error, query));
    }
    // Of an answer with one piece, which gives its length.
    void begin(const char* type, const EncodedPiece* whole) {
        HttpResponse head;
        head.type = type;
        head.fields.emplace_back("Vary", "Accept-Encoding");
        std::optional<uint64_t> length;
        if (whole != nullptr) {
            length = whole->bytes.size() + (is_compressed_ ? kGzipFrameBytes : 0);
        }
        if (is_compressed_) {
            head.fields.emplace_back("Content-Encoding", "gzip");
        }
        reply_.begin(std::move(head), length);
        if (is_compressed_) {
            reply_.put(HttpPiece(GzipFrame::head()));
        }
    }
    void put(EncodedPiece piece) {
        gzip_.count(piece.plain_bytes, piece.plain_crc);
        HttpPiece out(std::move(piece.bytes));
        out.charge = std::move(piece.charge);
        reply_.put(std::move(out));
    }
    void end() {
        has_ended_ = true;
        if (is_compressed_) {
            reply_.put(HttpPiece(gzip_.end()));
        }
        reply_.end();
    }
    Status take_rate() {
        Status allowed = take_query(admission_, services_.steady_now());
        services_.counts->queries_limited += allowed ? 0U : 1U;
        return allowed;
    }

    const SessionServices& services_;
    const Admission admission_;

  private:
    static constexpr size_t kGzipFrameBytes = GzipFrame::kHeadBytes + GzipFrame::kEndBytes;

    const bool is_compressed_;
    GzipFrame gzip_;
    bool has_ended_ = false;

  protected:
    HttpReply& reply_;
};

class QueryWork final : public QueryWorkBase {
  public:
    using QueryWorkBase::QueryWorkBase;

    void start(QueryRequest request) {
        const Status allowed = take_rate();
        if (!allowed) {
            return fail(allowed.error(), "");
        }
        format_ = request.format;
        AnswerStyle style;
        style.format = request.format;
        style.is_compressed = is_compressed();
        style.tail = "\n";
        request.query.rights = admission_.rights;
        answer_ = std::make_unique<QueryAnswer>(taker(), 0, request.query.text);
        answer_->start(services_.queries, std::move(request.query), std::move(style));
    }

    void on_sent() override { want_more(); }
    void on_gone() override {
        if (answer_ != nullptr) {
            answer_->note_client_gone();
        }
    }

  private:
    void on_piece(QueryAnswer& /*answer*/, EncodedPiece piece) override {
        if (has_ended()) {
            return;
        }
        ++taken_;
        if (!piece.bytes.empty()) {
            if (!reply_.has_begun()) {
                begin(content_type_of(format_), is_streamed(format_) ? nullptr : &piece);
            }
            put(std::move(piece));
        }
        want_more();
    }
    void on_done(QueryAnswer& /*answer*/) override {
        if (!has_ended()) {
            end();
        }
    }
    void on_failed(QueryAnswer& answer, const Error& error) override {
        if (!has_ended()) {
            fail(error, answer.text());
        }
    }
    // One block more for each that was taken, while the peer reads them.
    void want_more() {
        while (taken_ > 0 && !has_ended() && reply_.unsent_bytes() < kHttpUnsentMax) {
            --taken_;
            answer_->want_block();
        }
    }

    AnswerFormat format_ = AnswerFormat::kJson;
    uint32_t taken_ = 0;
    std::unique_ptr<QueryAnswer> answer_;
};

// A line of JSON for each query, in the order in which they end.
class QueriesWork final : public QueryWorkBase {
  public:
    using QueryWorkBase::QueryWorkBase;

    void start(std::vector<QueryText> queries) {
        begin("application/x-ndjson", nullptr);
        for (QueryText& query : queries) {
            waiting_.push_back(std::move(query));
        }
        answers_.resize(waiting_.size());
        start_some();
    }

    void on_gone() override {
        for (const auto& answer : answers_) {
            if (answer != nullptr) {
                answer->note_client_gone();
            }
        }
    }
    // What has been computed is read before more is.
    void on_sent() override { start_some(); }

  private:
    void start_some() {
        while (!has_ended() && !waiting_.empty() && running_ < kHttpQueriesAtOnce &&
               reply_.unsent_bytes() < kHttpUnsentMax) {
            QueryText query = std::move(waiting_.front());
            waiting_.pop_front();
            start_one(std::move(query));
        }
        if (waiting_.empty() && running_ == 0 && !has_ended()) {
            end();
        }
    }

    void start_one(QueryText query) {
        const size_t index = started_++;
        const Status allowed = take_rate();
        if (!allowed) {
            return put_error(index, allowed.error(), "");
        }
        ++running_;
        AnswerStyle style;
        style.is_compressed = is_compressed();
        style.lead = fmt::format("\"index\":{},", index);
        style.tail = "\n";
        query.rights = admission_.rights;
        answers_[index] = std::make_unique<QueryAnswer>(taker(), index, query.text);
        answers_[index]->start(services_.queries, std::move(query), std::move(style));
    }

    void put_error(size_t index, const Error& error, std::string_view query) {
        std::string line =
            fmt::format("{{\"index\":{},\"error\":", index) + api_error_text(error, query) + "}\n";
        EncodedPiece piece;
        piece.plain_bytes = line.size();
        if (is_compressed()) {
            piece.plain_crc = crc_of(line);
            line = DeflateStream().add(line);
        }
        piece.bytes = std::move(line);
        put(std::move(piece));
    }

    void on_piece(QueryAnswer& answer, EncodedPiece piece) override {
        if (has_ended()) {
            return;
        }
        if (piece.bytes.empty()) {
            return answer.want_block();
        }
        put(std::move(piece));
    }
    void on_done(QueryAnswer& answer) override { finish(answer); }
    void on_failed(QueryAnswer& answer, const Error& error) override {
        if (!has_ended()) {
            put_error(answer.index(), error, answer.text());
        }
        finish(answer);
    }
    // Not freed at once, as it is what calls.
    void finish(QueryAnswer& answer) {
        done_ = std::move(answers_[answer.index()]);
        --running_;
        start_some();
    }

    std::deque<QueryText> waiting_;
    std::vector<std::unique_ptr<QueryAnswer>> answers_;  // by index; null: not begun, or done
    std::unique_ptr<QueryAnswer> done_;                  // the last
    size_t started_ = 0;
    size_t running_ = 0;
};

// `read` makes of the request what Work starts with.
template <typename Work, typename Read>
HttpWorker query_worker(const SessionServices& services, Read read) {
    return [&services, read](HttpRequest request, HttpReply& reply) -> std::unique_ptr<HttpWork> {
        Admission admission;
        if (auto refusal = admit_http(services.access, request, admission)) {
            reply.answer(*std::move(refusal));
            return std::make_unique<HttpWork>();
        }
        auto asked = read(request);
        if (!asked) {
            reply.answer(describe_api_error(asked.error()));
            return std::make_unique<HttpWork>();
        }
        auto work =
            std::make_unique<Work>(services, std::move(admission), request.wants_gzip, reply);
        work->start(*std::move(asked));
        return work;
    };
}

}  // namespace

void add_query_routes(HttpRoutes& routes, const SessionServices& services) {
    routes.add_worker("GET", "/api/query",
                      query_worker<QueryWork>(services, [](const HttpRequest& request) {
                          return read_query_target(request.query);
                      }));
    routes.add_worker(
        "POST", "/api/query",
        query_worker<QueryWork>(
            services, [](const HttpRequest& request) { return read_query_json(request.body); }),
        kQueryBodyBytesMax);
    routes.add_worker(
        "POST", "/api/queries",
        query_worker<QueriesWork>(
            services, [](const HttpRequest& request) { return read_queries_json(request.body); }),
        kQueryBodyBytesMax);
}

}  // namespace stepdb
