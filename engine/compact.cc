// Compaction: segments are merged into fewer with larger blocks. A merge reads what is immutable
// and writes a file of its own, beside log and flushes; then one edit of the manifest puts it in
// the place of its sources, whose files go when the last snapshot has let go of them.
#include <algorithm>

#include "engine/catalog/lineage.h"
#include "engine/engine_core.h"
#include "engine/io/run_on.h"

namespace stepdb {

namespace {

// After a merge that failed, mostly for want of room on the disk.
constexpr int64_t kMergeRetryUs = 30'000'000;
// A store is settled when no row has come for so long.
constexpr int64_t kSettledUs = 5'000'000;

// What a settled store has in memory goes to a segment if it is more than this: it takes less room
// there than in the log, and less time to open.
constexpr uint64_t kSettledFlushBytes = 1U << 20U;

// What of the rows counts as far as the catalog says.
class CatalogLiveRows final : public LiveRows {
  public:
    explicit CatalogLiveRows(std::shared_ptr<const Catalog> catalog)
        : catalog_(std::move(catalog)) {}

    bool run_exists(uint64_t run) const override { return catalog_->find_run(run) != nullptr; }
    uint64_t dead_through(uint64_t run, std::string_view metric) const override {
        const std::shared_ptr<const Run> there = catalog_->find_run(run);
        return there == nullptr ? 0 : there->deleted_through(metric);
    }
    uint32_t dead_columns(const BlockInfo& block, uint64_t after) const override {
        const std::shared_ptr<const Run> there = catalog_->find_run(block.run);
        if (there == nullptr || there->deletes.empty() ||
            there->deletes.back().sequence <= std::max(after, block.sequence_max)) {
            return 0;
        }
        const Schema& schema = *catalog_->find_schema(block.schema)->schema;
        uint32_t dead = 0;
        for (uint32_t column = block.first_column; column < block.end_column; ++column) {
            const uint64_t through = there->deleted_through(schema.metric(column));
            dead += through > after && through >= block.sequence_max ? 1U : 0U;
        }
        return dead;
    }
    std::optional<Key> kept_through(uint64_t run, uint32_t attempt, Axis axis) const override {
        const std::shared_ptr<const Run> there = catalog_->find_run(run);
        const Attempt* of = there == nullptr ? nullptr : there->find_attempt(attempt);
        if (of == nullptr || !of->discarded) {
            return std::nullopt;
        }
        const KeptOfAttempt kept = kept_of_attempt(*catalog_, *there, attempt);
        if (axis == Axis::kTimed) {
            return kept.timed ? std::nullopt : std::optional<Key>(kKeyMin);
        }
        return kept.stepped == kKeyMax ? std::nullopt : std::optional<Key>(kept.stepped);
    }

  private:
    std::shared_ptr<const Catalog> catalog_;
};

// Hears when the schemas of a merge are in the log, or why not, and fires.
class SchemaOutcomes final : public OutcomeSink {
  public:
    SchemaOutcomes(Executor& executor, std::shared_ptr<Signal> all_told)
        : executor_(&executor), all_told_(std::move(all_told)) {}

    void on_durable(uint64_t ordinal, uint64_t) override { told(ordinal); }
    void on_refused(uint64_t ordinal, Refusal) override { told(ordinal); }
    void on_opened(uint64_t, RunOpened) override {}

    void expect(uint64_t ordinal) { last_ = ordinal; }

  private:
    // Whoever waits goes on when the teller is done; or has gone on already, for want of room.
    void told(uint64_t ordinal) {
        if (ordinal == last_) {
            executor_->post([all_told = all_told_] { all_told->fire(); });
        }
    }

