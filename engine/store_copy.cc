#include "engine/store_copy.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "engine/catalog/catalog_file.h"
#include "engine/io/paced_writer.h"
#include "engine/model/limits.h"
#include "engine/segment/segment_copy.h"

namespace stepdb {

namespace {

// A file has such a name until it is whole and synced.
constexpr std::string_view kUnfinishedSuffix = ".new";
constexpr std::string_view kMarkBegin = "backups of store ";
constexpr uint64_t kMarkBytesMax = 256;
constexpr uint64_t kManifestBytesMax = 4U << 20U;

// What may lie in a directory that counts as empty: the mark of a file system's root, and what an
// attempt leaves that was cut short at once.
bool is_nothing(std::string_view name) {
    return name == kLockName || name == "lost+found" ||
           name == std::string(kBackupMarkName) + std::string(kUnfinishedSuffix);
}

bool is_numbered(std::string_view name) {
    return parse_file_name(name, "segment-") || parse_file_name(name, "catalog-") ||
           parse_file_name(name, "manifest-") || parse_file_name(name, "log-");
}

bool is_unfinished(std::string_view name) {
    if (!name.ends_with(kUnfinishedSuffix)) {
        return false;
    }
    name.remove_suffix(kUnfinishedSuffix.size());
    return is_numbered(name) || name == kCurrentName || name == kBackupMarkName;
}

std::string mark_of(const Id128& store) {
    return std::string(kMarkBegin) + store.to_hex() + "\n";
}

// Bytes at both ends of a file. A segment's footer holds the checksum of its index, which holds
// those of all else; a catalog begins with the one of all that follows.
Task<Result<std::vector<std::byte>>> read_ends(File& file) {
    constexpr uint64_t kEndBytes = 2 * kPageBytes;
    const uint64_t size = file.size();
    std::vector<std::byte> ends(std::min(size, 2 * kEndBytes));
    const uint64_t head = std::min(size, kEndBytes);
    const Status first = co_await file.read(0, MutableBytes(ends).first(head));
    if (!first) {
        co_return first.error();
    }
    const MutableBytes rest = MutableBytes(ends).subspan(head);
    const Status last = co_await file.read(size - rest.size(), rest);
    if (!last) {
        co_return last.error();
    }
    co_return ends;
}

class StoreCopy final : private WritePace {
  public:
    explicit StoreCopy(StoreCopyInput input) : in_(std::move(input)), files_(*in_.files) {}

    Task<Result<BackupReport>> run();

  private:
    struct Wanted {
        std::string name;
        uint64_t file_id = 0;
        uint64_t bytes = 0;
        bool is_segment = false;
        bool is_there = false;
    };

    Task<Status> copy();
    Task<Status> open_directory();
    Task<Status> list_names();
    Task<Status> read_mark();
    Task<Status> write_mark();
    Task<Status> read_last_backup();
    Task<Status> find_wanted();
    Task<Status> find_there(Wanted* wanted);
    Task<Status> remove_leftovers();
    Task<Status> copy_file(const Wanted* wanted);
    Task<Status> copy_contents(const Wanted* wanted, File& from, File& to);
    Task<Status> copy_catalog(const Wanted* wanted, File& from, PacedWriter& to);
    Task<Status> name_files();
    Task<void> remove_made();
    Task<void> remove_unneeded();

    Task<Status> next(size_t bytes) override;
    Status check_cancelled() const;
    Status refuse(std::string_view why) const;
    bool has(std::string_view name) const {
        return std::ranges::find(names_, name) != names_.end();
    }
    std::string to(std::string_view name) const { return in_.to + "/" + std::string(name); }
    std::string from(std::string_view name) const { return in_.from + "/" + std::string(name); }

