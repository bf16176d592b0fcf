#include "tools/bench/page_asker.h"

#include "engine/base/check.h"
#include "engine/model/limits.h"

namespace stepdb {

Result<std::unique_ptr<PageAsker>> PageAsker::connect(const ClientOptions& options) {
    std::unique_ptr<PageAsker> asker(new PageAsker(options));
    TRY_ASSIGN(asker->connection_, ClientConnection::connect(asker->options_, *asker));
    return asker;
}

Result<std::chrono::nanoseconds> PageAsker::ask(std::span<const std::string> texts,
                                                const PageHandler& handler) {
    CHECK(texts.size() <= kQueriesPerConnectionMax, "{} questions", texts.size());
    const auto since = std::chrono::steady_clock::now();
    first_request_ = next_request_;
    columns_.assign(texts.size(), {});
    handler_ = &handler;
    unanswered_ = texts.size();
    failed_.reset();
    for (const std::string& text : texts) {
        TRY(connection_->send(encode_query(text, next_request_++)));
    }
    while (unanswered_ > 0) {
        TRY_ASSIGN(const bool is_ready, connection_->wait(options_.silence_time_max));
        if (!is_ready) {
            return connection_->fail(make_error(ErrorCode::kUnavailable,
                                                "{}:{} did not answer for {} ms", options_.host,
                                                options_.port, options_.silence_time_max.count()));
        }
    }
    handler_ = nullptr;
    if (failed_) {
        return *failed_;
    }
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() -
                                                                since);
}

void PageAsker::on_request_failed(uint64_t request, const Error& error) {
    if (unanswered_ > 0 && request >= first_request_) {
        --unanswered_;
        failed_ = failed_.value_or(error);
    }
}

Status PageAsker::on_answer(const ReceivedFrame& frame) {
    const uint64_t request = frame.header.number;
    if (handler_ == nullptr || request < first_request_ || request >= next_request_) {
        return {};
    }
    const size_t at = request - first_request_;
    const Bytes body = frame_body(frame.bytes);
    if (frame.header.type == FrameType::kResultColumns) {
        TRY_ASSIGN(columns_[at], decode_result_columns(body));
        if (handler_->on_columns) {
            handler_->on_columns(at, columns_[at]);
        }
    } else if (frame.header.type == FrameType::kResultBlock) {
        TRY_ASSIGN(const ResultBlock block, decode_result_block(body, columns_[at]));
        if (handler_->on_block) {
            handler_->on_block(at, block);
        }
    } else {
        TRY(QueryEnd::decode(body));
        --unanswered_;
    }
    return {};
}

}  // namespace stepdb