    Executor* executor_;
    std::shared_ptr<Signal> all_told_;
    uint64_t last_ = 0;
};

RunRanges runs_of(const SegmentMeta& segment) {
    std::vector<uint64_t> ids;
    ids.reserve(segment.blocks().size());
    for (const SegmentBlock& block : segment.blocks()) {
        ids.push_back(block.info.run);
    }
    return make_run_ranges(ids);
}

}  // namespace

Task<Status> EngineCore::compact() {
    co_await merge_mutex_.lock();
    const Status status = co_await merge_while_needed(MergeUrgency::kFull);
    merge_mutex_.unlock();
    note_merged(status);
    co_return status;
}

// What has failed is tried again after a while.
void EngineCore::note_merged(const Status& status) {
    if (!status) {
        merge_due_ = true;
        merge_retry_us_ = environment_.clock.now_us() + kMergeRetryUs;
    }
}

std::vector<uint64_t> EngineCore::choose_merge(MergeUrgency urgency) const {
    const CatalogLiveRows live(state_.published.share());
    std::vector<SegmentStats> stats;
    for (const auto& segment : state_.rows.segments()) {
        if (!unreadable_.contains(segment->file_id())) {
            // Of a merge before the store was opened nobody knows; it may be merged once more.
            const auto merged = merged_.find(segment->file_id());
            stats.push_back(measure_segment(*segment, live,
                                            MergeLimits::of(options_.merge_bytes_max),
                                            merged == merged_.end() ? 0 : merged->second));
            stats.back().merged = merged != merged_.end();
            if (urgency == MergeUrgency::kSettled && !stats.back().merged) {
                stats.back().pieces_most = std::max(
                    stats.back().pieces_most, pieces_by_schemas(*segment, state_.published.get()));
            }
        }
    }
    return choose_segments(stats, urgency);
}

void EngineCore::start_merges_if_needed(MergeUrgency urgency) {
    const bool possible = options_.merge_automatically && log_ != nullptr && !closing_ &&
                          !write_path_.latched() && !merging_by_itself_;
    if (!possible || !(merge_due_ || urgency != MergeUrgency::kBusy) ||
        environment_.clock.now_us() < merge_retry_us_) {
        return;
    }
    merge_due_ = false;
    if (choose_merge(urgency).empty()) {
        // What failed is not needed any more, and the disk does not count as full because of it.
        merge_error_.reset();
        return;
    }
    merging_by_itself_ = true;
    begin_background();
    const auto merge_all = [](EngineCore* core, MergeUrgency how) -> Task<Status> {
        co_await core->merge_mutex_.lock();
        const Status status = co_await core->merge_while_needed(how);
        core->merge_mutex_.unlock();
        co_return status;
    };
    start(merge_all(this, urgency), [this](const Status& status) {
        merging_by_itself_ = false;
        note_merged(status);
        use_reserve();
        end_background();
    });
}

// Blocks as they were sealed are put together once, when nothing has come for a while.
void EngineCore::consider_settled() {
    const uint64_t sequence = write_path_.published_sequence();
    const int64_t now = environment_.clock.now_us();
    if (sequence != sequence_settled_) {
        sequence_settled_ = sequence;
        settled_since_us_ = now;
        settled_considered_ = false;
    } else if (!settled_considered_ && now >= settled_since_us_ + kSettledUs &&
               !merging_by_itself_) {
        const bool much = state_.rows.memory_bytes() > kSettledFlushBytes && !flush_error_;
        if (much && !closing_ && !flush_started_ && log_ != nullptr && !write_path_.latched()) {
            start_flush();
        }
        // What is being flushed is looked at when that is done.
        if (!flush_started_) {
            settled_considered_ = true;
            start_merges_if_needed(MergeUrgency::kSettled);
        }
    }
}

Task<Status> EngineCore::merge_while_needed(MergeUrgency urgency) {
    Status status;
    while (status) {
        if (log_ == nullptr) {
            co_return Error(ErrorCode::kUnavailable, "the store is open for reading only");
        }
        if (write_path_.latched()) {
            co_return *write_path_.latched();
        }
        if (closing_) {
            co_return Error(ErrorCode::kCancelled, "the store is being closed");
        }
        std::vector<uint64_t> chosen = choose_merge(urgency);
        if (chosen.empty()) {
            break;
        }
        merge_error_.reset();
        status = co_await merge(std::move(chosen));
        if (!status && status.error().code() != ErrorCode::kCancelled) {
            merge_error_ = status.error();
        }
    }
    co_return status;
}

Task<Status> EngineCore::merge(std::vector<uint64_t> file_ids) {
    const int64_t begun_us = environment_.clock.now_us();
    MergeInput input;
    for (const auto& segment : state_.rows.segments()) {
        if (std::ranges::find(file_ids, segment->file_id()) != file_ids.end()) {
            input.sources.push_back(segment);
        }
    }
    co_await log_wanted_schemas(&input.sources);
    input.files = environment_.merge_files;
    input.executor = environment_.merge_executor;
    input.turns = &segment_turns_;
    input.store = state_.store;
    input.catalog = state_.published.share();
    input.live = std::make_shared<const CatalogLiveRows>(input.catalog);
    input.file_id = manifest_->take_file_id();
    input.path = path(segment_file_name(input.file_id));
    input.limits = MergeLimits::of(options_.merge_bytes_max);
    input.cancelled = merge_cancelled_;
    input.damaged = damaged_blocks_;
    const std::string file = input.path;
    const uint64_t as_of = write_path_.published_sequence();
    std::function<Task<MergeOutcome>()> run = [&input] { return merge_segments(std::move(input)); };
    MergeOutcome outcome = co_await run_on<MergeOutcome>(
        environment_.executor, *environment_.merge_executor, std::move(run));
    merge_bytes_read_ += outcome.bytes_read;
    Status status;
    if (outcome.error) {
        status = *outcome.error;
    } else {
        status = co_await publish_merge(std::move(file_ids), &outcome, as_of);
    }
    if (status) {
        merge_times_.add(environment_.clock.now_us() - begun_us);
        co_return status;
    }
    if (!write_path_.latched()) {
        const Status removed = co_await environment_.file_system.remove(file);
        static_cast<void>(removed);  // it may not have been made
    }
    if (outcome.unreadable) {
        // Queries that need what is damaged say so. A damaged block is carried along by the next
        // merge; a segment of which one cannot even be read is left as it is.
        if (!outcome.damaged_block ||
            !damaged_blocks_.emplace(*outcome.unreadable, *outcome.damaged_block).second) {
            unreadable_.emplace(*outcome.unreadable, status.error());
        }
        co_return Status();
    }
    // Not a full disk, which is waited out: nobody knows what the disk holds.
    if (status.error().code() == ErrorCode::kIoError) {
        write_path_.latch(status.error());
    }
    co_return status;
}

// Schemas for metrics that several others name come into the store like a client's: through the
// log, so that replay and catalog know them. Those that are refused, for want of memory or because
// the log has failed, are done without; and so are those that wait for room on a full disk, where
// this merge may be what makes it.
Task<void> EngineCore::log_wanted_schemas(
    const std::vector<std::shared_ptr<const SegmentMeta>>* sources) {
    Executor& here = environment_.executor;
    const std::shared_ptr<const Catalog> catalog = state_.published.share();
    std::vector<WantedSchema> wanted;
    Signal found;
    std::function<void()> find = [&] {
        wanted = wanted_schemas(*sources, *catalog);
        here.post([&found] { found.fire(); });
    };
    environment_.merge_executor->post(std::move(find));
    co_await found;
    if (wanted.empty() || closing_ || write_path_.full()) {
        co_return;
    }
    schemas_told_ = std::make_shared<Signal>();
    const std::shared_ptr<Signal> told = schemas_told_;
    SchemaOutcomes outcomes(here, told);
    const std::unique_ptr<WriteSession> session = open_session(Id128(), outcomes);
    for (const WantedSchema& schema : wanted) {
        outcomes.expect(session->submit(encode_schema_frame(schema.project, schema.schema)));
    }
    Signal& signal = *told;  // g++ 12 would wait for a copy of *told
    co_await signal;
    schemas_told_.reset();
}

// The log has come to the end of the disk, and what waits for it may wait for hours.
void EngineCore::go_on_without_schemas() {
    if (schemas_told_ != nullptr && write_path_.full()) {
        environment_.executor.post([told = schemas_told_] { told->fire(); });
    }
}

// The new segment, written and synced, takes the place of its sources. An error if it does not.
Task<Status> EngineCore::publish_merge(std::vector<uint64_t> file_ids, MergeOutcome* outcome,
                                       uint64_t as_of) {
    ManifestEdit edit;
    edit.remove_segments = file_ids;
    if (outcome->segment != nullptr) {
        const Status named = co_await environment_.file_system.sync_directory(
            options_.directory, SyncSite::kCompactedDirectory);
        if (!named) {
            co_return named;
        }
        const bool is_known =
            std::ranges::all_of(outcome->segment->blocks(), [this](const SegmentBlock& block) {
                return block.info.schema < checkpoint_schemas_end_;
            });
        // Opening a store reads segments before the log: their schemas must be in the checkpoint.
        if (!is_known) {
            const Status flushed = co_await flush();
            if (!flushed) {
                co_return flushed;
            }
        }
        edit.add_segments[outcome->segment->file_id()] = outcome->segment->file_bytes();
        edit.segment_runs[outcome->segment->file_id()] = runs_of(*outcome->segment);
    }
    if (write_path_.latched()) {
        co_return *write_path_.latched();
    }
    const Status recorded = co_await manifest_->append(std::move(edit));
    if (!recorded) {
        if (recorded.error().code() != ErrorCode::kResourceExhausted) {
            write_path_.latch(recorded.error());
        }
        co_return recorded;
    }
    if (outcome->segment != nullptr) {
        merged_.emplace(outcome->segment->file_id(), as_of);
    }
    for (const auto& segment : state_.rows.replace_segments(file_ids, outcome->segment)) {
        merged_.erase(segment->file_id());
        std::erase_if(damaged_blocks_, [&](const BlockPlace& damaged) {
            return damaged.first == segment->file_id();
        });
        const std::weak_ptr<RetiredFiles> retired = retired_;
        segment->retire([retired, file = segment->path()] {
            if (const auto there = retired.lock()) {
                there->executor.post([retired, file] {
                    if (const auto still = retired.lock()) {
                        still->remove(file);
                    }
                });
            }
        });
    }
    ++merges_;
    merge_bytes_written_ += outcome->bytes_written;
    merge_due_ = true;
    state_.count_resident();
    co_return Status();
}

// A file that stays goes when the store is opened next.
void EngineCore::remove_later(std::string file) {
    begin_background();
    start(environment_.file_system.remove(std::move(file)),
          [this](const Status&) { end_background(); });
}

}  // namespace stepdb
