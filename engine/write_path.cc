#include "engine/write_path.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/catalog/lineage.h"
#include "engine/catalog_changes.h"
#include "engine/write_session.h"

namespace stepdb {

namespace {

// Memory of a handle with its place in the map, and of a run with attempt, writer and handle.
constexpr size_t kHandleBytes = 80;
constexpr size_t kRunBytes = 1024;

// Whether the run is there or not, as the frame wants it.
Status check_existence(const OpenRunFrame& open, bool exists) {
    const bool create =
        (open.mode & (OpenRunFrame::kCreateIfMissing | OpenRunFrame::kMustCreate)) != 0;
    if (!exists && !create) {
        return make_error(ErrorCode::kNotFound,
                          "run {}/{} does not exist; open it with create to make it", open.project,
                          open.run);
    }
    if (exists && (open.mode & OpenRunFrame::kMustCreate) != 0) {
        return make_error(ErrorCode::kAlreadyExists, "run {}/{} exists", open.project, open.run);
    }
    return {};
}

}  // namespace

WritePath::WritePath(Executor& executor, Clock& clock, StoreState& state,
                     std::function<void()> published)
    : executor_(executor), clock_(clock), state_(state), published_(std::move(published)) {}

WritePath::~WritePath() {
    *alive_ = false;
}

std::shared_ptr<WritePath::Session> WritePath::open_session(const Id128& writer, OutcomeSink& sink,
                                                            uint64_t connection,
                                                            std::shared_ptr<const Rights> rights) {
    const uint64_t id = connection == 0 ? next_session_ : connection;
    next_session_ = std::max(next_session_, id + 1);
    auto session = std::make_shared<Session>(id, writer, sink);
    session->rights = std::move(rights);
    return session;
}

void WritePath::close_session(Session& session) {
    session.sink = nullptr;
    session_bytes_ -= session.schema_bytes + session.handle_bytes;
    session.schema_bytes = 0;
    session.handle_bytes = 0;
    session.partial_bytes = std::vector<std::byte>();
    for (auto& [number, handle] : session.handles) {
        --handle.writer->handles;
        if (handle.writer->session == session.id) {
            handle.writer->session = 0;
        }
    }
    session.handles.clear();
}

uint64_t WritePath::log_sequence() const {
    return log_ == nullptr ? 0 : log_->next_sequence() - 1;
}

uint64_t WritePath::submit(const std::shared_ptr<Session>& session, Bytes frame) {
    Pending pending(session, ++session->ordinals);
    ++counts_.frames;
    counts_.bytes += frame.size();
    RowPosition bad;
    session->claimed = nullptr;
    Result<Accepted> accepted = accept(*session, frame, bad);
    if (accepted) {
        pending.accepted = *std::move(accepted);
    } else {
        if (session->claimed != nullptr) {
            session->claimed->remember_refused();
        }
        ++counts_.refused[static_cast<size_t>(accepted.error().code())];
        pending.refusal.emplace(std::move(accepted).error(), bad);
    }
    // A failed log gets no further: what is refused because of it waits for nothing.
    pending.after_sequence = log_failed_ ? 0 : log_sequence();
    pending_.push_back(std::move(pending));
    if (log_failed_ || log_ == nullptr ||
        log_->durable_sequence() >= pending_.back().after_sequence) {
        schedule_drain();
    }
    return session->ordinals;
}

// For frames that wait for nothing: their outcome still comes after this call.
void WritePath::schedule_drain() {
    if (drain_scheduled_) {
        return;
    }
    drain_scheduled_ = true;
    executor_.post([this, alive = alive_] {
        if (*alive) {
            drain_scheduled_ = false;
            on_durable(log_ == nullptr ? 0 : log_->durable_sequence());
        }
    });
}

Result<WritePath::Accepted> WritePath::accept(Session& session, Bytes frame, RowPosition& bad) {
    if (latched_) {
        return Error(ErrorCode::kUnavailable, latched_->message());
    }
    if (log_ == nullptr && full_) {
        return *full_;
    }
    if (log_ == nullptr) {
        return Error(ErrorCode::kUnavailable, "the store is open for reading only");
    }
    TRY_ASSIGN(const FrameHeader header, parse_frame_header(frame));
    switch (header.type) {
        case FrameType::kSchema:
            return accept_schema(session, frame);
        case FrameType::kOpenRun:
            return accept_open_run(session, frame);
        case FrameType::kRows:
            return accept_rows(session, header, frame, bad);
        case FrameType::kSetRetention:
            return accept_set_retention(session, frame);
        default:
            if (is_change(header.type)) {
                return accept_life(session, header, frame);
            }
            return invalid_argument(fmt::format("a frame of type {} does not change the store",
                                                static_cast<unsigned>(header.type)));
    }
}

// After claim_number: a frame refused for want of room has used up its number too.
Status WritePath::check_room() const {
    const MemoryBudget& rows = *state_.memory.rows;
    if (flush_error_ && rows.full()) {
        return make_error(ErrorCode::kResourceExhausted,
                          "{} of rows wait in memory, all that --memory leaves for them, because "
                          "they cannot be written to disk: {}",
                          format_size(rows.used()), flush_error_->message());
    }
    if (!full_) {
        return {};
    }
    // There may be room by now; the next frame will know.
    log_->want_file();
    return *full_;
}

Status WritePath::check_room_for_deletes() const {
    return takes_deletes_() ? Status() : check_room();
}

Status WritePath::check_resident(size_t bytes, size_t kept) const {
    const StoreMemory& memory = state_.memory;
    const size_t there = memory.resident.load(std::memory_order_relaxed) + session_bytes_;
    if (there + bytes + kept <= memory.resident_max) {
        return {};
    }
    return make_error(ErrorCode::kResourceExhausted,
                      "the catalog of {} runs and {} schemas, with its writers and the indexes of "
                      "segments, takes {} of memory, and its share of --memory is {}; this frame "
                      "needs {} more. Start the server with more --memory",
                      state_.accepted.runs().size(), state_.accepted.schema_count(),
                      format_size(there), format_size(memory.resident_max), format_size(bytes));
}

RecordHeader WritePath::record_header(const Session& session) const {
    RecordHeader header;
    header.writer = session.writer;
    header.receive_time_us = clock_.now_us();
    return header;
}

Result<WritePath::Accepted> WritePath::accept_schema(Session& session, Bytes frame) {
    TRY_ASSIGN(const SchemaFrame part, SchemaFrame::decode(frame_body(frame)));
    TRY(check_right(session.rights.get(), Right::kWrite, part.project));
    TRY(check_room());
    TRY(check_id("project", part.project));
    std::vector<std::byte> whole_frame;
    Bytes content = part.piece;
    if (!part.whole()) {
        if (part.offset == 0) {
            session.partial_schema = part.hash;
            drop_partial_schema(session);
            TRY(check_resident(part.total_bytes));
            session.schema_bytes = part.total_bytes;
            session_bytes_ += session.schema_bytes;
            session.partial_bytes.reserve(part.total_bytes);
        }
        std::vector<std::byte>& bytes = session.partial_bytes;
        if (part.hash != session.partial_schema || part.offset != bytes.size()) {
            return failed_precondition(
                fmt::format("schema {}: piece at byte {}, expected byte {}; pieces come in order, "
                            "one schema at a time",
                            part.hash.to_hex(), part.offset,
                            part.hash == session.partial_schema ? bytes.size() : 0));
        }
        bytes.insert(bytes.end(), part.piece.begin(), part.piece.end());
        if (bytes.size() < part.total_bytes) {
            return Accepted();
        }
        content = bytes;
    }
    TRY_ASSIGN(Schema schema, Schema::decode(content));
    if (schema.hash() != part.hash) {
        return invalid_argument(fmt::format("schema is named {} but its content has the hash {}",
                                            part.hash.to_hex(), schema.hash().to_hex()));
    }
    if (state_.accepted.find_schema(part.project, part.hash) != nullptr) {
        drop_partial_schema(session);
        return Accepted();
    }
    // What a merge asks for takes less than merging gives back, so there is some room kept for it.
    constexpr size_t kSchemaIndexBytes = 256;
    const size_t kept = session.writer.is_zero() ? 0 : state_.memory.resident_max / 32;
    TRY(check_resident(schema.memory_bytes() + kSchemaIndexBytes, kept));
    if (!part.whole()) {
        whole_frame = encode_schema_frame(part.project, schema);
        drop_partial_schema(session);
    }
    const StoredSchema* known = state_.accepted.find_schema_content(part.hash);
    Accepted accepted;
    accepted.header = record_header(session);
    accepted.header.schema = known != nullptr ? known->id : state_.accepted.next_schema_id();
    accepted.logged = log_->append(accepted.header, part.whole() ? frame : Bytes(whole_frame));
    apply(accepted);
    return accepted;
}

void WritePath::apply(Accepted& accepted) {
    if (!changes_catalog(state_.accepted, accepted.header, accepted.logged.bytes)) {
        return;
    }
    const Status applied =
        apply_to_catalog(state_.accepted, accepted.header, accepted.logged.bytes);
    CHECK(applied.has_value(), "a frame was checked and cannot be applied: {}",
          applied.error().to_string());
    accepted.effect.catalog = std::make_shared<const Catalog>(state_.accepted);
}

void WritePath::drop_partial_schema(Session& session) {
    session_bytes_ -= std::exchange(session.schema_bytes, 0);
    session.partial_bytes = std::vector<std::byte>();
}

Result<WritePath::Accepted> WritePath::accept_open_run(Session& session, Bytes frame) {
    TRY_ASSIGN(const OpenRunFrame open, OpenRunFrame::decode(frame_body(frame)));
    // All else that changes a run names a handle, which only this frame gives out.
    TRY(check_right(session.rights.get(), Right::kWrite, open.project));
    const std::shared_ptr<const Run> known = state_.accepted.find_run(open.project, open.run);
    TRY(known == nullptr ? check_room() : check_room_for_deletes());
    TRY(check_id("project", open.project));
    TRY(check_id("run", open.run));
    TRY(check_existence(open, known != nullptr));
    const uint64_t run_id = known != nullptr ? known->id : state_.accepted.next_run_id();
    WriterState* writer = state_.writers.find({session.writer, run_id});
    const bool resume = (open.mode & OpenRunFrame::kResume) != 0;
    // A writer that says new and is known lost the answer to its first opening; its numbers tell
    // what has been applied.
    if (resume && writer == nullptr) {
        return failed_precondition(fmt::format(
            "writer {} is not known on run {}/{}, so it cannot resume: its earlier frames may have "
            "been applied and forgotten (they are remembered for 30 days)",
            session.writer.to_hex(), open.project, open.run));
    }
    if (writer != nullptr && writer->session > session.id) {
        return fenced(session, run_id);
    }
    if (open.is_fork()) {
        TRY(check_fork(state_.accepted, open, known));
    }
    const bool is_new_handle = !session.handles.contains(open.handle);
    if (known == nullptr || writer == nullptr || is_new_handle) {
        // A fork begins with its parent's attributes.
        const std::shared_ptr<const Run> parent =
            open.is_fork() ? state_.accepted.find_run(open.project, open.parent) : nullptr;
        TRY(check_resident(kRunBytes +
                           (parent == nullptr ? 0 : attributes_bytes(parent->all_attributes()))));
    }
    Accepted accepted;
    accepted.header = record_header(session);
    accepted.header.run = run_id;
    // The numbers up to the first one announced are used up, sent or not.
    const uint64_t last_number = writer != nullptr ? writer->accepted_number : 0;
    accepted.header.frame_number = std::max(last_number, open.first_number - 1);
    accepted.logged = log_->append(accepted.header, frame);
    apply(accepted);
    WriterState& state = state_.writers.get_or_add({session.writer, run_id});
    state.accepted_number = accepted.header.frame_number;
    state.session = session.id;
    if (is_new_handle) {
        session.handle_bytes += kHandleBytes;
        session_bytes_ += kHandleBytes;
    }
    Handle& handle = session.handles[open.handle];
    if (handle.writer != nullptr) {
        --handle.writer->handles;  // the number stood for another run
    }
    handle = Handle{run_id, &state, nullptr};
    ++state.handles;
    RunOpened opened;
    opened.handle = open.handle;
    opened.run = run_id;
    opened.attempt = state_.accepted.find_run(run_id)->newest_attempt().number;
    opened.last_number = last_number;
    opened.created = known == nullptr;
    accepted.opened = opened;
    return accepted;
}

Result<WritePath::Accepted> WritePath::accept_rows(Session& session, const FrameHeader& header,
                                                   Bytes frame, RowPosition& bad) {
    TRY_ASSIGN(const RowsView::Head head, RowsView::decode_head(frame_body(frame)));
    TRY_ASSIGN(const std::optional<Claim> claimed, claim(session, head.run_handle, header.number));
    if (!claimed) {
        return Accepted();
    }
    Handle* handle = claimed->handle;
    const std::shared_ptr<const Run>& run = claimed->run;
    TRY(check_room());
    // Without its earlier rows neither the axes of its metrics nor late rows are known.
    if (const auto damage = damage_of(*state_.rows.damaged(), handle->run)) {
        return make_error(ErrorCode::kUnavailable, "run {} takes no rows: it {}", run->path(),
                          damage->message());
    }
    TRY(check_attempt(*run, head.attempt));
    const StoredSchema* schema = state_.accepted.find_schema(run->project, head.schema);
    if (schema == nullptr) {
        return make_error(ErrorCode::kNotFound,
                          "schema {} is not known in project {}; send it before rows name it",
                          head.schema.to_hex(), run->project);
    }
    TRY_ASSIGN(const RowsView rows, RowsView::decode(frame_body(frame), *schema->schema, bad));
    TRY_ASSIGN(SeriesGroup * group, group_for(*handle, *run, *schema, head.attempt));
    Accepted accepted;
    accepted.header = record_header(session);
    accepted.header.sequence_count = rows.rows();
    accepted.header.attempt = head.attempt;
    accepted.header.run = handle->run;
    accepted.header.schema = schema->id;
    accepted.header.frame_number = header.number;
    accepted.effect.group = group;
    accepted.late_rows = take_keys(*group, rows, accepted.header.receive_time_us);
    counts_.rows += rows.rows();
    counts_.points += rows.points();
    counts_.late_rows += accepted.late_rows;
    accepted.logged = log_->append(accepted.header, frame);
    return accepted;
}

Result<WritePath::Handle*> WritePath::find_handle(Session& session, uint32_t number) const {
    const auto at = session.handles.find(number);
    if (at == session.handles.end()) {
        return failed_precondition(
            fmt::format("run handle {} is not open on this connection", number));
    }
    if (at->second.writer->session != session.id) {
        return fenced(session, at->second.run);
    }
    return &at->second;
}

Error WritePath::fenced(const Session& session, uint64_t run) const {
    return failed_precondition(
        fmt::format("writer {} has opened run {} on a newer connection; this one is fenced and may "
                    "write to it no more",
                    session.writer.to_hex(), run_path(run)));
}

std::string WritePath::run_path(uint64_t id) const {
    const std::shared_ptr<const Run> run = state_.accepted.find_run(id);
    return run == nullptr ? fmt::format("{} (deleted)", id) : run->path();
}

Result<std::optional<WritePath::Claim>> WritePath::claim(Session& session, uint32_t number_of_run,
                                                         uint64_t number) const {
    TRY_ASSIGN(Handle * handle, find_handle(session, number_of_run));
    TRY_ASSIGN(const bool is_new, claim_number(session, *handle, number));
    if (!is_new) {
        return std::optional<Claim>();
    }
    Claim claimed;
    claimed.handle = handle;
    claimed.run = state_.accepted.find_run(handle->run);
    if (claimed.run == nullptr) {
        return make_error(ErrorCode::kNotFound,
                          "the run of handle {} has been deleted; open it again to make a new one",
                          number_of_run);
    }
    return std::optional<Claim>(claimed);
}

// False if the frame has been taken before. From here on a refusal uses up the number.
Result<bool> WritePath::claim_number(Session& session, Handle& handle, uint64_t number) const {
    WriterState& writer = *handle.writer;
    if (number == 0) {
        return invalid_argument("frame number 0; frames that change a run are numbered from 1");
    }
    if (writer.was_refused(number)) {
        return failed_precondition(
            fmt::format("frame {} has been refused before and stays refused; what "
                        "it held can be sent under a new number",
                        number));
    }
    if (number <= writer.accepted_number) {
        return false;
    }
    if (number != writer.accepted_number + 1) {
        return failed_precondition(fmt::format(
            "numbering gap: frame {} of writer {} on run {} follows frame {}; numbers come without "
            "gaps, or the next one is declared when the run is opened",
            number, session.writer.to_hex(), run_path(handle.run), writer.accepted_number));
    }
    writer.accepted_number = number;
    session.claimed = &writer;
    return true;
}

Result<SeriesGroup*> WritePath::group_for(Handle& handle, const Run& run,
                                          const StoredSchema& schema, uint32_t attempt) {
    SeriesGroup* last = handle.last_group;
    if (last != nullptr && last->schema_id == schema.id && last->attempt == attempt) {
        return last;
    }
    TRY(state_.axes.use(fork_root(state_.accepted, run.id), run.path(), schema));
    handle.last_group = &state_.rows.group(run.id, attempt, schema);
    return handle.last_group;
}

void WritePath::on_durable(uint64_t sequence) {
    while (!pending_.empty() && pending_.front().after_sequence <= sequence) {
        Pending pending = std::move(pending_.front());
        pending_.pop_front();
        publish(pending);
        counts_.acknowledged += pending.session != nullptr && !pending.refusal ? 1U : 0U;
        tell(pending);
    }
    published_sequence_ = std::max(published_sequence_, sequence);
    flush_outcomes();
    published_();
}

void WritePath::publish(Pending& pending) {
    const Accepted& accepted = pending.accepted;
    if (pending.refusal || accepted.logged.bytes.empty()) {
        return;
    }
    const Status status =
        publish_record(state_, accepted.header, accepted.logged, &accepted.effect);
    CHECK(status.has_value(), "sequence {} was accepted and cannot be published: {}",
          accepted.header.sequence, status.error().to_string());
}

// Durable outcomes of a session are told together; a refusal or an opened run first lets out what
// came before it.
void WritePath::tell(Pending& pending) {
    if (pending.session == nullptr || pending.session->sink == nullptr) {
        return;
    }
    Session& session = *pending.session;
    const auto flush_session = [&session] {
        if (session.durable_ordinal != 0 && session.sink != nullptr) {
            session.sink->on_durable(session.durable_ordinal, session.late_rows);
        }
        session.durable_ordinal = 0;
        session.late_rows = 0;
    };
    if (pending.refusal) {
        flush_session();
        if (session.sink != nullptr) {
            session.sink->on_refused(pending.ordinal, std::move(*pending.refusal));
        }
        return;
    }
    if (pending.accepted.opened) {
        flush_session();
        if (session.sink != nullptr) {
            session.sink->on_opened(pending.ordinal, *pending.accepted.opened);
        }
    }
    if (session.durable_ordinal == 0) {
        told_.push_back(pending.session);
    }
    session.durable_ordinal = pending.ordinal;
    session.late_rows += pending.accepted.late_rows;
}

void WritePath::flush_outcomes() {
    const std::vector<std::shared_ptr<Session>> told = std::move(told_);
    told_.clear();
    for (const auto& session : told) {
        if (session->sink != nullptr && session->durable_ordinal != 0) {
            session->sink->on_durable(session->durable_ordinal, session->late_rows);
        }
        session->durable_ordinal = 0;
        session->late_rows = 0;
    }
}

void WritePath::latch(const Error& error) {
    if (!latched_) {
        latched_ =
            Error(ErrorCode::kUnavailable,
                  fmt::format("the store is read-only until it is restarted: {}", error.message()));
    }
}

void WritePath::fail_log(const Error& error) {
    latch(error);
    log_failed_ = true;
    std::deque<Pending> pending = std::move(pending_);
    pending_.clear();
    const Error unknown(ErrorCode::kUnavailable,
                        fmt::format("this frame may or may not have been stored; send it again "
                                    "after the restart: {}",
                                    latched_->message()));
    for (Pending& frame : pending) {
        if (!frame.refusal) {
            frame.refusal.emplace(unknown, RowPosition());
        }
        tell(frame);
    }
    flush_outcomes();
}

}  // namespace stepdb
