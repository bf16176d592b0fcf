#include "clients/cpp/sender.h"

#include <poll.h>

#include <algorithm>

#include "clients/cpp/token.h"
#include "engine/model/limits.h"

namespace stepdb::client {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// What the connection is given ahead of the socket.
constexpr size_t kUnsentBytesMax = 1U << 20U;
// With more than this without outcome the server has enough to do, and rows may gather longer.
constexpr size_t kBusyBytes = 1U << 20U;
constexpr int kBusyLingers = 8;
constexpr microseconds kForever = std::chrono::hours(1);

microseconds until(SteadyTime at, SteadyTime now) {
    return at <= now ? microseconds(0)
                     : std::chrono::duration_cast<microseconds>(at - now) + microseconds(1);
}

// Trying again cannot help: the server or this client is not what the other takes it for.
bool is_final(ErrorCode code, const Options& options) {
    if (code == ErrorCode::kPermissionDenied) {
        return options.token_file.empty();
    }
    return code == ErrorCode::kInvalidArgument || code == ErrorCode::kUnsupportedVersion ||
           code == ErrorCode::kFailedPrecondition;
}

// The protocol has no code of its own for it.
bool is_fenced(const ErrorMessage& error) {
    return error.code == ErrorCode::kFailedPrecondition &&
           error.message.find("is fenced") != std::string::npos;
}

bool is_for_now(ErrorCode code) {
    return code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted;
}

}  // namespace

Sender::Sender(SendQueue& queue)
    : queue_(queue),
      options_(queue.options()),
      usual_token_(find_token("")),
      retry_delay_(options_.retry_delay_min),
      waiting_since_(std::chrono::steady_clock::now()),
      random_(std::random_device()()) {}

Sender::~Sender() {
    join();
}

void Sender::join() {
    if (thread_.joinable()) {
        thread_.join();
    }
}

Status Sender::start() {
    TRY(connect());
    thread_ = std::thread([this] { run(); });
    return {};
}

// --- The connection ---

Result<std::string> Sender::token() const {
    if (!options_.token.empty()) {
        return options_.token;
    }
    return options_.token_file.empty() ? usual_token_ : find_token(options_.token_file);
}

Status Sender::connect() {
    ClientOptions options;
    options.host = options_.host;
    options.port = options_.port;
    options.writer = options_.writer;
    options.name = options_.name;
    TRY_ASSIGN(options.token, token());
    options.tls.is_wanted = options_.tls;
    options.tls.ca_file = options_.tls_ca_file;
    options.connect_time_max = options_.connect_time_max;
    options.silence_time_max = options_.connect_time_max;
    TRY_ASSIGN(connection_, ClientConnection::connect(options, *this));
    ++connections_;
    queue_.count_connection();
    heard_at_ = std::chrono::steady_clock::now();
    heard_bytes_ = connection_->received_bytes();
    return {};
}

void Sender::connect_again(SteadyTime now) {
    const Status connected = connect();
    if (!connected && is_final(connected.error().code(), options_)) {
        queue_.fail(connected.error());
    } else if (!connected) {
        disconnect(connected.error());
    }
    give_up_if_late(now);
}

void Sender::disconnect(const Error& why) {
    last_error_ = why;
    broken_.reset();
    connection_.reset();
    next_ = 0;
    in_flight_.clear();
    in_flight_bytes_ = 0;
    first_in_flight_ = 1;
    schemas_.clear();
    opened_.clear();
    kept_ = 0;
    for (const std::unique_ptr<QueuedFrame>& frame : frames_) {
        frame->is_kept = false;
        frame->refusal = frame->is_done ? frame->refusal : std::nullopt;
    }
    std::uniform_int_distribution<int64_t> part(retry_delay_.count() / 2, retry_delay_.count());
    retry_at_ = std::chrono::steady_clock::now() + milliseconds(part(random_));
    retry_delay_ = std::min(retry_delay_ * 2, options_.retry_delay_max);
}

void Sender::run() {
    for (SteadyTime now = std::chrono::steady_clock::now(); !queue_.should_end(now);
         now = std::chrono::steady_clock::now()) {
        if (connection_ == nullptr) {
            wait_without_connection(now);
        } else {
            step(now);
        }
    }
    connection_.reset();
    queue_.fail(make_error(ErrorCode::kFailedPrecondition, "the writer to {}:{} has been closed",
                           options_.host, options_.port));
    frames_.clear();
}

