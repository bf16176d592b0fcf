#include "net/session.h"

#include <algorithm>

#include "engine/model/rows_size.h"
#include "net/session_reply.h"

namespace stepdb {

namespace {

// A frame smaller than this needs no reservation: it fits the buffers of one read.
constexpr size_t kReserveFrom = FrameStream::kReadBytesMin;

}  // namespace

Session::Session(const SessionServices& services, std::function<void()> wake)
    : services_(services),
      connection_(services.channels.number_connection()),
      wake_(std::move(wake)) {}

Session::~Session() {
    abandon();
}

void Session::abandon() {
    state_ = State::kClosing;
    services_.receive.release(reserved_);
    reserved_ = 0;
    if (channel_) {
        // The engine may hold the frames for some time yet.
        channel_->give_up(
            [&budget = services_.receive, bytes = receive_bytes_] { budget.release(bytes); });
        channel_.reset();
    }
    receive_bytes_ = 0;
    for (const auto& [request, reply] : queries_) {
        reply->abandon();
    }
    queries_.clear();
    ended_.clear();
    results_.clear();
    control_.clear();
    control_bytes_ = 0;
    ack_.reset();
    in_flight_.clear();
    last_words_.reset();
    admission_ = Admission();
    services_.send.release(send_bytes_);
    send_bytes_ = 0;
    sending_bytes_ = 0;
    blocks_unsent_ = 0;
}

// --- Input ---

void Session::commit(size_t bytes) {
    services_.counts->received_bytes += bytes;
    stream_.commit(bytes);
    read_frames();
}

void Session::read_frames() {
    while (state_ != State::kClosing) {
        Result<std::optional<ReceivedFrame>> next = stream_.next();
        if (!next) {
            fail(std::move(next).error());
            break;
        }
        if (!next->has_value()) {
            break;
        }
        ++frames_read_;
        ++services_.counts->frames;
        handle(**std::move(next));
    }
    if (channel_) {
        channel_->flush();
    }
    grant_blocks();
}

void Session::handle(ReceivedFrame frame) {
    const FrameType type = frame.header.type;
    const uint64_t number = frame.header.number;
    if (state_ == State::kAwaitingHello) {
        handle_hello(frame);
    } else if (is_change(type)) {
        handle_change(std::move(frame));
    } else if (type == FrameType::kQuery || type == FrameType::kWatch ||
               type == FrameType::kBackup) {
        handle_request(frame);
    } else if (type == FrameType::kCancel) {
        if (queries_.contains(number)) {
            cancel_query(number, Error(ErrorCode::kCancelled, "cancelled as asked"));
        }
    } else if (type == FrameType::kHello) {
        refuse(ErrorScope::kFrame, number,
               Error(ErrorCode::kFailedPrecondition, "hello comes once, as the first frame"));
    } else {
        refuse(ErrorScope::kFrame, number,
               make_error(ErrorCode::kInvalidArgument,
                          "frame type {} ({}) is not one a client sends; it was ignored",
                          static_cast<unsigned>(type), frame_type_name(type)));
    }
    if (reserved_ != 0) {
        services_.receive.release(std::exchange(reserved_, 0));
    }
}

void Session::handle_hello(const ReceivedFrame& frame) {
    if (frame.header.type != FrameType::kHello) {
        fail(make_error(ErrorCode::kFailedPrecondition, "the first frame is {}; it must be hello",
                        frame_type_name(frame.header.type)));
        return;
    }
    Result<HelloMessage> hello = HelloMessage::decode(frame_body(frame.bytes));
    if (!hello) {
        fail(std::move(hello).error());
        return;
    }
    const Status admitted = admit(*hello);
    if (!admitted) {
        ++services_.counts->hellos_refused;
        fail(admitted.error());
        return;
    }
    writer_ = hello->writer;
    state_ = State::kOpen;
    HelloOkMessage answer;
    answer.features = hello->features & kFeaturesKnown;
    answer.store = services_.store;
    answer.server = services_.server_name;
    put_control(encode_hello_ok(answer));
}

Status Session::admit(const HelloMessage& hello) {
    if (services_.access != nullptr) {
        TRY_ASSIGN(admission_, services_.access->admit(hello.token));
    }
    return {};
}

void Session::check_access() {
    if (state_ != State::kOpen || services_.access == nullptr) {
        return;
    }
    const Status allowed = services_.access->check(admission_);
    if (!allowed) {
        fail(allowed.error());
        wake_();
    }
}

void Session::handle_change(ReceivedFrame frame) {
    if (writer_.is_zero()) {
        fail(make_error(ErrorCode::kFailedPrecondition,
                        "a {} frame on a connection whose hello named no writer; only reading is "
                        "possible without one",
                        frame_type_name(frame.header.type)));
        return;
    }
    if (!channel_) {
        channel_ = services_.channels.open(writer_, *this, connection_, admission_.rights);
    }
    charge_rows(frame);
    note_unpacking(frame);
    const size_t bytes = frame.header.length + kFrameOverheadBytes;
    // What was reserved becomes what is charged.
    services_.receive.release(std::exchange(reserved_, 0));
    services_.receive.charge(bytes);
    receive_bytes_ += bytes;
    receive_full_ = receive_full_ || receive_bytes_ > services_.limits.receive_bytes_max;
    in_flight_.push_back(frame.header.length);
    ++submitted_;
    channel_->submit(std::move(frame));
}

// By what the frame says of itself, whatever becomes of it.
void Session::charge_rows(const ReceivedFrame& frame) {
    if (admission_.rates == nullptr || frame.header.type != FrameType::kRows) {
        return;
    }
    const Result<RowsView::Head> head = RowsView::decode_head(frame_body(frame.bytes));
    if (head) {
        admission_.rates->rows.take(head->rows, services_.steady_now());
    }
}

// Of what is much larger than what was sent, in case that it is refused.
void Session::note_unpacking(const ReceivedFrame& frame) {
    const size_t unpacked = frame.header.type == FrameType::kRows
                                ? unpacked_bytes_declared(frame_body(frame.bytes))
                                : 0;
    if (unpacked > frame.header.length * kUnpackedFreely) {
        unpacking_.push_back(Unpacking{submitted_ + 1, unpacked});
    }
}

std::chrono::microseconds Session::rate_wait() const {
    // A connection that has sent no changes may cancel and ask, whatever others of its token do.
    if (channel_ == nullptr || state_ == State::kClosing) {
        return std::chrono::microseconds(0);
    }
    const RateLimit::Time now = services_.steady_now();
    const std::chrono::microseconds waste = wasted_.wait(0, now);
    return admission_.rates == nullptr ? waste
                                       : std::max(waste, admission_.rates->rows.wait(0, now));
}

Status Session::check_query_rate(const ReceivedFrame& frame) {
    if (frame.header.type == FrameType::kBackup) {
        return {};
    }
    Status allowed = take_query(admission_, services_.steady_now());
    services_.counts->queries_limited += allowed ? 0U : 1U;
    return allowed;
}

void Session::handle_request(const ReceivedFrame& frame) {
    const uint64_t request = frame.header.number;
    if (queries_.contains(request)) {
        // Its answer could not be told from the first one's, so it is no answer of that request.
        refuse(ErrorScope::kFrame, request,
               make_error(ErrorCode::kAlreadyExists,
                          "request {} is still being answered; number queries anew", request));
        return;
    }
    if (queries_.size() >= services_.limits.queries_max) {
        refuse(ErrorScope::kRequest, request,
               make_error(ErrorCode::kResourceExhausted,
                          "{} queries are open on this connection; wait for one or cancel it",
                          queries_.size()));
        return;
    }
    const Status allowed = check_query_rate(frame);
    const Status started = allowed ? start_request(frame) : allowed;
    if (!started) {
        refuse(ErrorScope::kRequest, request, started.error());
        return;
    }
    list_wanting(request);
}

Status Session::start_request(const ReceivedFrame& frame) {
    const Bytes body = frame_body(frame.bytes);
    const uint64_t request = frame.header.number;
    const auto add_reply = [&]() -> Reply& {
        auto& reply = queries_[request];
        reply = std::make_unique<Reply>(*this, request, ++queries_started_);
        return *reply;
    };
    if (frame.header.type == FrameType::kBackup) {
        TRY_ASSIGN(std::string directory, decode_backup(body));
        TRY(check_store_right(admission_.rights.get(), Right::kAdmin, "back up the store"));
        add_reply().back_up(services_.queries, std::move(directory));
        return {};
    }
    TRY_ASSIGN(QueryText query, decode_query(body));
    query.rights = admission_.rights;
    if (frame.header.type == FrameType::kWatch) {
        add_reply().watch(services_.queries, std::move(query));
    } else {
        add_reply().start(services_.queries, std::move(query));
    }
    return {};
}

void Session::refuse(ErrorScope scope, uint64_t number, const Error& error) {
    put_control(encode_error(ErrorMessage(scope, error), number));
}

void Session::fail(Error error) {
    state_ = State::kClosing;
    last_words_ = std::move(error);
    // Queries of a peer that breaks the protocol are not worth finishing.
    while (!queries_.empty()) {
        cancel_query(queries_.begin()->first,
                     Error(ErrorCode::kCancelled, "the connection is being closed"));
    }
    finish_if_idle();
}

void Session::end_input() {
    if (state_ == State::kClosing) {
        return;
    }
    state_ = State::kClosing;
    has_input_ended_ = true;
    if (stream_.partial_bytes() != 0) {
        last_words_ = make_error(ErrorCode::kInvalidArgument,
                                 "the connection ended within a frame, after {} bytes of it",
                                 stream_.partial_bytes());
    }
    // They would go on for ever.
    cancel_those(&Reply::is_watch,
                 Error(ErrorCode::kCancelled, "the client has closed its sending side"));
    finish_if_idle();
}

void Session::probe_peer() {
    if (!has_input_ended_ || queries_.empty() || has_output()) {
        return;
    }
    ack_ = PendingAck{};
    ack_->ordinal = submitted_ - in_flight_.size();
    wake_();
}

void Session::shut_down(Error reason) {
    if (state_ == State::kClosing) {
        return;
    }
    state_ = State::kClosing;
    const Error why = std::move(reason);
    last_words_ = why;  // they are gone when nothing is open any more
    // They would go on for ever, or for longer than anybody waits for a server to end.
    cancel_those(&Reply::is_watch, why);
    cancel_those(&Reply::is_backup, why);
    finish_if_idle();
}

bool Session::wants_input() {
    if (state_ == State::kClosing || control_bytes_ > kControlBytesUnsentMax || receive_full_ ||
        rate_wait().count() > 0 || in_flight_.size() >= services_.limits.frames_in_flight_max ||
        (control_bytes_ != 0 && services_.send.full())) {
        return false;
    }
    const size_t begun = stream_.begun_frame_bytes();
    if (begun > kReserveFrom && reserved_ == 0) {
        if (!services_.receive.try_reserve(begun)) {
            return false;
        }
        reserved_ = begun;
    }
    return reserved_ != 0 || !services_.receive.full();
}

// --- Outcomes of changes ---

void Session::settle(uint64_t ordinal) {
    while (!unpacking_.empty() && unpacking_.front().ordinal <= ordinal) {
        unpacking_.pop_front();
    }
    const uint64_t first = submitted_ - in_flight_.size() + 1;
    CHECK(ordinal <= submitted_, "outcome of frame {}, {} were submitted", ordinal, submitted_);
    size_t bytes = 0;
    for (uint64_t at = first; at <= ordinal; ++at) {
        bytes += in_flight_.pop_front() + kFrameOverheadBytes;
    }
    receive_bytes_ -= bytes;
    if (receive_bytes_ <= services_.limits.receive_bytes_max / 2) {
        receive_full_ = false;
    }
    services_.receive.release(bytes);
}

void Session::on_durable(uint64_t ordinal, uint64_t late_rows) {
    settle(ordinal);
    if (!ack_) {
        ack_ = PendingAck{};  // clang 14 finds no emplace() for a nested class with defaults
    }
    ack_->ordinal = ordinal;
    ack_->late_rows += late_rows;
    finish_if_idle();
    wake_();
}

void Session::on_opened(uint64_t ordinal, RunOpened opened) {
    put_ack();
    put_control(encode_run_opened(opened, ordinal));
    wake_();
}

void Session::on_refused(uint64_t ordinal, Refusal refusal) {
    while (!unpacking_.empty() && unpacking_.front().ordinal < ordinal) {
        unpacking_.pop_front();
    }
    if (!unpacking_.empty() && unpacking_.front().ordinal == ordinal) {
        wasted_.take(static_cast<double>(unpacking_.front().bytes), services_.steady_now());
    }
    settle(ordinal);
    put_ack();
    // What a peer that never reads can make us keep is bounded by its frames in flight.
    const bool is_much = control_bytes_ > kControlBytesUnsentMax;
    ErrorMessage message(
        ErrorScope::kChange,
        is_much ? Error(refusal.error.code(), "(left out: too many answers wait to be read)")
                : refusal.error);
    message.position = refusal.position;
    put_control(encode_error(message, ordinal));
    finish_if_idle();
    wake_();
}

// --- Queries ---

void Session::put_result(ResultFrame frame) {
    charge_send(frame.bytes.size());
    if (frame.serial != 0) {
        release_send(kBlockReserveBytes);
    }
    results_.push_back(std::move(frame));
    wake_();
}

void Session::end_query(uint64_t request, std::vector<std::byte> last_frame) {
    const auto at = queries_.find(request);
    CHECK(at != queries_.end(), "the answer of request {} goes on after its end", request);
    // Blocks that were wanted and will not come any more.
    take_back_blocks(at->second->granted());
    ended_.push_back(std::move(at->second));
    queries_.erase(at);
    ResultFrame frame;
    frame.bytes = std::move(last_frame);
    put_result(std::move(frame));
    finish_if_idle();
}

void Session::cancel_query(uint64_t request, const Error& error) {
    queries_.at(request)->stop();
    end_query(request, encode_error(ErrorMessage(ErrorScope::kRequest, error), request));
}

void Session::cancel_those(bool (Reply::*is_one)() const, const Error& error) {
    std::vector<uint64_t> those;
    for (const auto& [request, reply] : queries_) {
        if (((*reply).*is_one)()) {
            those.push_back(request);
        }
    }
    for (const uint64_t request : those) {
        cancel_query(request, error);
    }
}

void Session::list_wanting(uint64_t request) {
    Reply& reply = *queries_.at(request);
    if (!reply.is_listed && reply.can_take_block()) {
        reply.is_listed = true;
        wanting_.push_back(request);
    }
}

void Session::grant_blocks() {
    while (!wanting_.empty() && blocks_unsent_ < kConnectionBlocksUnsentMax) {
        const uint64_t request = wanting_.front();
        const auto at = queries_.find(request);
        // The request may have ended, and its number stand for another that is listed by itself.
        if (at == queries_.end() || !at->second->can_take_block()) {
            wanting_.pop_front();
            if (at != queries_.end()) {
                at->second->is_listed = false;
            }
            continue;
        }
        // One that does not read leaves room for those that do.
        if (send_bytes_ > services_.send.bytes_max() / 4 ||
            !services_.send.try_reserve(kBlockReserveBytes)) {
            return;  // until resume()
        }
        send_bytes_ += kBlockReserveBytes;
        wanting_.pop_front();
        Reply& reply = *at->second;
        reply.is_listed = false;
        ++blocks_unsent_;
        reply.want_block();
        list_wanting(request);
    }
}

// --- Output ---

void Session::put_ack() {
    if (ack_) {
        AckMessage message;
        message.late_rows = ack_->late_rows;
        const uint64_t ordinal = ack_->ordinal;
        ack_.reset();
        ++services_.counts->acks;
        put_control(encode_ack(message, ordinal));
    }
}

void Session::put_control(std::vector<std::byte> frame) {
    control_bytes_ += frame.size();
    charge_send(frame.size());
    control_.push_back(std::move(frame));
}

std::vector<std::byte> Session::take_output() {
    output_sent();
    ended_.clear();
    put_ack();
    if (control_bytes_ != 0) {
        sending_bytes_ = control_bytes_;
        std::vector<std::byte> bytes;
        bytes.reserve(control_bytes_);
        for (const auto& frame : control_) {
            bytes.insert(bytes.end(), frame.begin(), frame.end());
        }
        control_ = std::vector<std::vector<std::byte>>();
        control_bytes_ = 0;
        return bytes;
    }
    CHECK(!results_.empty(), "no output to take");
    ResultFrame frame = results_.pop_front();
    sending_bytes_ = frame.bytes.size();
    if (frame.serial != 0) {
        --blocks_unsent_;
        const auto at = queries_.find(frame.request);
        if (at != queries_.end() && at->second->serial() == frame.serial) {
            --at->second->unsent;
            list_wanting(frame.request);
        }
        grant_blocks();
    }
    return std::move(frame.bytes);
}

void Session::output_sent() {
    services_.counts->sent_bytes += sending_bytes_;
    release_send(std::exchange(sending_bytes_, 0));
}

void Session::charge_send(size_t bytes) {
    send_bytes_ += bytes;
    services_.send.charge(bytes);
}

// Of those that were granted and do not come.
void Session::take_back_blocks(uint32_t blocks) {
    blocks_unsent_ -= blocks;
    release_send(blocks * kBlockReserveBytes);
}

void Session::release_send(size_t bytes) {
    send_bytes_ -= bytes;
    services_.send.release(bytes);
}

void Session::finish_if_idle() {
    if (state_ == State::kClosing && last_words_ && in_flight_.empty() && queries_.empty()) {
        put_ack();
        ResultFrame frame;
        frame.bytes = encode_error(ErrorMessage(ErrorScope::kConnection, *last_words_), 0);
        last_words_.reset();
        // Behind the results, so that it is the last frame of all.
        put_result(std::move(frame));
    }
}

bool Session::finished() const {
    return state_ == State::kClosing && !last_words_ && in_flight_.empty() && queries_.empty() &&
           !has_output();
}

}  // namespace stepdb
