// Opening a store: from what is on disk to the state before the crash, and a new epoch on top.
//
//   1  CURRENT names the manifest; without CURRENT the directory must hold no data
//   2  catalog checkpoint and segments hold everything up to the checkpoint sequence
//   3  the live log files, in order, hold everything after it; the last one may end torn
//   4  what was replayed is synced before anybody reads it: it may only have been in the page cache
//   5  a new log file, a new manifest that names it and the old ones, CURRENT renamed to it
//   6  files nothing names are removed
#include "engine/engine_core.h"

#include <algorithm>

#include "engine/catalog/catalog_file.h"
#include "engine/wal/log_reader.h"

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
    Result<std::optional<LoadedManifest>> loaded =
        co_await load_manifest(files, options_.directory);
    if (!loaded) {
        co_return loaded.error();
    }
    ManifestState manifest;
    if (loaded->has_value()) {
        state_.store = (*loaded)->store;
        manifest = (*loaded)->state;
        const Status checkpoint = co_await load_checkpoint(manifest);
        if (!checkpoint) {
            co_return checkpoint;
        }
        const Status replayed = co_await replay_logs(manifest);
        if (!replayed) {
            co_return replayed;
        }
    } else {
        const Status empty = co_await refuse_leftovers();
        if (!empty) {
            co_return empty;
        }
        if (!options_.create_if_missing || options_.read_only) {
            co_return make_error(ErrorCode::kNotFound, "{} holds no store", options_.directory);
        }
        state_.store = new_store_id(environment_.random);
        report_.created = true;
    }
    state_.accepted = state_.published.get();
    if (options_.read_only) {
        co_return Status();
    }
    co_return co_await begin_epoch(std::move(manifest));
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

Task<Status> EngineCore::load_checkpoint(const ManifestState& state) {
    FileSystem& files = environment_.file_system;
    if (state.catalog_file != 0) {
        Result<CatalogCheckpoint> checkpoint = co_await read_catalog_file(
            files, path(catalog_file_name(state.catalog_file)), state_.store, state.catalog_file);
        if (!checkpoint) {
            co_return checkpoint.error();
        }
        state_.published.edit() = std::move(checkpoint->catalog);
        state_.writers = std::move(checkpoint->writers);
    }
    const Catalog& catalog = state_.published.get();
    for (const auto& [file_id, bytes] : state.segments) {
        const std::string name = path(segment_file_name(file_id));
        Result<std::shared_ptr<const SegmentMeta>> segment =
            co_await open_segment(files, name, state_.store, file_id);
        if (!segment) {
            co_return segment.error();
        }
        for (const SegmentBlock& block : (*segment)->blocks()) {
            const BlockInfo& info = block.info;
            const StoredSchema* schema = catalog.find_schema(info.schema);
            const std::shared_ptr<const Run> run = catalog.find_run(info.run);
            if (schema == nullptr || run == nullptr) {
                co_return make_error(
                    ErrorCode::kCorruption,
                    "{} has a block of run {} and schema {}, which the catalog does not know", name,
                    info.run, info.schema);
            }
            SeriesGroup& group = state_.rows.group(info.run, info.attempt, *schema);
            group.highest_accepted =
                std::max(group.highest_accepted.value_or(info.key_max), info.key_max);
            const Status axis = state_.axes.use(info.run, run->path(), *schema);
            if (!axis) {
                co_return Error(ErrorCode::kCorruption, axis.error().message()).within(name);
            }
        }
        state_.rows.add_segment(std::move(*segment));
    }
    co_return Status();
}

Task<Status> EngineCore::replay_logs(const ManifestState& state) {
    uint64_t expected = state.log_sequence;
    uint64_t last_file = 0;
    for (const auto& [file_id, epoch] : state.logs) {
        Result<uint64_t> next = co_await replay_log(file_id, expected, state.checkpoint_sequence);
        if (!next) {
            co_return next.error();
        }
        // Only the last file with groups can have an end that was never synced.
        last_file = *next != expected ? file_id : last_file;
        expected = *next;
    }
    if (expected <= state.checkpoint_sequence) {
        co_return make_error(ErrorCode::kCorruption,
                             "{}: the log ends at sequence {}, before the checkpoint at {}",
                             options_.directory, expected - 1, state.checkpoint_sequence);
    }
    next_sequence_ = expected;
    if (last_file != 0) {
        Result<std::unique_ptr<File>> file =
            co_await environment_.file_system.open(path(log_file_name(last_file)), OpenMode::kRead);
        if (!file) {
            co_return file.error();
        }
        co_return co_await (*file)->sync(SyncSite::kLogReplayed);
    }
    co_return Status();
}

