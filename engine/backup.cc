// Which files a backup is made of, so that they are of one moment, and that they stay while they
// are copied; and restoring one.
#include "engine/backup.h"

#include <algorithm>
#include <utility>

#include "engine/base/text.h"
#include "engine/catalog/catalog_file.h"
#include "engine/engine_core.h"
#include "engine/io/run_on.h"
#include "engine/store_copy.h"

namespace stepdb {

namespace {

RunRanges runs_in(const SegmentMeta& segment) {
    std::vector<uint64_t> ids;
    ids.reserve(segment.blocks().size());
    for (const SegmentBlock& block : segment.blocks()) {
        ids.push_back(block.info.run);
    }
    return make_run_ranges(ids);
}

uint64_t damaged_in(const SegmentMeta& segment) {
    return static_cast<uint64_t>(std::ranges::count_if(
        segment.blocks(), [](const SegmentBlock& block) { return block.damaged != nullptr; }));
}

// For the server's log.
LogEvent describe_backup(const std::string& directory, const Result<BackupReport>& report) {
    if (!report) {
        LogEvent failed(LogLevel::kError, "backup_failed");
        return failed.text("directory", directory).text("error", report.error().message());
    }
    LogEvent made(LogLevel::kInfo, "backup_made");
    return made.text("directory", directory)
        .count("sequence", report->sequence)
        .count("files", report->files)
        .count("files_new", report->files_new)
        .count("copied_bytes", report->bytes_copied);
}

}  // namespace

// The store as of its last checkpoint.
struct EngineCore::BackupPin {
    BackupPin() = default;