void Sender::step(SteadyTime now) {
    const uint64_t version = queue_.version();
    seal_due(now);
    Status status = kept_ == 0 ? send_frames() : Status();
    if (status) {
        const bool has_more = kept_ == 0 && connection_->unsent_bytes() < kUnsentBytesMax &&
                              (next_ < frames_.size() || queue_.has_frames());
        const bool may_wait = !has_more && !broken_;
        // With its fill of unsent bytes the connection alone decides when to go on.
        if (may_wait && connection_->unsent_bytes() < kUnsentBytesMax) {
            const bool is_quiet = queue_.prepare_wait(version);
            const Result<bool> waited =
                connection_->wait(is_quiet ? time_to_wait(now) : microseconds(0), queue_.wake_fd());
            queue_.end_wait();
            status = waited ? Status() : Status(waited.error());
        } else {
            const Result<bool> waited =
                connection_->wait(may_wait ? time_to_wait(now) : microseconds(0), queue_.wake_fd());
            queue_.end_wait();
            status = waited ? Status() : Status(waited.error());
        }
    }
    settle_done();
    if (status && broken_) {
        status = *broken_;
    } else if (status && kept_ > 0 && in_flight_.empty()) {
        status = *kept_why_;
    }
    if (!status) {
        disconnect(status.error());
        return;
    }
    now = std::chrono::steady_clock::now();
    check_silence(now);
    give_up_if_late(now);
}

void Sender::wait_without_connection(SteadyTime now) {
    const uint64_t version = queue_.version();
    seal_due(now);
    const bool has_work = !frames_.empty() || queue_.has_frames();
    if (has_work && now >= retry_at_) {
        connect_again(now);
        return;
    }
    microseconds time = has_work ? until(retry_at_, now) : kForever;
    if (const auto oldest = queue_.oldest_dirty(); oldest && !has_work) {
        time = std::min(time, until(*oldest + options_.linger * kBusyLingers, now));
    }
    if (const auto stop_at = queue_.stop_at()) {
        time = std::min(time, until(*stop_at, now));
    }
    if (queue_.prepare_wait(version)) {
        pollfd ready = {};
        ready.fd = queue_.wake_fd();
        ready.events = POLLIN;
        const auto rounded = std::chrono::ceil<milliseconds>(time);
        ::poll(&ready, 1, static_cast<int>(rounded.count()));
        queue_.end_wait();
    }
    give_up_if_late(std::chrono::steady_clock::now());
}

bool Sender::is_busy() const {
    return connection_ == nullptr || connection_->unsent_bytes() > 0 ||
           in_flight_bytes_ >= kBusyBytes || kept_ > 0;
}

void Sender::seal_due(SteadyTime now) {
    microseconds age = options_.linger * (is_busy() ? kBusyLingers : 1);
    if (queue_.is_short_of_room()) {
        age = microseconds(0);  // what gathers holds some
    }
    for (const DirtyLane& lane : queue_.take_dirty(now, age)) {
        lane.run->seal_due(*lane.lane, now - age);
    }
}

microseconds Sender::time_to_wait(SteadyTime now) const {
    microseconds time = kForever;
    if (const auto oldest = queue_.oldest_dirty()) {
        time = until(*oldest + options_.linger * (is_busy() ? kBusyLingers : 1), now);
    }
    if (const auto stop_at = queue_.stop_at()) {
        time = std::min(time, until(*stop_at, now));
    }
    if (!in_flight_.empty()) {
        time = std::min(time, until(heard_at_ + options_.silence_time_max, now));
    }
    if (!frames_.empty()) {
        time = std::min(time, until(waiting_since_ + options_.give_up_time, now));
    }
    return time;
}

void Sender::check_silence(SteadyTime now) {
    if (in_flight_.empty() || connection_->received_bytes() != heard_bytes_) {
        heard_bytes_ = connection_->received_bytes();
        heard_at_ = now;
    } else if (now - heard_at_ >= options_.silence_time_max) {
        disconnect(make_error(ErrorCode::kUnavailable, "{}:{} did not answer for {} ms",
                              options_.host, options_.port, options_.silence_time_max.count()));
    }
}

void Sender::give_up_if_late(SteadyTime now) {
    if (frames_.empty() && !queue_.has_frames()) {
        waiting_since_ = now;
    } else if (now - waiting_since_ >= options_.give_up_time) {
        queue_.fail(make_error(
            ErrorCode::kUnavailable,
            "gave up on {}:{} after {} ms without an outcome; what was logged and not reported as "
            "durable may be stored or not{}{}",
            options_.host, options_.port, options_.give_up_time.count(), last_error_ ? ": " : "",
            last_error_ ? last_error_->message() : ""));
    }
}

// --- Sending ---