    StoreCopyInput in_;
    FileSystem& files_;
    std::unique_ptr<FileLock> lock_;
    std::vector<std::string> names_;      // in the directory
    std::optional<LoadedManifest> last_;  // the backup that is there
    std::set<std::string, std::less<>> last_names_;
    std::vector<Wanted> wanted_;
    std::vector<std::string> made_;  // files that are there because of this
    BackupReport report_;
};

Status StoreCopy::refuse(std::string_view why) const {
    return make_error(ErrorCode::kFailedPrecondition, "{} {}", in_.to, why);
}

Status StoreCopy::check_cancelled() const {
    if (in_.is_cancelled && in_.is_cancelled()) {
        return Error(ErrorCode::kCancelled, "cancelled before it was whole");
    }
    return {};
}

Task<Result<BackupReport>> StoreCopy::run() {
    report_.store = in_.store;
    report_.sequence = in_.state.checkpoint_sequence;
    report_.runs = in_.runs;
    report_.damaged_blocks = in_.damaged_blocks;
    const Status copied = co_await copy();
    if (!copied) {
        // Room is wanted back; else a backup that is made again has the use of it.
        const bool is_full = copied.error().code() == ErrorCode::kResourceExhausted;
        if (lock_ != nullptr && (is_full || !in_.is_backup)) {
            co_await remove_made();
        }
        co_return copied.error();
    }
    co_await remove_unneeded();
    co_return report_;
}

Task<Status> StoreCopy::copy() {
    Status status = co_await open_directory();
    if (status) {
        status = co_await find_wanted();
    }
    if (status) {
        status = co_await remove_leftovers();
    }
    if (status && in_.on_progress) {
        in_.on_progress(report_);
    }
    for (const Wanted& wanted : wanted_) {
        if (status && !wanted.is_there) {
            status = co_await copy_file(&wanted);
        }
    }
    if (status) {
        status = check_cancelled();
    }
    if (status) {
        status = co_await name_files();
    }
    co_return status;
}

// Nothing is made in a directory that holds something else, not even a lock.
Task<Status> StoreCopy::open_directory() {
    Status status = co_await files_.make_directory(in_.to);
    if (status) {
        status = co_await list_names();
    }
    const bool is_marked = in_.is_backup && has(kBackupMarkName);
    if (status && !is_marked && !std::ranges::all_of(names_, is_nothing)) {
        status = refuse(in_.is_backup
                            ? "is not empty and takes no backups (it has no file BACKUP); name an "
                              "empty directory, or one that backups of this store were made to"
                            : "is not empty; name a directory that is empty or not there. What a "
                              "restore leaves that was cut short has no file CURRENT and may be "
                              "removed");
    }
    if (!status) {
        co_return status;
    }
    Result<std::unique_ptr<FileLock>> lock = co_await files_.lock(to(kLockName));
    if (!lock) {
        if (lock.error().code() == ErrorCode::kFailedPrecondition) {
            co_return refuse("is in use by another backup, or a server has it open");
        }
        co_return lock.error();
    }
    lock_ = std::move(*lock);
    // Who had it before may have changed it.
    status = co_await list_names();
    if (status && in_.is_backup) {
        status = co_await read_mark();
    }
    if (status && in_.is_backup) {
        status = co_await read_last_backup();
    }
    co_return status;
}

Task<Status> StoreCopy::list_names() {
    Result<std::vector<std::string>> names = co_await files_.list(in_.to);
    if (!names) {
        co_return names.error();
    }
    names_ = std::move(*names);
    co_return Status();
}

Task<Status> StoreCopy::read_mark() {
    if (!has(kBackupMarkName)) {
        const Status written = co_await write_mark();
        if (!written) {
            co_return written;
        }
        co_return co_await list_names();
    }
    Result<std::unique_ptr<File>> file = co_await files_.open(to(kBackupMarkName), OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    std::string mark(std::min((*file)->size(), kMarkBytesMax), '\0');
    const MutableBytes into = std::as_writable_bytes(std::span(mark.data(), mark.size()));
    const Status read = co_await (*file)->read(0, into);
    if (!read) {
        co_return read;
    }
    if (mark == mark_of(in_.store)) {
        // Whoever wrote it may have failed, or died, before its name was safe.
        co_return co_await files_.sync_directory(in_.to, SyncSite::kBackupMarkDirectory);
    }
    const bool is_other = mark.starts_with(kMarkBegin) && mark.size() == mark_of(in_.store).size();
    if (!is_other) {
        co_return refuse(
            "has a file BACKUP that does not say of which store; name another "
            "directory");
    }
    co_return refuse(fmt::format(
        "holds backups of store {}, and this is store {}; name another "
        "directory",
        mark.substr(kMarkBegin.size(), mark.size() - kMarkBegin.size() - 1), in_.store.to_hex()));
}

// From here on what lies in the directory is ours.
Task<Status> StoreCopy::write_mark() {
    const std::string unfinished = to(kBackupMarkName) + std::string(kUnfinishedSuffix);
    const Status removed = co_await files_.remove(unfinished);
    if (!removed && removed.error().code() != ErrorCode::kNotFound) {
        co_return removed;
    }
    Result<std::unique_ptr<File>> file = co_await files_.open(unfinished, OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    const std::string mark = mark_of(in_.store);
    Status status = co_await (*file)->write_synced(0, as_bytes(mark), SyncSite::kBackupMark);
    if (status) {
        status = co_await files_.rename(unfinished, to(kBackupMarkName));
    }
    if (status) {
        status = co_await files_.sync_directory(in_.to, SyncSite::kBackupMarkDirectory);
    }
    co_return status;
}

Task<Status> StoreCopy::read_last_backup() {
    Result<std::optional<LoadedManifest>> loaded = co_await load_manifest(files_, in_.to);
    if (!loaded) {
        co_return make_error(loaded.error().code(),
                             "the last backup is damaged: {}; `stepdb verify {}` tells more. Move "
                             "it away or name another directory",
                             loaded.error().message(), in_.to);
    }
    if (!loaded->has_value()) {
        co_return Status();
    }
    last_ = std::move(**loaded);
    const ManifestState& state = last_->state;
    if (last_->store != in_.store) {
        co_return refuse(fmt::format("holds store {}, and this is store {}; name another directory",
                                     last_->store.to_hex(), in_.store.to_hex()));
    }
    if (!is_without_log(state)) {
        co_return refuse(
            "has been opened as a store since the last backup, and may hold what no "
            "other has; name another directory");
    }
    // Each opening of a store has an epoch of its own, one higher than the last.
    if (state.checkpoint_sequence > in_.state.checkpoint_sequence ||
        state.epoch > in_.state.epoch) {
        co_return refuse(
            fmt::format("holds a newer backup (up to sequence {}, after {} openings) than this "
                        "store is (up to {}, after {}): this one was restored from an older "
                        "backup, or that one was made of a restored copy; name another directory",
                        state.checkpoint_sequence, state.epoch, in_.state.checkpoint_sequence,
                        in_.state.epoch));
    }
    last_names_.insert(manifest_file_name(last_->file_id));
    if (state.catalog_file != 0) {
        last_names_.insert(catalog_file_name(state.catalog_file));
    }
    for (const auto& [id, bytes] : state.segments) {
        last_names_.insert(segment_file_name(id));
    }
    co_return Status();
}

// What the copy is made of, and what of it is there.
Task<Status> StoreCopy::find_wanted() {
    for (const auto& [id, bytes] : in_.state.segments) {
        Wanted& wanted = wanted_.emplace_back();
        wanted.name = segment_file_name(id);
        wanted.file_id = id;
        wanted.is_segment = true;
    }
    if (in_.state.catalog_file != 0) {
        Wanted& wanted = wanted_.emplace_back();
        wanted.name = catalog_file_name(in_.state.catalog_file);
        wanted.file_id = in_.state.catalog_file;
    }
    for (Wanted& wanted : wanted_) {
        const Status found = co_await find_there(&wanted);
        if (!found) {
            co_return found;
        }
        ++report_.files;
        report_.bytes += wanted.bytes;
        report_.files_new += wanted.is_there ? 0 : 1;
        report_.bytes_new += wanted.is_there ? 0 : wanted.bytes;
    }
    co_return Status();
}

// A store that was restored gives numbers to its files that the one it is a copy of gives to
// others.
Task<Status> StoreCopy::find_there(Wanted* wanted) {
    Result<std::unique_ptr<File>> source =
        co_await files_.open(from(wanted->name), OpenMode::kRead);
    if (!source) {
        co_return source.error();
    }
    wanted->bytes = (*source)->size();
    if (!has(wanted->name)) {
        co_return Status();
    }
    Result<std::unique_ptr<File>> there = co_await files_.open(to(wanted->name), OpenMode::kRead);
    if (!there) {
        co_return there.error();
    }
    bool is_same = (*there)->size() == wanted->bytes;
    if (is_same) {
        const Result<std::vector<std::byte>> here_ends = co_await read_ends(**source);
        if (!here_ends) {
            co_return here_ends.error();
        }
        const Result<std::vector<std::byte>> there_ends = co_await read_ends(**there);
        if (!there_ends) {
            co_return there_ends.error();
        }
        is_same = *here_ends == *there_ends;
    }
    if (!is_same && last_names_.contains(wanted->name)) {
        co_return make_error(
            ErrorCode::kFailedPrecondition,
            "{} is not the file of that name in {}: it is damaged, or the store was restored and "
            "has gone on otherwise than the one that was backed up; name another directory",
            to(wanted->name), in_.from);
    }
    wanted->is_there = is_same;
    co_return Status();
}

// Of backups that were cut short. What they have copied is of use if it is wanted still.
Task<Status> StoreCopy::remove_leftovers() {
    if (!in_.is_backup) {
        co_return Status();
    }
    for (const std::string& name : names_) {
        const bool is_wanted = std::ranges::any_of(
            wanted_, [&](const Wanted& wanted) { return wanted.is_there && wanted.name == name; });
        const bool is_leftover =
            is_unfinished(name) || (is_numbered(name) && !is_wanted && !last_names_.contains(name));
        if (is_leftover) {
            const Status removed = co_await files_.remove(to(name));
            if (!removed) {
                co_return removed;
            }
        }
    }
    co_return Status();
}

Task<Status> StoreCopy::copy_file(const Wanted* wanted) {
    Result<std::unique_ptr<File>> source =
        co_await files_.open(from(wanted->name), OpenMode::kRead);
    if (!source) {
        co_return source.error();
    }
    const std::string unfinished = to(wanted->name) + std::string(kUnfinishedSuffix);
    Result<std::unique_ptr<File>> target = co_await files_.open(unfinished, OpenMode::kCreate);
    if (!target) {
        co_return target.error();
    }
    Status status = co_await (*target)->allocate(wanted->bytes);
    if (status) {
        status = co_await copy_contents(wanted, **source, **target);
    }
    if (status) {
        status = co_await (*target)->sync(SyncSite::kBackupData);
    }
    if (status) {
        status = co_await files_.rename(unfinished, to(wanted->name));
    }
    if (!status) {
        const Status removed = co_await files_.remove(unfinished);
        static_cast<void>(removed);  // the next backup removes it
        co_return status;
    }
    made_.push_back(wanted->name);
    co_return status;
}

Task<Status> StoreCopy::copy_contents(const Wanted* wanted, File& from_file, File& to_file) {
    PacedWriter writer(to_file, *this, kSegmentWriteBytes);
    Status status;
    if (wanted->is_segment) {
        const Result<std::shared_ptr<const SegmentMeta>> segment =
            co_await open_segment(files_, from(wanted->name), in_.store, wanted->file_id);
        if (!segment) {
            co_return segment.error();
        }
        status = co_await copy_segment(from_file, **segment, writer);
    } else {
        status = co_await copy_catalog(wanted, from_file, writer);
    }
    if (status) {
        status = co_await writer.finish();
    }
    co_return status;
}

Task<Status> StoreCopy::copy_catalog(const Wanted* wanted, File& from_file, PacedWriter& to_file) {
    AlignedBuffer buffer(from_file.size());
    const MutableBytes whole = buffer.span().first(from_file.size());
    const Status read = co_await from_file.read(0, whole);
    if (!read) {
        co_return read;
    }
    const Status checked = check_catalog_file(whole, in_.store, wanted->file_id);
    if (!checked) {
        co_return checked.error().within(from(wanted->name));
    }
    co_return co_await to_file.put(whole);
}

Task<Status> StoreCopy::next(size_t bytes) {
    const Status cancelled = check_cancelled();
    if (!cancelled) {
        co_return cancelled;
    }
    if (in_.turns != nullptr) {
        co_await in_.turns->next();
    }
    report_.bytes_copied += bytes;
    if (in_.on_progress) {
        in_.on_progress(report_);
    }
    co_return Status();
}

// The names of the files are durable with that of the manifest, before CURRENT names it.
Task<Status> StoreCopy::name_files() {
    ManifestState state = in_.state;
    Manifest manifest(files_, in_.to, in_.store, kManifestBytesMax);
    if (last_) {
        // Its manifest has a number of the directory's own.
        manifest.skip_file_ids(last_->state.next_file_id);
    }
    const Status begun = co_await manifest.begin(std::move(state));
    if (begun) {
        last_names_.erase(manifest_file_name(manifest.file_id()));
    }
    co_return begun;
}

Task<void> StoreCopy::remove_made() {
    if (!in_.is_backup) {
        // Whatever is there now; what names the others first.
        const Status removed = co_await files_.remove(to(kCurrentName));
        static_cast<void>(removed);
        const Status listed = co_await list_names();
        static_cast<void>(listed);
        made_.clear();
        std::ranges::copy_if(names_, std::back_inserter(made_), [](const std::string& name) {
            return is_numbered(name) || is_unfinished(name);
        });
    }
    for (const std::string& name : made_) {
        const Status removed = co_await files_.remove(to(name));
        static_cast<void>(removed);  // the next backup does
    }
}

// Nothing names them any more. What stays goes with the next backup.
Task<void> StoreCopy::remove_unneeded() {
    for (const Wanted& wanted : wanted_) {
        last_names_.erase(wanted.name);
    }
    for (const std::string& name : last_names_) {
        const Status removed = co_await files_.remove(to(name));
        static_cast<void>(removed);
    }
}

}  // namespace

Task<Result<BackupReport>> copy_store(StoreCopyInput input) {
    StoreCopy copy(std::move(input));
    co_return co_await copy.run();
}

ManifestState without_log(ManifestState state) {
    state.logs.clear();
    state.log_sequence = state.checkpoint_sequence + 1;
    state.durable_sequence = state.checkpoint_sequence;
    state.closed = true;
    return state;
}

bool is_without_log(const ManifestState& state) {
    return state.logs.empty() && state.closed &&
           state.durable_sequence == state.checkpoint_sequence;
}

}  // namespace stepdb
