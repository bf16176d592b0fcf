#include "net/client.h"

#include "engine/model/limits.h"

namespace stepdb {

Result<std::unique_ptr<Client>> Client::connect(ClientOptions options) {
    std::unique_ptr<Client> client(new Client(std::move(options)));
    TRY_ASSIGN(client->connection_, ClientConnection::connect(client->options_, *client));
    return client;
}

Client::~Client() = default;

Status Client::wait() {
    TRY_ASSIGN(const bool is_ready, connection_->wait(options_.silence_time_max));
    if (!is_ready) {
        return connection_->fail(make_error(ErrorCode::kUnavailable,
                                            "{}:{} did not answer for {} ms", options_.host,
                                            options_.port, options_.silence_time_max.count()));
    }
    return {};
}

Status Client::wait_for(std::chrono::microseconds time_max) {
    const Result<bool> is_ready = connection_->wait(time_max);
    return is_ready ? Status() : Status(is_ready.error());
}

Status Client::poll() {
    return connection_->poll();
}

Status Client::push() {
    return connection_->push();
}

Status Client::send_bytes(Bytes bytes) {
    TRY(connection_->send(bytes));
    return poll();
}

// --- Changes ---

Result<uint64_t> Client::send_change(Bytes frame) {
    TRY(connection_->send(frame));
    const uint64_t ordinal = connection_->count_change();
    unanswered_.push_back(frame.size());
    unanswered_bytes_ += frame.size();
    if (frame.size() >= ClientConnection::kSendBytes ||
        connection_->unsent_bytes() >= ClientConnection::kSendBytes) {
        TRY(poll());
    }
    while (unanswered_bytes_ > options_.unanswered_bytes_max) {
        TRY(wait());
    }
    return ordinal;
}

Status Client::define_schema(std::string_view project, const Schema& schema) {
    for (const auto& frame : encode_schema_frames(project, schema)) {
        const Result<uint64_t> sent = send_change(frame);
        if (!sent) {
            return sent.error();
        }
    }
    return {};
}

Result<ClientRun> Client::open_run(std::string_view project, std::string_view run, uint8_t mode,
                                   uint64_t first_number) {
    OpenRunFrame open;
    open.mode = mode;
    open.first_number = first_number;
    open.project = project;
    open.run = run;
    return this->open(open);
}

Result<ClientRun> Client::fork_run(std::string_view project, std::string_view run,
                                   std::string_view parent, double fork_step) {
    OpenRunFrame open;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.project = project;
    open.run = run;
    open.parent = parent;
    open.fork_step = fork_step;
    return this->open(open);
}

Result<ClientRun> Client::open(OpenRunFrame open) {
    open.handle = next_handle_++;
    opening_ = connection_->changes() + 1;
    TRY_ASSIGN(const uint64_t ordinal, send_change(encode_open_run_frame(open)));
    while (!opened_.contains(ordinal)) {
        TRY(wait());
    }
    opening_.reset();
    const Result<RunOpened> outcome = std::move(opened_.extract(ordinal).mapped());
    TRY_ASSIGN(const RunOpened opened, outcome);
    ClientRun made;
    made.handle = open.handle;
    made.attempt = opened.attempt;
    made.run = opened.run;
    made.next_number = std::max(open.first_number, opened.last_number + 1);
    made.created = opened.created;
    return made;
}

Result<uint64_t> Client::send_rows(ClientRun& run, RowsBuilder& rows, bool compress) {
    return send_change(rows.finish(run.handle, run.attempt, run.next_number++, compress));
}

Result<uint64_t> Client::finish_run(ClientRun& run, RunState state) {
    FinishRunFrame finish;
    finish.handle = run.handle;
    finish.attempt = run.attempt;
    finish.state = state;
    return send_change(encode_finish_run_frame(finish, run.next_number++));
}

Result<FlushReport> Client::flush() {
    // A server that stops answers everything and then says so: what it answered counts.
    Status status = poll();
    while (!unanswered_.empty()) {
        TRY(status);
        status = wait();
    }
    return std::exchange(report_, FlushReport());
}

// --- Queries ---

namespace {

// How long a watch that hears nothing waits before it asks whether to stop: a signal may have come
// just before it began to wait.
constexpr std::chrono::milliseconds kStopSeenWithin{500};

Status check_text(std::string_view text) {
    if (text.size() > kQueryTextBytesMax) {
        return make_error(ErrorCode::kInvalidArgument, "query of {} bytes; at most {} are allowed",
                          text.size(), kQueryTextBytesMax);
    }
    return {};
}

}  // namespace

Result<QueryEnd> Client::query(std::string_view text, const AnswerHandler& handler,
                               const QueryParameters& parameters) {
    TRY(check_text(text));
    return ask([&](uint64_t request) { return encode_query(text, request, parameters); }, handler);
}

Result<QueryEnd> Client::backup(std::string_view directory, const AnswerHandler& handler) {
    if ((server().features & kFeatureBackup) == 0) {
        return make_error(ErrorCode::kUnavailable,
                          "the server ({}) is older than `backup`; stop it and back its data up "
                          "without it, or update it",
                          server().server);
    }
    return ask([&](uint64_t request) { return encode_backup(directory, request); }, handler);
}

Result<QueryEnd> Client::ask(const std::function<std::vector<std::byte>(uint64_t request)>& encode,
                             const AnswerHandler& handler) {
    query_.emplace();
    query_->request = next_request_++;
    query_->handler = &handler;
    TRY(connection_->send(encode(query_->request)));
    while (!query_->outcome) {
        TRY(wait());
        if (!query_->outcome && !query_->is_cancelled && handler.should_stop &&
            handler.should_stop()) {
            TRY(cancel());
        }
    }
    Result<QueryEnd> outcome = std::move(*query_->outcome);
    query_.reset();
    return outcome;
}

Status Client::watch(std::string_view text, const UpdateHandler& handler,
                     const QueryParameters& parameters) {
    TRY(check_text(text));
    if ((server().features & kFeatureWatch) == 0) {
        return make_error(ErrorCode::kUnavailable,
                          "the server ({}) is older than `watch`; ask it again and again instead",
                          server().server);
    }
    query_.emplace();
    query_->request = next_request_++;
    query_->updates = &handler;
    TRY(connection_->send(encode_watch(text, query_->request, parameters)));
    while (!query_->outcome) {
        TRY(wait_for(kStopSeenWithin));
        if (!query_->outcome && !query_->is_cancelled &&
            (!query_->update_taken || (handler.should_stop && handler.should_stop()))) {
            TRY(cancel());
        }
    }
    const OpenQuery ended = *std::move(query_);
    query_.reset();
    TRY(ended.update_taken);
    return ended.is_cancelled ? Status() : Status(ended.outcome->error());
}

Status Client::cancel() {
    query_->is_cancelled = true;
    return connection_->send(encode_cancel(query_->request));
}

// --- What comes ---

void Client::settle(uint64_t ordinal) {
    uint64_t first = connection_->changes() - unanswered_.size() + 1;
    for (; first <= ordinal && !unanswered_.empty(); ++first) {
        unanswered_bytes_ -= unanswered_.front();
        unanswered_.pop_front();
    }
}

void Client::on_ack(uint64_t ordinal, uint64_t late_rows) {
    settle(ordinal);
    report_.late_rows += late_rows;
}

void Client::on_opened(uint64_t ordinal, const RunOpened& opened) {
    if (opening_ == ordinal) {
        opened_.emplace(ordinal, opened);
    }
}

void Client::on_refused(uint64_t ordinal, ErrorMessage error) {
    settle(ordinal);
    if (opening_ == ordinal) {
        opened_.emplace(ordinal, error.to_error());
        return;
    }
    ++report_.refused_frames;
    if (report_.refused.size() < FlushReport::kRefusedKept) {
        report_.refused.emplace_back(ordinal, std::move(error));
    }
}

void Client::on_request_failed(uint64_t request, const Error& error) {
    if (query_ && query_->request == request) {
        query_->outcome = error;
    }
}

Status Client::on_answer(const ReceivedFrame& frame) {
    if (!query_ || query_->request != frame.header.number) {
        return {};
    }
    const Bytes body = frame_body(frame.bytes);
    if (frame.header.type == FrameType::kResultColumns) {
        TRY_ASSIGN(query_->columns, decode_result_columns(body));
        if (query_->handler != nullptr && query_->handler->on_columns) {
            query_->handler->on_columns(query_->columns);
        }
    } else if (frame.header.type == FrameType::kResultBlock) {
        TRY_ASSIGN(ResultBlock block, decode_result_block(body, query_->columns));
        if (query_->updates != nullptr) {
            query_->blocks.push_back(std::move(block));
        } else if (!query_->is_cancelled && query_->handler->on_block &&
                   !query_->handler->on_block(block)) {
            return cancel();
        }
    } else if (frame.header.type == FrameType::kResultUpdate) {
        return take_update(body);
    } else {
        query_->outcome = QueryEnd::decode(body);
        if (!*query_->outcome) {
            return query_->outcome->error();
        }
    }
    return {};
}

Status Client::take_update(Bytes body) {
    TRY_ASSIGN(const ResultUpdate update, ResultUpdate::decode(body));
    const std::vector<ResultBlock> blocks = std::exchange(query_->blocks, {});
    if (query_->updates != nullptr && !query_->is_cancelled && query_->update_taken) {
        query_->update_taken = query_->updates->on_update(query_->columns, blocks, update);
    }
    return {};
}

}  // namespace stepdb