Status Sender::send_frames() {
    uint64_t frames = 0;
    uint64_t bytes = 0;
    while (connection_->unsent_bytes() < kUnsentBytesMax) {
        if (next_ == frames_.size()) {
            std::unique_ptr<QueuedFrame> taken = queue_.take();
            if (taken == nullptr) {
                break;
            }
            frames_.push_back(std::move(taken));
        }
        QueuedFrame& frame = *frames_[next_++];
        if (frame.is_done) {
            continue;
        }
        TRY(send_frame(frame));
        ++frames;
        bytes += frame.encoded.size();
    }
    if (frames > 0) {
        queue_.count_sent(frames, bytes);
    }
    return {};
}

Status Sender::send_frame(QueuedFrame& frame) {
    if (const auto failure = frame.run->failure()) {
        finish(frame, failure);
        return {};
    }
    if (frame.kind == FrameKind::kOpenRun) {
        return send_open_run(frame, false);
    }
    if (frame.encoded.empty()) {
        frame.encoded = frame.kind == FrameKind::kOther
                            ? Bytes(frame.bytes)
                            : frame.rows.finish(frame.lane->format, frame.run->handle(),
                                                frame.attempt, frame.number, scratch_);
    }
    TRY(announce(frame));
    connection_->send_later(frame.encoded);
    connection_->count_change();
    ++frame.times_sent;
    in_flight_bytes_ += frame.encoded.size();
    InFlight& in_flight = in_flight_.emplace_back();
    in_flight.frame = &frame;
    return {};
}

Status Sender::announce(QueuedFrame& frame) {
    RunState& run = *frame.run;
    if (run.opened_on != connections_) {
        OpenRunFrame open;
        open.handle = run.handle();
        open.mode = OpenRunFrame::kResume;
        open.first_number = frame.number;
        open.project = run.opening().project;
        open.run = run.opening().run;
        run.opened_on = connections_;
        InFlight in_flight;
        in_flight.kind = InFlight::Kind::kRun;
        in_flight.run = frame.run;
        TRY(send_change(encode_open_run_frame(open), std::move(in_flight)));
    }
    RowLane* lane = frame.lane;
    if (lane == nullptr || lane->announced == connections_) {
        return {};
    }
    lane->announced = connections_;
    lane->schema_error.reset();
    const std::string& project = run.opening().project;
    if (!schemas_.emplace(project, lane->schema->hash()).second) {
        return {};
    }
    for (std::vector<std::byte>& piece : encode_schema_frames(project, *lane->schema)) {
        InFlight in_flight;
        in_flight.kind = InFlight::Kind::kSchema;
        in_flight.run = frame.run;
        in_flight.lane = lane;
        in_flight.project = project;
        TRY(send_change(std::move(piece), std::move(in_flight)));
    }
    return {};
}

Status Sender::send_change(std::vector<std::byte> frame, InFlight in_flight) {
    TRY(connection_->send(frame));
    connection_->count_change();
    in_flight_.push_back(std::move(in_flight));
    return {};
}

Status Sender::send_open_run(QueuedFrame& frame, bool resume) {
    const RunOpening& opening = frame.run->opening();
    OpenRunFrame open;
    open.handle = frame.run->handle();
    open.mode = resume ? OpenRunFrame::kResume : opening.mode;
    open.project = opening.project;
    open.run = opening.run;
    if (!resume) {
        open.parent = opening.parent;
        open.fork_step = opening.fork_step;
    }
    frame.run->opened_on = connections_;
    ++frame.times_sent;
    InFlight in_flight;
    in_flight.frame = &frame;
    return send_change(encode_open_run_frame(open), std::move(in_flight));
}

// --- Outcomes ---

Sender::InFlight* Sender::find(uint64_t ordinal) {
    return ordinal < first_in_flight_ || ordinal - first_in_flight_ >= in_flight_.size()
               ? nullptr
               : &in_flight_[ordinal - first_in_flight_];
}

void Sender::on_ack(uint64_t ordinal, uint64_t late_rows) {
    late_rows_ += late_rows;
    while (!in_flight_.empty() && first_in_flight_ <= ordinal) {
        InFlight of = std::move(in_flight_.front());
        in_flight_.pop_front();
        ++first_in_flight_;
        take_outcome(of);
    }
}

void Sender::on_refused(uint64_t ordinal, ErrorMessage error) {
    if (InFlight* of = find(ordinal)) {
        of->refusal = std::move(error);
    }
    while (!in_flight_.empty() && in_flight_.front().refusal) {
        InFlight of = std::move(in_flight_.front());
        in_flight_.pop_front();
        ++first_in_flight_;
        take_outcome(of);
    }
}