// Replays one file whose first record should have sequence `expected`; returns the next expected.
Task<Result<uint64_t>> EngineCore::replay_log(uint64_t file_id, uint64_t expected,
                                              uint64_t checkpoint) {
    const std::string name = path(log_file_name(file_id));
    Result<std::unique_ptr<File>> file =
        co_await environment_.file_system.open(name, OpenMode::kRead);
    if (!file) {
        co_return make_error(ErrorCode::kCorruption,
                             "{}: named by the manifest and cannot be opened: {}", name,
                             file.error().message());
    }
    AlignedBuffer page(kFileHeaderBytes);
    const Status read = co_await (*file)->read(0, page.span());
    if (!read) {
        co_return Error(ErrorCode::kCorruption, read.error().message()).within(name);
    }
    Result<FileHeader> header = decode_file_header(kLogKind, page.span());
    if (!header) {
        co_return header.error().within(name);
    }
    const Status owner = check_file_owner(kLogKind, *header, state_.store, file_id);
    if (!owner) {
        co_return owner.error().within(name);
    }
    const LogPlace place{state_.store, file_id};
    RecordVisitor visit = [this, checkpoint](const RecordHeader& record, Bytes frame) -> Status {
        if (record.last_sequence() <= checkpoint) {
            return {};
        }
        ++report_.records_replayed;
        report_.rows_replayed += record.schema != 0 && record.run != 0 ? record.sequence_count : 0;
        return publish_record(state_, record, frame, nullptr);
    };
    Result<LogFileContents> contents =
        co_await read_log_file(**file, name, place, expected, std::move(visit));
    if (!contents) {
        co_return contents.error();
    }
    report_.log_bytes_read += contents->end;
    report_.torn_bytes += contents->torn_bytes;
    replayed_.push_back({file_id, contents->groups > 0 ? expected : 0, contents->end});
    co_return contents->next_sequence;
}

Task<Status> EngineCore::begin_epoch(ManifestState state) {
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
    // A file that got no group before the crash holds nothing and is let go.
    for (const ReplayedLog& log : replayed_) {
        if (log.first_sequence == 0) {
            state.logs.erase(log.file_id);
        } else {
            log_files_->add_old(log.file_id, log.first_sequence, log.end);
        }
    }
    Result<std::shared_ptr<LogFile>> log_file = co_await log_files_->prepare();
    if (!log_file) {
        co_return log_file.error();
    }
    state.logs[(*log_file)->file_id] = state.epoch;
    state.log_sequence = log_files_->oldest_sequence(next_sequence_);
    const Status begun = co_await manifest_->begin(state);
    if (!begun) {
        co_return begun;
    }
    const Status cleaned = co_await remove_orphans(manifest_->state());
    if (!cleaned) {
        co_return cleaned;
    }
    LogWriterOptions log_options;
    log_options.store = state_.store;
    log_options.epoch = state.epoch;
    log_options.next_sequence = next_sequence_;
    log_options.file_bytes = options_.log_file_bytes;
    log_options.group_bytes_max = options_.log_group_bytes_max;
    log_options.group_bytes_eager = std::min(kLogGroupBytesEager, options_.log_group_bytes_max);
    log_options.groups_in_flight_max = options_.log_groups_in_flight_max;
    LogWriter::Owner& owner = *this;
    log_ = std::make_unique<LogWriter>(environment_.executor, log_options, owner);
    log_->set_on_file_begun([this](uint64_t file_id, uint64_t first_sequence) {
        log_files_->on_begun(file_id, first_sequence);
    });
    log_->add_file(std::move(*log_file));
    write_path_.set_log(log_.get(), next_sequence_ - 1);
    co_return Status();
}

// Files that nothing names: unfinished flushes and rotations, old manifests, spare log files.
Task<Status> EngineCore::remove_orphans(const ManifestState& state) {
    FileSystem& files = environment_.file_system;
    Result<std::vector<std::string>> names = co_await files.list(options_.directory);
    if (!names) {
        co_return names.error();
    }
    for (const std::string& name : *names) {
        const auto log = parse_file_name(name, "log-");
        const auto segment = parse_file_name(name, "segment-");
        const auto catalog = parse_file_name(name, "catalog-");
        const auto manifest = parse_file_name(name, "manifest-");
        const bool orphan = (log && !state.logs.contains(*log)) ||
                            (segment && !state.segments.contains(*segment)) ||
                            (catalog && *catalog != state.catalog_file) ||
                            (manifest && *manifest != manifest_->file_id()) ||
                            name == kCurrentTemporaryName;
        if (orphan) {
            const Status removed = co_await files.remove(path(name));
            if (!removed) {
                co_return removed;
            }
        }
    }
    co_return Status();
}

}  // namespace stepdb
