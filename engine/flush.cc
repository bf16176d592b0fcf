// Flushing: what is published moves from tails and memory into a segment and a catalog checkpoint,
// and the log files below are let go. Making blocks of full tails and background preparation of log
// files are here too.
#include "engine/engine_core.h"

#include "engine/catalog/catalog_file.h"
#include "engine/compaction/flush_segment.h"
#include "engine/io/run_on.h"

namespace stepdb {

namespace {

// After a flush for which the disk had no room, which wrote some 100 MB to find out.
constexpr int64_t kFlushRetryUs = 5'000'000;

using Blocks = std::vector<std::shared_ptr<const EncodedBlock>>;

// Blocks come sorted by run.
RunRanges runs_of(const Blocks& blocks) {
    std::vector<uint64_t> ids;
    ids.reserve(blocks.size());
    for (const auto& block : blocks) {
        ids.push_back(block->info.run);
    }
    return make_run_ranges(ids);
}

}  // namespace

// What a flush writes, as of its checkpoint.
struct EngineCore::FlushContents {
    // All of one moment.
    FlushContents(StoreState& state, uint64_t its_checkpoint, int64_t now_us)
        : checkpoint(its_checkpoint),
          sealed(state.rows.seal_all()),
          catalog(state.published.share()) {
        state.writers.forget_before(now_us - kWriterKeptUs);
        checkpoint_body =
            encode_checkpoint(*catalog, state.writers, state.activities, state.rows.highest_keys());
    }

