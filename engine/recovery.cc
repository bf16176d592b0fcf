// Opening a store: from what is on disk to the state before the crash, and a new epoch on top.
//
//   1  CURRENT names the manifest; without CURRENT the directory must hold no data
//   2  catalog checkpoint and segments hold everything up to the checkpoint sequence
//   3  the live log files, in order, hold everything after it; the last one may end torn
//   4  what was replayed is synced before anybody reads it: it may only have been in the page cache
//   5  a new log file, a new manifest that names it and the old ones, CURRENT renamed to it
//   6  files nothing names are removed; on a full disk they go before 5
//
// What is damaged does not keep the rest from being read: see find_manifest, load_checkpoint and
// log_replay.cc. A store that has lost anything but whole segments is opened for reading only, so
// that nothing is built upon what may be missing.
#include "engine/engine_core.h"

#include <algorithm>
#include <limits>

#include "engine/catalog/catalog_file.h"
#include "engine/catalog/lineage.h"
#include "engine/lost_catalog.h"
#include "engine/repair.h"
#include "engine/salvage.h"

namespace stepdb {

namespace {

Id128 new_store_id(Random& random) {
    Id128 id;
    store_le(id.bytes.data(), random.next());
    store_le(id.bytes.data() + 8, random.next());
    // The version and variant bits of a random UUID (RFC 9562, version 4).
    id.bytes[6] = (id.bytes[6] & std::byte{0x0F}) | std::byte{0x40};
    id.bytes[8] = (id.bytes[8] & std::byte{0x3F}) | std::byte{0x80};
    return id;
}

// The id in the name of any of our numbered files.
std::optional<uint64_t> any_file_id(std::string_view name) {
    for (const std::string_view prefix : {"log-", "segment-", "catalog-", "manifest-"}) {
        if (const auto id = parse_file_name(name, prefix)) {
            return id;
        }
    }
    return std::nullopt;
}

StoreDamage describe_lost_catalog(const Error& why, const std::string& name) {
    return {fmt::format("{}; {}. Restore the file from a backup", why.message(), kLostWithCatalog),
            fmt::format("{} cannot be read, and answers lack the restarts, forks, deletes, "
                        "attributes, states and runs without rows that only it told of; restore "
                        "it from a backup",
                        name)};
}

}  // namespace

Task<Status> EngineCore::recover() {
    FileSystem& files = environment_.file_system;
    if (options_.create_if_missing && !options_.read_only) {
        const Status made = co_await files.make_directory(options_.directory);
        if (!made) {
            co_return made;
        }
    }
    Result<std::unique_ptr<FileLock>> lock = co_await files.lock(path(kLockName));
    if (!lock) {
        co_return lock.error();
    }
    lock_ = std::move(*lock);
    Result<std::optional<SalvagedManifest>> found = co_await find_manifest();
    if (!found) {
        co_return found.error();
    }
    if (!found->has_value()) {
        if (!options_.create_if_missing || options_.read_only) {
            co_return make_error(ErrorCode::kNotFound, "{} holds no store", options_.directory);
        }
        state_.store = new_store_id(environment_.random);
        report_.created = true;
        co_return co_await begin_epoch(ManifestState());
    }
    SalvagedManifest manifest = std::move(**found);
    state_.store = manifest.store;
    if (!manifest.what.empty()) {
        report_.damage.emplace_back(manifest.what, manifest.brief);
    }
    const Status loaded = co_await load_checkpoint(manifest.state);
    if (!loaded) {
        co_return loaded;
    }
    const Status replayed = co_await replay_logs(manifest.state);
    if (!replayed) {
        co_return replayed;
    }
    state_.accepted = state_.published.get();
    state_.accepted.charge_replaced_to(state_.memory.rows);
    state_.count_resident();
    if (!report_.damage.empty()) {
        write_path_.latch_damaged(make_error(ErrorCode::kUnavailable,
                                             "the store is damaged and takes no frames: {}",
                                             report_.damage.front().brief));
        told_read_only_ = true;  // by recovery()
        co_return Status();
    }
    if (options_.read_only) {
        co_return Status();
    }
    co_return co_await begin_epoch(std::move(manifest.state));
}

// What CURRENT and its manifest say, or what can be made of the files without them. Nothing if the
// directory holds no store.
Task<Result<std::optional<SalvagedManifest>>> EngineCore::find_manifest() {
    FileSystem& files = environment_.file_system;
    std::optional<SalvagedManifest> found;
    Result<std::optional<LoadedManifest>> loaded =
        co_await load_manifest(files, options_.directory);
    std::optional<Error> why;
    if (!loaded) {
        why = loaded.error();
    } else if (!loaded->has_value()) {
        const Status empty = co_await refuse_leftovers();
        if (empty) {
            co_return found;
        }
        why = empty.error();
    } else {
        LoadedManifest& manifest = **loaded;
        if (manifest.torn) {
            why = co_await find_contradiction(files, options_.directory, manifest);
        }
        if (!why) {
            if (manifest.torn) {
                report_.notes.push_back(
                    describe_torn_edit(path(manifest_file_name(manifest.file_id)), manifest.end));
            }
            found.emplace();
            found->store = manifest.store;
            found->state = std::move(manifest.state);
            current_manifest_ = manifest.file_id;
            co_return found;
        }
    }
    // A newer format is no damage.
    if (why->code() == ErrorCode::kUnsupportedVersion) {
        co_return *why;
    }
    Result<SalvagedManifest> salvaged = co_await salvage_manifest(files, options_.directory, *why);
    if (!salvaged) {
        co_return salvaged.error();
    }
    found.emplace(std::move(*salvaged));
    co_return found;
}

// A store whose CURRENT is gone must not be taken for an empty directory. Creation that was cut
// short leaves at most a manifest and a log file without a group.
Task<Status> EngineCore::refuse_leftovers() {
    FileSystem& files = environment_.file_system;
    Result<std::vector<std::string>> names = co_await files.list(options_.directory);
    if (!names) {
        co_return names.error();
    }
    for (const std::string& name : *names) {
        bool has_data = parse_file_name(name, "segment-") || parse_file_name(name, "catalog-");
        if (parse_file_name(name, "log-")) {
            Result<std::unique_ptr<File>> file = co_await files.open(path(name), OpenMode::kRead);
            if (!file) {
                co_return file.error();
            }
            AlignedBuffer page(kPageBytes);
            if ((*file)->size() >= kLogFirstGroupOffset + kPageBytes) {
                const Status read = co_await (*file)->read(kLogFirstGroupOffset, page.span());
                if (!read) {
                    co_return read.error().within(path(name));
                }
            }
            has_data = load_le<uint32_t>(page.data()) == kGroupMagic;
        }
        if (has_data) {
            co_return make_error(
                ErrorCode::kCorruption,
                "{} is missing, but {} holds data. Restore CURRENT: one line naming the newest "
                "manifest file there",
                path(kCurrentName), path(name));
        }
        if (any_file_id(name) && !options_.read_only) {
            const Status removed = co_await files.remove(path(name));
            if (!removed) {
                co_return removed;
            }
        }
    }
    co_return Status();
}

// Catalog and segments. What cannot be read is reported; the rest counts. kUnsupportedVersion alone
// is an error: what a newer program has written is not taken for damage.
Task<Status> EngineCore::load_checkpoint(ManifestState state) {
    FileSystem& files = environment_.file_system;
    catalog_lost_ = state.catalog_file == 0 && !state.segments.empty();
    if (state.catalog_file != 0) {
        Result<CatalogCheckpoint> checkpoint = co_await read_catalog_file(
            files, path(catalog_file_name(state.catalog_file)), state_.store, state.catalog_file);
        if (checkpoint) {
            state_.published.edit() = std::move(checkpoint->catalog);
            state_.writers = std::move(checkpoint->writers);
            state_.activities = std::move(checkpoint->activities);
            checkpoint_schemas_end_ = state_.published.get().next_schema_id();
            checkpoint_runs_ = state_.published.get().runs().size();
            take_highest_keys(*checkpoint);
            count_as_written_now(*checkpoint);
        } else if (checkpoint.error().code() == ErrorCode::kUnsupportedVersion) {
            co_return checkpoint.error();
        } else {
            catalog_lost_ = true;
            report_.damage.push_back(
                describe_lost_catalog(checkpoint.error(), catalog_file_name(state.catalog_file)));
        }
    }
    for (const auto& [file_id, bytes] : state.segments) {
        Result<std::shared_ptr<const SegmentMeta>> segment =
            co_await open_segment(files, path(segment_file_name(file_id)), state_.store, file_id);
        Status loaded;
        if (!segment) {
            loaded = segment.error();
        } else {
            if (catalog_lost_) {
                loaded = co_await take_names(*segment);
            }
            if (loaded) {
                loaded = load_segment(std::move(*segment));
            }
        }
        if (!loaded && loaded.error().code() == ErrorCode::kUnsupportedVersion) {
            co_return loaded;
        }
        if (!loaded) {
            note_damaged_segment(state, file_id, loaded.error());
        }
    }
    co_return Status();
}

// Groups of runs and schemas that the catalog knows; it is what the keys are a part of.
void EngineCore::take_highest_keys(const CatalogCheckpoint& checkpoint) {
    if (!checkpoint.highest_keys) {
        return;
    }
    has_highest_keys_ = true;
    const Catalog& catalog = state_.published.get();
    for (const HighestKey& highest : *checkpoint.highest_keys) {
        const StoredSchema* schema = catalog.find_schema(highest.schema);
        if (schema != nullptr && catalog.find_run(highest.run) != nullptr) {
            state_.rows.set_highest_key(state_.rows.group(highest.run, highest.attempt, *schema),
                                        highest.key);
            // Blocks may have nothing of it any more. Where they do and contradict, they say so.
            const Status axis = state_.axes.use(fork_root(catalog, highest.run),
                                                catalog.find_run(highest.run)->path(), *schema);
            static_cast<void>(axis);
        }
    }
}

// A checkpoint of version 1 does not say when runs were written to. Retention must not take them
// for as old as their creation.
void EngineCore::count_as_written_now(const CatalogCheckpoint& checkpoint) {
    if (checkpoint.highest_keys) {
        return;
    }
    const int64_t now = environment_.clock.now_us();
    for (const auto& run : state_.published.get().runs()) {
        RunActivity& activity = state_.activities.of(run->id);
        activity.last_write_us = now;
        activity.last_sign_us = now;
    }
}

// Registers a segment's blocks. Nothing of it counts after an error.
Status EngineCore::load_segment(std::shared_ptr<const SegmentMeta> segment) {
    const Catalog& catalog = state_.published.get();
    for (const SegmentBlock& block : segment->blocks()) {
        // A run that is not there but had its id given out has been deleted.
        if (catalog.find_schema(block.info.schema) == nullptr ||
            block.info.run >= catalog.next_run_id()) {
            return make_error(ErrorCode::kCorruption,
                              "{} has a block of run {} and schema {}, which the catalog does not "
                              "know",
                              segment->path(), block.info.run, block.info.schema);
        }
    }
    for (const SegmentBlock& block : segment->blocks()) {
        const BlockInfo& info = block.info;
        const std::shared_ptr<const Run> run = catalog.find_run(info.run);
        if (run == nullptr) {
            continue;
        }
        const StoredSchema& schema = *catalog.find_schema(info.schema);
        if (!has_highest_keys_) {
            state_.rows.set_highest_key(state_.rows.group(info.run, info.attempt, schema),
                                        info.key_max);
        }
        const Status axis = state_.axes.use(fork_root(catalog, info.run), run->path(), schema);
        if (!axis) {
            return Error(ErrorCode::kCorruption, axis.error().message()).within(segment->path());
        }
    }
    state_.rows.add_segment(std::move(segment));
    return {};
}

// The catalog is lost: a segment's own names say which runs and schemas it holds.
Task<Status> EngineCore::take_names(std::shared_ptr<const SegmentMeta> segment) {
    Result<std::unique_ptr<File>> file =
        co_await environment_.file_system.open(segment->path(), OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    Result<SegmentNames> names = co_await read_names(**file, *segment);
    if (!names) {
        co_return names.error();
    }
    take_segment_names(state_.published, *segment, *names);
    co_return Status();
}

// A segment that cannot be read takes with it the runs that have rows in it; others go on.
void EngineCore::note_damaged_segment(const ManifestState& state, uint64_t file_id,
                                      const Error& why) {
    const std::string what =
        fmt::format("{}; restore {} from a backup", why.message(), segment_file_name(file_id));
    const auto runs = state.segment_runs.find(file_id);
    // Without a catalog the runs are not all known yet, and none comes to be later.
    const uint64_t last_run = report_.damage.empty() ? state_.published.get().next_run_id() - 1
                                                     : std::numeric_limits<uint64_t>::max();
    DamagedSegment damaged;
    damaged.error = std::make_shared<const Error>(
        ErrorCode::kCorruption, fmt::format("has rows in a segment that cannot be read: {}", what));
    damaged.runs = runs != state.segment_runs.end() ? runs->second : RunRanges{{1, last_run}};
    state_.rows.add_damaged(std::move(damaged));
    report_.damaged_segments.push_back(what);
}

Task<Status> EngineCore::begin_epoch(ManifestState state) {
    const ManifestState recovered = state;
    FileSystem& files = environment_.file_system;
    Result<std::vector<std::string>> names = co_await files.list(options_.directory);
    if (!names) {
        co_return names.error();
    }
    for (const std::string& name : *names) {
        state.next_file_id = std::max(state.next_file_id, any_file_id(name).value_or(0) + 1);
    }
    state.epoch += 1;
    manifest_ = std::make_unique<Manifest>(files, options_.directory, state_.store,
                                           options_.manifest_bytes_max);
    manifest_->skip_file_ids(state.next_file_id);
    log_files_ = std::make_unique<LogFiles>(files, options_.directory, state_.store, *manifest_,
                                            options_.log_file_bytes);
    log_files_->epoch = state.epoch;
    if (reserve_ == nullptr) {
        reserve_ = std::make_unique<DiskReserve>(files, options_.directory, options_.reserve_bytes);
        const Status found = co_await reserve_->find();
        if (!found) {
            co_return found;
        }
    }
    // A file that got no group before the crash holds nothing and is let go.
    for (const ReplayedLog& log : replayed_) {
        if (log.first_sequence == 0) {
            state.logs.erase(log.file_id);
        } else {
            log_files_->add_old(log.file_id, log.first_sequence, log.end);
        }
    }
    Result<std::shared_ptr<LogFile>> log_file = co_await prepare_first_log_file(recovered);
    if (log_file) {
        state.logs[(*log_file)->file_id] = state.epoch;
    } else if (report_.created || log_file.error().code() != ErrorCode::kResourceExhausted) {
        co_return log_file.error();
    }
    state.log_sequence = log_files_->oldest_sequence(next_sequence_);
    state.durable_sequence = next_sequence_ - 1;
    state.closed = false;
    const Status begun = co_await begin_manifest(state);
    if (!begun) {
        if (report_.created || begun.error().code() != ErrorCode::kResourceExhausted) {
            co_return begun;
        }
        // Not even room for a manifest. The store as it was is untouched and can be read; tick()
        // tries again.
        if (!waiting_epoch_) {
            report_.notes.push_back(begun.error().message());
        }
        write_path_.set_full(begun.error());
        waiting_epoch_ = recovered;
        co_return Status();
    }
    waiting_epoch_.reset();
    const Status cleaned = co_await remove_orphans(manifest_->state(), manifest_->file_id());
    if (!cleaned) {
        co_return cleaned;
    }
    start_log(state.epoch, std::move(log_file));
    co_return Status();
}

// On a full disk by what nothing names, or by what is kept for deletes: these need it.
Task<Result<std::shared_ptr<LogFile>>> EngineCore::prepare_first_log_file(ManifestState recovered) {
    Result<std::shared_ptr<LogFile>> log_file = co_await log_files_->prepare();
    if (!log_file && log_file.error().code() == ErrorCode::kResourceExhausted) {
        const Status cleared = co_await clear_full_disk(std::move(recovered));
        if (!cleared) {
            co_return cleared.error();
        }
        log_file = co_await log_files_->prepare();
    }
    if (!log_file && log_file.error().code() == ErrorCode::kResourceExhausted && reserve_->held()) {
        const Status given_up = co_await give_up_reserve_to_begin();
        if (!given_up) {
            co_return given_up.error();
        }
        log_file = co_await log_files_->prepare();
    }
    co_return log_file;
}

// Likewise.
Task<Status> EngineCore::begin_manifest(ManifestState state) {
    const Status begun = co_await manifest_->begin(state);
    if (begun || begun.error().code() != ErrorCode::kResourceExhausted || !reserve_->held()) {
        co_return begun;
    }
    const Status given_up = co_await give_up_reserve_to_begin();
    if (!given_up) {
        co_return given_up;
    }
    co_return co_await manifest_->begin(std::move(state));
}

Task<Status> EngineCore::give_up_reserve_to_begin() {
    merge_by_reserve_ = true;
    flush_by_reserve_ = true;
    co_return co_await reserve_->give_up();
}

// From here on frames are accepted; without room for a first file, once there is some.
void EngineCore::start_log(uint64_t epoch, Result<std::shared_ptr<LogFile>> log_file) {
    LogWriterOptions log_options;
    log_options.store = state_.store;
    log_options.epoch = epoch;
    log_options.next_sequence = next_sequence_;
    log_options.file_bytes = options_.log_file_bytes;
    log_options.group_bytes_max = options_.log_group_bytes_max;
    log_options.group_bytes_eager = std::min(kLogGroupBytesEager, options_.log_group_bytes_max);
    log_options.groups_in_flight_max = options_.log_groups_in_flight_max;
    log_options.clock = &environment_.clock;
    LogWriter::Owner& owner = *this;
    log_ = std::make_unique<LogWriter>(environment_.executor, log_options, owner);
    log_->set_on_file_begun([this](uint64_t file_id, uint64_t first_sequence) {
        log_files_->on_begun(file_id, first_sequence);
    });
    if (log_file) {
        log_->add_file(std::move(*log_file));
        write_path_.set_full(reserve_->given_up() ? std::optional(reserve_in_use()) : std::nullopt);
    } else {
        report_.notes.push_back(log_file.error().message());
        write_path_.set_full(log_file.error());
    }
    write_path_.set_log(log_.get(), next_sequence_ - 1);
}

// There is no room for a log file: what nothing names goes now, not after the new manifest is
// there. For that, the one it would replace must be durable, which after a kill it need not be.
// `state` is what that one says, for it counts if there is no room for another.
Task<Status> EngineCore::clear_full_disk(ManifestState state) {
    FileSystem& files = environment_.file_system;
    if (current_manifest_ == 0) {
        co_return Status();
    }
    Result<std::unique_ptr<File>> manifest =
        co_await files.open(path(manifest_file_name(current_manifest_)), OpenMode::kRead);
    if (!manifest) {
        co_return manifest.error();
    }
    const Status edits = co_await (*manifest)->sync(SyncSite::kManifestEdit);
    if (!edits) {
        co_return edits;
    }
    const Status named =
        co_await files.sync_directory(options_.directory, SyncSite::kCurrentDirectory);
    if (!named) {
        co_return named;
    }
    co_return co_await remove_orphans(std::move(state), current_manifest_);
}

// Files that nothing names: unfinished flushes and rotations, old manifests, spare log files. Where
// a repair was cut short they may be what it has replaced, which is kept (repair.h).
Task<Status> EngineCore::remove_orphans(ManifestState state, uint64_t manifest_id) {
    FileSystem& files = environment_.file_system;
    Result<std::vector<std::string>> names = co_await files.list(options_.directory);
    if (!names) {
        co_return names.error();
    }
    const bool is_repair_cut_short = std::ranges::find(*names, kRepairMarkName) != names->end();
    for (const std::string& name : *names) {
        const auto log = parse_file_name(name, "log-");
        const auto segment = parse_file_name(name, "segment-");
        const auto catalog = parse_file_name(name, "catalog-");
        const auto manifest = parse_file_name(name, "manifest-");
        const bool orphan = (log && !state.logs.contains(*log)) ||
                            (segment && !state.segments.contains(*segment)) ||
                            (catalog && *catalog != state.catalog_file) ||
                            (manifest && *manifest != manifest_id) || name == kCurrentTemporaryName;
        if (orphan) {
            Status gone;
            if (is_repair_cut_short) {
                std::string aside = path(name) + std::string(kBeforeRepairSuffix);
                gone = co_await files.rename(path(name), std::move(aside));
            } else {
                gone = co_await files.remove(path(name));
            }
            if (!gone) {
                co_return gone;
            }
        }
    }
    if (is_repair_cut_short) {
        const Status named =
            co_await files.sync_directory(options_.directory, SyncSite::kFlushDirectory);
        if (!named) {
            co_return named;
        }
        co_return co_await files.remove(path(kRepairMarkName));
    }
    co_return Status();
}

}  // namespace stepdb