void Sender::on_opened(uint64_t ordinal, const RunOpened& opened) {
    InFlight* of = find(ordinal);
    if (of == nullptr) {
        return;
    }
    if (of->kind == InFlight::Kind::kFrame) {
        of->frame->run->set_opened(opened);
        opened_[of->frame] = opened;
    } else if (of->kind == InFlight::Kind::kRun && opened.last_number >= of->run->next_number()) {
        of->run->fail(make_error(
            ErrorCode::kFailedPrecondition,
            "run {}: the server knows frame {} of writer {}, but this process has sent {}; another "
            "one uses the same writer id",
            of->run->path(), opened.last_number, options_.writer.to_hex(),
            of->run->next_number() - 1));
    }
}

void Sender::on_request_failed(uint64_t /*request*/, const Error& /*error*/) {}

Status Sender::on_answer(const ReceivedFrame& frame) {
    return make_error(ErrorCode::kInvalidArgument, "the server sent {}, which answers no query",
                      frame_type_name(frame.header.type));
}

void Sender::take_outcome(InFlight& of) {
    switch (of.kind) {
        case InFlight::Kind::kFrame:
            in_flight_bytes_ -= of.frame->encoded.size();
            take_frame_outcome(*of.frame, std::move(of.refusal));
            return;
        case InFlight::Kind::kSchema:
            if (of.refusal) {
                of.lane->schema_error = of.refusal->to_error().within("its schema was refused");
                of.lane->announced = 0;
                schemas_.erase({of.project, of.lane->schema->hash()});
            }
            return;
        case InFlight::Kind::kRun:
            if (!of.refusal) {
                return;
            }
            if (is_for_now(of.refusal->code)) {
                of.run->blocked_on = connections_;
                broken_ = of.refusal->to_error();
            } else {
                of.run->fail(of.refusal->to_error().within("after the connection was lost"));
            }
            return;
    }
}

void Sender::take_frame_outcome(QueuedFrame& frame, std::optional<ErrorMessage> refusal) {
    RunState& run = *frame.run;
    if (frame.kind == FrameKind::kOpenRun && refusal) {
        take_open_outcome(frame, *refusal);
        return;
    }
    if (const auto failure = run.failure()) {
        finish(frame, failure);  // what became of it is not known
        return;
    }
    if (!refusal) {
        waiting_since_ = std::chrono::steady_clock::now();
        retry_delay_ = options_.retry_delay_min;
        refuse_kept();
        finish(frame, std::nullopt);
        return;
    }
    if (run.blocked_on == connections_) {
        return;  // for want of its run; it is sent again
    }
    if (is_fenced(*refusal)) {
        run.fail(refusal->to_error());
    } else if (refusal->code == ErrorCode::kUnavailable) {
        frame.is_kept = true;
        frame.refusal = refusal->to_error();
        kept_why_ = frame.refusal;
        ++kept_;
        return;
    }
    waiting_since_ = std::chrono::steady_clock::now();
    if (refusal->position.row) {
        frame.bad_row = frame.first_row + *refusal->position.row;
    }
    Error error = refusal->to_error();
    if (refusal->code == ErrorCode::kNotFound && frame.lane != nullptr) {
        frame.lane->announced = 0;  // its schema may be what is missing: it is told again
        error = frame.lane->schema_error.value_or(error);
    }
    finish(frame, error);
}

// Whether an earlier try whose answer was lost made the run, only this writer's being known tells.
void Sender::take_open_outcome(QueuedFrame& frame, const ErrorMessage& refusal) {
    if (refusal.code == ErrorCode::kAlreadyExists && frame.times_sent > 1) {
        frame.refusal = refusal.to_error();
        const Status sent = send_open_run(frame, true);
        if (!sent) {
            broken_ = sent.error();
        }
        return;
    }
    const Error error = frame.refusal.value_or(refusal.to_error());
    frame.run->fail(error);
    finish(frame, error);
}

void Sender::finish(QueuedFrame& frame, std::optional<Error> refusal) {
    frame.is_done = true;
    frame.refusal = std::move(refusal);
}

void Sender::refuse_kept() {
    if (kept_ == 0) {
        return;
    }
    for (const std::unique_ptr<QueuedFrame>& frame : frames_) {
        if (frame->is_kept) {
            frame->is_kept = false;
            frame->is_done = true;
        }
    }
    kept_ = 0;
}

void Sender::settle_done() {
    std::vector<std::unique_ptr<QueuedFrame>> done;
    while (!frames_.empty() && frames_.front()->is_done) {
        QueuedFrame& frame = *frames_.front();
        if (const auto opened = opened_.find(&frame); opened != opened_.end()) {
            frame.outcome->opened = opened->second;
            opened_.erase(opened);
        }
        done.push_back(std::move(frames_.front()));
        frames_.pop_front();
        --next_;
    }
    if (!done.empty() || late_rows_ > 0) {
        queue_.settle(std::move(done), std::exchange(late_rows_, 0));
    }
}

}  // namespace stepdb::client