    ManifestState state;
    std::shared_ptr<const SegmentList> segments;  // whose files stay as long as this
    uint64_t runs = 0;
    uint64_t damaged_blocks = 0;
};

Task<Result<BackupReport>> EngineCore::backup(BackupOptions options) {
    if (closing_) {
        co_return Error(ErrorCode::kCancelled, "the store is being closed");
    }
    begin_background();
    const std::string directory = options.directory;
    Result<BackupReport> report = co_await backup_now(std::move(options));
    if (options_.tell) {
        options_.tell(describe_backup(directory, report));
    }
    end_background();
    co_return report;
}

Task<Result<BackupReport>> EngineCore::backup_now(BackupOptions options) {
    BackupPin pin;
    const Status pinned = co_await pin_for_backup(&pin);
    if (!pinned) {
        co_return pinned.error();
    }
    StoreCopyInput input;
    input.files = environment_.merge_files;
    input.from = options_.directory;
    input.to = std::move(options.directory);
    input.store = state_.store;
    input.state = pin.state;
    input.runs = pin.runs;
    input.damaged_blocks = pin.damaged_blocks;
    input.is_backup = true;
    input.turns = &backup_turns_;
    input.is_cancelled = [cancelled = options.cancelled, closing = merge_cancelled_] {
        return closing->load(std::memory_order_relaxed) ||
               (cancelled != nullptr && cancelled->load(std::memory_order_relaxed));
    };
    input.on_progress = std::move(options.on_progress);
    std::function<Task<Result<BackupReport>>()> copy = [&input] {
        return copy_store(std::move(input));
    };
    Result<BackupReport> report = co_await run_on<Result<BackupReport>>(
        environment_.executor, *environment_.merge_executor, std::move(copy));
    pin.segments.reset();
    co_await unpin_catalog(pin.state.catalog_file);
    co_return report;
}

// Between a flush's edit of the manifest and the moment when its segments are known here nobody may
// look, so this holds the flushes up. Merges need not wait: what they replace stays until it is let
// go of.
Task<Status> EngineCore::pin_for_backup(BackupPin* pin) {
    if (write_path_.latched()) {
        co_return *write_path_.latched();
    }
    if (!state_.rows.damaged()->empty()) {
        const Error& why = *state_.rows.damaged()->front().error;
        co_return make_error(why.code(),
                             "a store with a segment that cannot be read is not backed up: {}",
                             why.message());
    }
    bool is_whole = false;
    while (!is_whole) {
        co_await flush_mutex_.lock();
        const Status flushed = co_await flush_locked();
        is_whole = flushed.has_value() && checkpoint_covers_merges();
        if (is_whole) {
            pin->segments = state_.rows.share_segments();
            pin->state = without_log(manifest_->state());
            pin->runs = checkpoint_runs_;
            if (pin->state.catalog_file != 0) {
                pinned_catalogs_.insert(pin->state.catalog_file);
            }
        }
        flush_mutex_.unlock();
        if (!flushed) {
            co_return flushed;
        }
    }
    // In the manifest a merge may have been ahead of what is known here.
    ManifestState& state = pin->state;
    state.segments.clear();
    state.segment_runs.clear();
    state.next_file_id = std::max(state.next_file_id, state.catalog_file + 1);
    for (const auto& segment : *pin->segments) {
        const uint64_t file_id = segment->file_id();
        state.segments[file_id] = segment->file_bytes();
        state.segment_runs[file_id] = runs_in(*segment);
        state.next_file_id = std::max(state.next_file_id, file_id + 1);
        pin->damaged_blocks += damaged_in(*segment);
    }
    co_return Status();
}

// What a merge has left out because of a delete, the checkpoint must say is deleted: else the run
// would be there, without these points.
bool EngineCore::checkpoint_covers_merges() const {
    const uint64_t checkpoint = manifest_->state().checkpoint_sequence;
    return std::ranges::all_of(
        merged_, [checkpoint](const auto& merged) { return merged.second <= checkpoint; });
}

Task<void> EngineCore::unpin_catalog(uint64_t file_id) {
    const auto pinned = pinned_catalogs_.find(file_id);
    if (pinned == pinned_catalogs_.end()) {
        co_return;
    }
    pinned_catalogs_.erase(pinned);
    if (file_id != manifest_->state().catalog_file && !pinned_catalogs_.contains(file_id)) {
        const Status removed =
            co_await environment_.file_system.remove(path(catalog_file_name(file_id)));
        static_cast<void>(removed);  // the next opening does
    }
}

namespace {

// What CURRENT names there, if it is a backup.
Task<Result<LoadedManifest>> load_backup(FileSystem& files, std::string directory) {
    Result<std::optional<LoadedManifest>> loaded = co_await load_manifest(files, directory);
    if (!loaded) {
        co_return loaded.error();
    }
    if (!loaded->has_value()) {
        co_return make_error(ErrorCode::kNotFound,
                             "{} holds no backup that is whole: there is no file {}", directory,
                             kCurrentName);
    }
    LoadedManifest manifest = std::move(**loaded);
    if (manifest.torn) {
        co_return make_error(ErrorCode::kCorruption, "{}/{}: damaged from byte {} on", directory,
                             manifest_file_name(manifest.file_id), manifest.end);
    }
    if (!is_without_log(manifest.state)) {
        co_return make_error(ErrorCode::kFailedPrecondition,
                             "{} is a store of its own, with a log, and no backup, or no longer "
                             "one; serve it as it is, or back it up first",
                             directory);
    }
    co_return manifest;
}

}  // namespace

Task<Result<BackupReport>> restore_store(FileSystem& files, RestoreOptions options) {
    // Before anything is made there, be it a lock.
    const Result<LoadedManifest> seen = co_await load_backup(files, options.backup);
    if (!seen) {
        co_return seen.error();
    }
    const std::string lock_path = options.backup + "/" + std::string(kLockName);
    Result<std::unique_ptr<FileLock>> lock = co_await files.lock(lock_path);
    if (!lock) {
        co_return lock.error();
    }
    Result<LoadedManifest> manifest = co_await load_backup(files, options.backup);
    if (!manifest) {
        co_return manifest.error();
    }
    StoreCopyInput input;
    input.files = &files;
    input.from = options.backup;
    input.to = options.directory;
    input.store = manifest->store;
    input.state = std::move(manifest->state);
    input.on_progress = std::move(options.on_progress);
    const uint64_t catalog_file = input.state.catalog_file;
    if (catalog_file != 0) {
        const std::string path = options.backup + "/" + catalog_file_name(catalog_file);
        const Result<CatalogCheckpoint> checkpoint =
            co_await read_catalog_file(files, path, input.store, catalog_file);
        if (!checkpoint) {
            co_return checkpoint.error();
        }
        input.runs = checkpoint->catalog.runs().size();
    }
    co_return co_await copy_store(std::move(input));
}

}  // namespace stepdb
