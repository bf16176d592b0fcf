#include "engine/engine_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/base/large_buffer.h"
#include "engine/catalog_changes.h"
#include "engine/pieces.h"

namespace stepdb {

namespace {

// What openers of a session hold.
class CoreSession final : public WriteSession {
  public:
    CoreSession(WritePath& write_path, std::shared_ptr<WritePath::Session> session)
        : write_path_(write_path), session_(std::move(session)) {}
    ~CoreSession() override { write_path_.close_session(*session_); }

    uint64_t submit(Bytes frame) override { return write_path_.submit(session_, frame); }

  private:
    WritePath& write_path_;
    std::shared_ptr<WritePath::Session> session_;
};

// Below this a restart replays the log faster than a segment pays.
constexpr uint64_t kCloseFlushBytes = 16U << 20U;

// A writer that logs a row now and then should not pay a second sync for each.
constexpr int64_t kNoteDurableUs = 5'000'000;

// How often runs are looked at that have outlived the retention of their project.
constexpr int64_t kRetentionEveryUs = 60'000'000;

}  // namespace

Task<Result<std::unique_ptr<Engine>>> Engine::open(EngineEnvironment environment,
                                                   EngineOptions options) {
    auto core = std::make_unique<EngineCore>(environment, std::move(options));
    const Status recovered = co_await core->recover();
    if (!recovered) {
        co_await core->all_blocks_made();
        co_return recovered.error();
    }
    std::unique_ptr<Engine> engine = std::move(core);
    co_return engine;
}

EngineCore::EngineCore(EngineEnvironment environment, EngineOptions options)
    : environment_(environment),
      options_(std::move(options)),
      state_(options_.tail_rows_max, options_.tail_bytes_max, options_.rows_bytes_max,
             options_.resident_bytes_max),
      write_path_(environment.executor, environment.clock, state_, [this] { after_publish(); }),
      retired_(std::make_shared<RetiredFiles>(
          environment.executor, [this](std::string file) { remove_later(std::move(file)); })),
      segment_turns_(
          *environment.merge_executor, environment.executor,
          [this](std::function<void()> go) { log_turns_.ask(log_is_busy(), std::move(go)); }),
      backup_turns_(*environment.merge_executor, environment.executor,
                    [this](std::function<void()> go) {
                        log_turns_.ask_behind(log_is_busy(), std::move(go));
                    }) {
    write_path_.set_full_disk([this] { return takes_deletes(); }, [this] { on_delete(); });
    state_.rows.set_make_blocks([this](SealedList sealed) { make_blocks(std::move(sealed)); });
}

EngineCore::~EngineCore() {
    CHECK(background_ == 0,
          "{} pieces of background work are under way in {}: flush {}, merge {}, blocks {}, "
          "epoch {}, reserve {}, noting the end {}; the log is {}",
          background_, options_.directory, flush_started_, merging_by_itself_, seal_jobs_,
          beginning_epoch_, using_reserve_, noting_durable_,
          log_ == nullptr ? "not open" : (log_is_busy() ? "busy" : "at rest"));
}

std::unique_ptr<WriteSession> EngineCore::open_session(const Id128& writer, OutcomeSink& sink,
                                                       uint64_t connection,
                                                       std::shared_ptr<const Rights> rights) {
    return std::make_unique<CoreSession>(
        write_path_, write_path_.open_session(writer, sink, connection, std::move(rights)));
}

std::shared_ptr<const Catalog> EngineCore::catalog() const {
    return state_.published.share();
}

namespace {

// These runs and those that they read through, ascending.
std::vector<uint64_t> with_ancestors(const Catalog& catalog, std::span<const uint64_t> runs) {
    std::set<uint64_t> all(runs.begin(), runs.end());
    std::vector<uint64_t> to_look_at(runs.begin(), runs.end());
    while (!to_look_at.empty()) {
        const std::shared_ptr<const Run> run = catalog.find_run(to_look_at.back());
        to_look_at.pop_back();
        if (run == nullptr) {
            continue;
        }
        for (const Attempt& attempt : run->attempts) {
            if (attempt.parent_run != 0 && all.insert(attempt.parent_run).second) {
                to_look_at.push_back(attempt.parent_run);
            }
        }
    }
    return {all.begin(), all.end()};
}

}  // namespace

std::shared_ptr<const Snapshot> EngineCore::snapshot(std::span<const uint64_t> runs) const {
    // Of more runs than these, and than have anything in memory, what all have there is taken, and
    // when all were heard of: this is the thread that takes rows.
    constexpr size_t kLookedUpMax = 1024;
    SnapshotPieces::Parts parts;
    parts.catalog = state_.published.share();
    parts.segments = state_.rows.share_segments();
    parts.damaged = state_.rows.damaged();
    if (runs.size() > std::max(kLookedUpMax, state_.rows.groups_in_memory())) {
        parts.memory = state_.rows.all_memory();
        parts.all_activities = state_.activities.share();
    } else {
        parts.runs = with_ancestors(*parts.catalog, runs);
        for (const uint64_t run : *parts.runs) {
            state_.rows.append_memory(run, parts.memory);
        }
        parts.activities.reserve(runs.size());
        for (const uint64_t run : runs) {
            parts.activities.emplace_back(run, state_.activities.find(run));
        }
        const auto by_run = [](const auto& activity) { return activity.first; };
        if (!std::ranges::is_sorted(parts.activities, {}, by_run)) {
            std::ranges::sort(parts.activities, {}, by_run);
        }
    }
    return std::make_shared<const Snapshot>(
        std::vector<uint64_t>(runs.begin(), runs.end()),
        std::make_shared<const SnapshotPieces>(std::move(parts)));
}

Task<Status> EngineCore::close() {
    closing_ = true;
    merge_cancelled_->store(true, std::memory_order_relaxed);
    const auto busy = [this] {
        // Frames that wait for a file on a full disk were not acknowledged; nothing comes of them.
        const bool stuck = log_ != nullptr && write_path_.full() && !log_->writing();
        return (!write_path_.idle() && !stuck) || background_ != 0;
    };
    while (busy()) {
        co_await quiet_;
    }
    if (log_ != nullptr && !write_path_.idle() && !write_path_.latched()) {
        write_path_.fail_log(make_error(ErrorCode::kResourceExhausted,
                                        "the disk of {} was full until the server stopped",
                                        options_.directory));
    }
    if (log_ == nullptr || write_path_.latched()) {
        retired_.reset();
        co_return Status();
    }
    Status flushed;
    if (log_files_->live_bytes() > kCloseFlushBytes) {
        flushed = co_await flush();
    }
    while (busy()) {
        co_await quiet_;
    }
    if (!write_path_.latched()) {
        // With this the next opening knows where the log ends.
        ManifestEdit closing;
        closing.durable_sequence = write_path_.published_sequence();
        closing.closed = true;
        const Status noted = co_await manifest_->append(std::move(closing));
        if (flushed && !noted && noted.error().code() != ErrorCode::kResourceExhausted) {
            flushed = noted;
        }
    }
    retired_.reset();
    co_return flushed;
}

void EngineCore::end_background() {
    --background_;
    if (closing_) {
        quiet_.fire();
    }
}

// Where there is no way to make room, frames are taken all the same: to be refused with the reason.
bool EngineCore::has_room() const {
    if (log_ == nullptr || write_path_.latched() || write_path_.full() || flush_error_) {
        return true;
    }
    const size_t rows = state_.memory.rows->used() + log_->pending_bytes();
    return rows < state_.memory.rows->bytes_max() && !log_is_full();
}

// What a crash would leave to replay is at its bound, and a flush makes it less.
bool EngineCore::log_is_full() const {
    const uint64_t checkpoint = manifest_->state().checkpoint_sequence;
    if (write_path_.published_sequence() == checkpoint) {
        return false;
    }
    return log_files_->live_bytes() + log_->pending_bytes() >= options_.log_live_bytes_max ||
           log_->next_sequence() - 1 - checkpoint >= options_.log_live_rows_max;
}

void EngineCore::when_room(std::function<void()> call) {
    waiting_for_room_.push_back(std::move(call));
    start_flush_if_needed();
}

void EngineCore::call_waiting_for_room() {
    if (waiting_for_room_.empty() || !has_room()) {
        return;
    }
    const auto calls = std::move(waiting_for_room_);
    waiting_for_room_.clear();
    for (const auto& call : calls) {
        environment_.executor.post(call);
    }
}

void EngineCore::when_published(std::function<void()> call) {
    waiting_for_news_.push_back(std::move(call));
}

void EngineCore::call_waiting_for_news() {
    for (auto& call : std::exchange(waiting_for_news_, {})) {
        environment_.executor.post(std::move(call));
    }
}

void EngineCore::begin_epoch_when_room() {
    if (!waiting_epoch_ || beginning_epoch_ || closing_) {
        return;
    }
    beginning_epoch_ = true;
    begin_background();
    start(begin_epoch(*waiting_epoch_), [this](const Status& status) {
        beginning_epoch_ = false;
        if (!status) {
            write_path_.latch(status.error());
        }
        end_background();
    });
}

// Each once, when it begins and when it is over.
void EngineCore::tell_of_troubles() {
    if (!options_.tell) {
        return;
    }
    if (write_path_.latched() && !std::exchange(told_read_only_, true)) {
        LogEvent event(LogLevel::kError, "store_read_only",
                       "frames are refused until the store is opened again");
        options_.tell(event.text("reason", write_path_.latched()->message()));
    }
    if (write_path_.full() != std::exchange(told_full_, write_path_.full())) {
        options_.tell(told_full_
                          ? LogEvent(LogLevel::kError, "disk_full",
                                     "frames are refused until the disk has room for the log")
                          : LogEvent(LogLevel::kInfo, "disk_has_room", "frames are taken again"));
    }
    if (flush_error_.has_value() != std::exchange(told_flush_error_, flush_error_.has_value())) {
        LogEvent event = told_flush_error_
                             ? LogEvent(LogLevel::kError, "flush_failed", "it is tried again")
                             : LogEvent(LogLevel::kInfo, "flush_recovered");
        if (flush_error_) {
            event.text("error", flush_error_->message());
        }
        options_.tell(event);
    }
}

void EngineCore::tick() {
    begin_epoch_when_room();
    tell_of_troubles();
    if (log_ == nullptr || write_path_.latched()) {
        return;
    }
    if (write_path_.full()) {
        log_->want_file();
    }
    if (flush_error_ && environment_.clock.now_us() >= flush_retry_us_) {
        flush_retry_bytes_ = 0;
    }
    start_flush_if_needed();
    use_reserve();
    take_reserve_if_due();
    call_waiting_for_room();
    note_durable_when_idle();
    apply_retention();
    start_merges_if_needed(MergeUrgency::kBusy);
    consider_settled();
    if (settled()) {
        LargeBuffer::trim();
    }
}

bool EngineCore::settled() const {
    return settled_considered_ && sequence_settled_ == write_path_.published_sequence() &&
           !flush_started_ && !merging_by_itself_;
}

void EngineCore::apply_retention() {
    const int64_t now = environment_.clock.now_us();
    if (closing_ || state_.accepted.retention().empty() || now < retention_due_us_) {
        return;
    }
    retention_due_us_ = now + kRetentionEveryUs;
    std::map<std::string, std::vector<std::string>> deleted;  // runs of a project
    for (const uint64_t id : expired_runs(state_.accepted, state_.activities, now)) {
        const std::shared_ptr<const Run> run = state_.accepted.find_run(id);
        if (write_path_.delete_run(id)) {
            deleted[run->project].push_back(run->name);
        }
    }
    for (const auto& [project, runs] : deleted) {
        tell_of_retention(project, runs);
    }
}

void EngineCore::tell_of_retention(const std::string& project,
                                   const std::vector<std::string>& runs) const {
    constexpr size_t kNamed = 20;
    if (!options_.tell) {
        return;
    }
    const size_t named = std::min(runs.size(), kNamed);
    const auto end = runs.begin() + static_cast<std::ptrdiff_t>(named);
    LogEvent event(LogLevel::kInfo, "retention", "runs are older than their project keeps them");
    event.text("project", project).count("deleted", runs.size());
    event.text(
        "runs",
        fmt::format("{}{}", fmt::join(runs.begin(), end, ", "),
                    named == runs.size() ? "" : fmt::format(" and {} more", runs.size() - named)));
    options_.tell(event);
}

// The end of the log can be told from one that a crash cut short only by what comes after it. Where
// nothing comes, the manifest says how far it goes.
void EngineCore::note_durable_when_idle() {
    const uint64_t sequence = write_path_.published_sequence();
    const bool is_idle = sequence == std::exchange(sequence_at_tick_, sequence);
    const int64_t now = environment_.clock.now_us();
    if (!is_idle || closing_ || noting_durable_ || now < durable_noted_us_ + kNoteDurableUs ||
        sequence <= manifest_->state().durable_sequence) {
        return;
    }
    noting_durable_ = true;
    durable_noted_us_ = now;
    begin_background();
    ManifestEdit edit;
    edit.durable_sequence = sequence;
    start(manifest_->append(std::move(edit)), [this](const Status& status) {
        noting_durable_ = false;
        if (!status && status.error().code() != ErrorCode::kResourceExhausted) {
            write_path_.latch(status.error());
        }
        end_background();
    });
}

void EngineCore::after_publish() {
    state_.rows.make_blocks_now();
    state_.count_resident();
    call_waiting_for_room();
    call_waiting_for_news();
    if (closing_) {
        quiet_.fire();
    } else if (log_ != nullptr) {
        start_flush_if_needed();
        use_reserve();
    }
}

void EngineCore::on_log_durable(uint64_t sequence) {
    write_path_.on_durable(sequence);
    give_turns();
}

void EngineCore::give_turns() {
    const uint64_t groups =
        log_->groups_written() - std::exchange(groups_seen_, log_->groups_written());
    log_turns_.give(groups, log_is_busy());
}

void EngineCore::on_log_failed(const Error& error) {
    write_path_.fail_log(error);
    give_turns();
    if (closing_) {
        quiet_.fire();
    }
}

EngineStats EngineCore::stats() const {
    EngineStats stats = quick_stats();
    state_.rows.count_series_blocks(stats.series_blocks_mean, stats.series_blocks_max);
    return stats;
}

EngineStats EngineCore::quick_stats() const {
    EngineStats stats;
    stats.memory_block_bytes = state_.rows.memory_bytes();
    stats.pinned_bytes = state_.memory.pinned();
    stats.resident_bytes = state_.memory.resident.load();
    stats.tails = state_.rows.tails();
    stats.runs = state_.published.get().runs().size();
    stats.schemas = state_.published.get().schema_count();
    stats.flushes = flushes_;
    stats.flushing = flush_started_;
    stats.flush_bytes_written = flush_bytes_written_;
    stats.flush_error = flush_error_;
    for (const auto& segment : state_.rows.segments()) {
        ++stats.segments;
        stats.segment_bytes += segment->file_bytes();
        stats.segment_blocks += segment->blocks().size();
        stats.damaged_blocks += static_cast<uint64_t>(std::ranges::count_if(
            segment->blocks(), [](const SegmentBlock& block) { return block.damaged != nullptr; }));
    }
    stats.merges = merges_;
    stats.merging = merging_by_itself_;
    stats.merge_bytes_read = merge_bytes_read_;
    stats.merge_bytes_written = merge_bytes_written_;
    stats.settled = settled();
    stats.merge_error = merge_error_;
    if (!unreadable_.empty() && !merge_error_) {
        stats.merge_error = unreadable_.begin()->second;
    }
    stats.ingest = write_path_.counts();
    stats.flush_times = flush_times_.read();
    stats.merge_times = merge_times_.read();
    stats.disk_full = write_path_.full();
    stats.sequence_durable = next_sequence_ - 1;
    if (log_ != nullptr) {
        stats.sequence_durable = write_path_.published_sequence();
        stats.log_groups = log_->groups_written();
        stats.log_syncs = log_->sync_times();
        stats.log_live_bytes = log_files_->live_bytes();
    }
    return stats;
}

}  // namespace stepdb