    uint64_t checkpoint;
    SealedList sealed;
    std::shared_ptr<const Catalog> catalog;
    std::vector<std::byte> checkpoint_body;
};

// Rows of which blocks are made together.
struct EngineCore::SealJob {
    SealedList sealed;
    std::vector<std::shared_ptr<const EncodedBlock>> blocks;
};

void EngineCore::start_flush_if_needed() {
    // What is resident may have taken a part of what rows have.
    const size_t rows_max =
        options_.memory_blocks_bytes_max -
        std::min(options_.memory_blocks_bytes_max, state_.memory.borrowed.bytes()) / 2;
    const bool much_in_memory =
        state_.rows.memory_bytes() > rows_max || (!has_room() && state_.rows.memory_bytes() > 0);
    // While rows are flushed about as many more come. Files of earlier lives with little in them
    // count whole: each start leaves one more.
    const bool much_to_replay =
        log_files_->live_bytes() > options_.log_live_bytes_max / 2 ||
        log_files_->disk_bytes() - options_.log_file_bytes > options_.log_live_bytes_max ||
        write_path_.published_sequence() - manifest_->state().checkpoint_sequence >
            options_.log_live_rows_max / 2;
    // A flush lets log files go, which makes room on a full disk, mostly more than it takes.
    const bool frees_disk = write_path_.full() && write_path_.published_sequence() !=
                                                      manifest_->state().checkpoint_sequence;
    // One that failed is made up for when it can be, though little may wait: until then the disk
    // counts as full.
    const bool makes_up = flush_error_ && environment_.clock.now_us() >= flush_retry_us_;
    if (flush_started_ || closing_ || write_path_.latched() ||
        !(much_in_memory || much_to_replay || frees_disk || makes_up)) {
        return;
    }
    // After a flush for which the disk had no room, not before there is more to gain or some time
    // has passed.
    const uint64_t held = state_.rows.memory_bytes() + log_files_->live_bytes();
    if (held < flush_retry_bytes_) {
        return;
    }
    start_flush();
}

void EngineCore::start_flush() {
    flush_started_ = true;
    begin_background();
    start(flush(), [this](const Status& status) {
        flush_started_ = false;
        flush_error_.reset();
        flush_retry_bytes_ = 0;
        if (!status) {
            flush_error_ = status.error();
            flush_retry_bytes_ = (state_.rows.memory_bytes() + log_files_->live_bytes()) / 8 * 9;
            flush_retry_us_ = environment_.clock.now_us() + kFlushRetryUs;
        }
        write_path_.set_flush_error(flush_error_);
        state_.count_resident();
        call_waiting_for_room();
        if (!waiting_for_room_.empty()) {
            start_flush_if_needed();
        }
        use_reserve();
        start_merges_if_needed(MergeUrgency::kBusy);
        end_background();
    });
}

Task<Status> EngineCore::flush() {
    co_await flush_mutex_.lock();
    const Status status = co_await flush_locked();
    flush_mutex_.unlock();
    co_return status;
}

Task<Status> EngineCore::flush_locked() {
    if (log_ == nullptr) {
        co_return Error(ErrorCode::kUnavailable, "the store is open for reading only");
    }
    if (write_path_.latched()) {
        co_return *write_path_.latched();
    }
    const uint64_t checkpoint = write_path_.published_sequence();
    if (checkpoint == manifest_->state().checkpoint_sequence) {
        co_return Status();
    }
    const int64_t begun_us = environment_.clock.now_us();
    const uint64_t old_catalog = manifest_->state().catalog_file;
    const uint64_t schemas_end = state_.published.get().next_schema_id();
    const uint64_t runs = state_.published.get().runs().size();
    FlushContents contents(state_, checkpoint, environment_.clock.now_us());
    co_await blocks_made(&contents.sealed);
    ManifestEdit edit;
    std::vector<std::shared_ptr<const SegmentMeta>> segments;
    const Status written = co_await write_flush_files(&contents, edit, segments);
    if (!written) {
        // A full disk is waited out: everything stays in memory and in the log. After any other
        // failure nobody knows what the disk holds.
        if (written.error().code() != ErrorCode::kResourceExhausted) {
            write_path_.latch(written.error());
        }
        co_return written;
    }
    // If a sync of the log has failed meanwhile, those of this flush may have saved nothing and
    // said that all is well; the log's files stay.
    if (write_path_.latched()) {
        co_return *write_path_.latched();
    }
    log_files_->plan_release(checkpoint, edit);
    const Status recorded = co_await manifest_->append(edit);
    if (!recorded) {
        if (recorded.error().code() != ErrorCode::kResourceExhausted) {
            write_path_.latch(recorded.error());
        } else {
            co_await discard_flush_files(edit);
        }
        co_return recorded;
    }
    for (const auto& segment : segments) {
        flush_bytes_written_ += segment->file_bytes();
    }
    if (!segments.empty()) {
        state_.rows.drop_flushed(contents.sealed, std::move(segments));
        merge_due_ = true;
    }
    ++flushes_;
    flush_times_.add(environment_.clock.now_us() - begun_us);
    checkpoint_schemas_end_ = schemas_end;
    checkpoint_runs_ = runs;
    const Status released = co_await log_files_->release(edit);
    if (!released) {
        co_return released;
    }
    if (write_path_.full() && !log_->idle()) {
        log_->want_file();  // there are files to recycle now
    }
    if (old_catalog != 0 && !pinned_catalogs_.contains(old_catalog)) {
        co_return co_await environment_.file_system.remove(path(catalog_file_name(old_catalog)));
    }
    co_return Status();
}

// Makes blocks of rows where that takes no time of the engine's.
void EngineCore::make_blocks(SealedList sealed) {
    begin_background();
    ++seal_jobs_;
    auto job = std::make_shared<SealJob>();
    job->sealed = std::move(sealed);
    environment_.seal_executor->post([this, job] {
        for (const auto& rows : job->sealed) {
            job->blocks.push_back(sealer_.seal(rows->rows, rows->info, state_.memory.rows));
        }
        environment_.executor.post([this, job] {
            state_.rows.blocks_made(job->sealed, job->blocks);
            --seal_jobs_;
            call_waiting_for_room();
            end_background();
            blocks_made_.fire();  // last: a failed opening ends the engine in it
        });
    });
}

Task<void> EngineCore::all_blocks_made() {
    while (seal_jobs_ != 0) {
        co_await blocks_made_;
    }
}

// Waits until all of these are blocks.
Task<void> EngineCore::blocks_made(const SealedList* sealed) {
    for (const auto& rows : *sealed) {
        while (rows->block == nullptr && !rows->dropped) {
            co_await blocks_made_;
        }
    }
}

// Writes segments and catalog and fills in the edit that makes them count.
Task<Status> EngineCore::write_flush_files(
    FlushContents* contents, ManifestEdit& edit,
    std::vector<std::shared_ptr<const SegmentMeta>>& segments) {
    FileSystem& files = environment_.file_system;
    const uint64_t checkpoint = contents->checkpoint;
    Blocks blocks;
    for (const auto& rows : contents->sealed) {
        if (!rows->dropped) {
            blocks.push_back(rows->block);
        }
    }
    const std::vector<Blocks> parts = share_out(blocks, MergeLimits::of(options_.merge_bytes_max));
    edit.checkpoint_sequence = checkpoint;
    edit.durable_sequence = checkpoint;
    for (size_t part = 0; part < parts.size(); ++part) {
        const uint64_t file_id = manifest_->take_file_id();
        edit.add_segments[file_id] = 0;  // known when it is written, removed when that fails
        Result<std::shared_ptr<const SegmentMeta>> meta =
            co_await write_flush_segment_apart(contents, &parts[part], file_id);
        if (!meta) {
            co_await discard_flush_files(edit);
            segments.clear();
            co_return meta.error();
        }
        edit.add_segments[file_id] = (*meta)->file_bytes();
        edit.segment_runs[file_id] = runs_of(parts[part]);
        segments.push_back(std::move(*meta));
    }
    const uint64_t catalog_id = manifest_->take_file_id();
    edit.catalog_file = catalog_id;
    const Status catalog =
        co_await write_catalog_file(files, path(catalog_file_name(catalog_id)), state_.store,
                                    catalog_id, checkpoint, std::move(contents->checkpoint_body));
    Status done = catalog;
    if (done) {
        done = co_await files.sync_directory(options_.directory, SyncSite::kFlushDirectory);
    }
    if (!done) {
        // Nothing names these files yet; their room is wanted back.
        co_await discard_flush_files(edit);
        segments.clear();
    }
    co_return done;
}

// Beside the log, where merges run too.
Task<Result<std::shared_ptr<const SegmentMeta>>> EngineCore::write_flush_segment_apart(
    const FlushContents* contents, const Blocks* blocks, uint64_t file_id) {
    FlushInput input;
    input.files = environment_.merge_files;
    input.executor = environment_.merge_executor;
    input.store = state_.store;
    input.path = path(segment_file_name(file_id));
    input.file_id = file_id;
    input.catalog = contents->catalog;
    input.blocks = *blocks;
    input.turns = &segment_turns_;
    input.limits = MergeLimits::of(options_.merge_bytes_max);
    std::function<Task<Result<std::shared_ptr<const SegmentMeta>>>()> write = [&input] {
        return write_flush_segment(std::move(input));
    };
    co_return co_await run_on<Result<std::shared_ptr<const SegmentMeta>>>(
        environment_.executor, *environment_.merge_executor, std::move(write));
}

Task<void> EngineCore::discard_flush_files(const ManifestEdit& edit) {
    FileSystem& files = environment_.file_system;
    for (const auto& [file_id, bytes] : edit.add_segments) {
        const Status removed = co_await files.remove(path(segment_file_name(file_id)));
        static_cast<void>(removed);
    }
    if (edit.catalog_file) {
        const Status removed = co_await files.remove(path(catalog_file_name(*edit.catalog_file)));
        static_cast<void>(removed);
    }
}

void EngineCore::on_log_file_wanted() {
    if (reserve_->given_up() && !log_->is_stuck()) {
        log_->file_not_made();  // it would take what a merge needs
        return;
    }
    begin_background();
    const bool had_reserve = !reserve_->given_up();
    start(prepare_log_file(), [this, had_reserve](const Status& status) {
        if (!status) {
            if (status.error().code() == ErrorCode::kResourceExhausted) {
                log_->file_not_made();
                write_path_.set_full(reserve_->given_up() ? reserve_in_use() : status.error());
                tell_of_troubles();  // it may be over before the next tick
                go_on_without_schemas();
                start_flush_if_needed();
                if (log_->is_stuck() && had_reserve && reserve_->given_up()) {
                    log_->want_file();  // given up meanwhile, for this
                } else if (log_->is_stuck()) {
                    flush_by_reserve_ = true;
                    give_up_reserve();
                }
                if (closing_) {
                    quiet_.fire();
                }
            } else {
                log_->stop();
                on_log_failed(status.error());
            }
        }
        end_background();
    });
}

Task<Status> EngineCore::prepare_log_file() {
    Result<std::shared_ptr<LogFile>> file =
        co_await log_files_->prepare_and_register(write_path_.published_sequence());
    if (!file) {
        co_return file.error();
    }
    if (!reserve_->given_up()) {
        write_path_.set_full(std::nullopt);
        tell_of_troubles();
    }
    log_->add_file(std::move(*file));
    co_return Status();
}

}  // namespace stepdb
