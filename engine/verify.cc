// What names a store's files, and the catalog. Segments and logs have files of their own.
#include "engine/verify.h"

#include <algorithm>

#include "engine/disk_reserve.h"
#include "engine/repair.h"
#include "engine/salvage.h"
#include "engine/store_verifier.h"

namespace stepdb {

namespace {

constexpr std::string_view kRestoreFile = "restore this file from a backup";
constexpr std::string_view kRestoreManifest =
    "restore the manifest from a backup that is as new as the other files, or the whole store; "
    "until then it is read from the files that are there, and nothing is written";
constexpr std::string_view kReadWithNewer = "verify the store with the stepdb that wrote it";
constexpr std::string_view kRestoreStore =
    "restore the store from a backup; what names its files cannot be trusted";

bool is_store_file(std::string_view name) {
    return name == kCurrentName || parse_file_name(name, "manifest-") ||
           parse_file_name(name, "log-") || parse_file_name(name, "segment-") ||
           parse_file_name(name, "catalog-");
}

}  // namespace

bool SequenceSet::insert(uint64_t sequence) {
    std::vector<uint64_t>& piece = pieces_[sequence / kPieceBits];
    piece.resize(kPieceBits / 64);
    uint64_t& word = piece[sequence % kPieceBits / 64];
    const uint64_t bit = uint64_t{1} << (sequence % 64);
    const bool is_new = (word & bit) == 0;
    word |= bit;
    return is_new;
}

bool SequenceSet::contains(uint64_t sequence) const {
    const auto piece = pieces_.find(sequence / kPieceBits);
    return piece != pieces_.end() &&
           (piece->second[sequence % kPieceBits / 64] & (uint64_t{1} << (sequence % 64))) != 0;
}

void StoreVerifier::problem(std::string_view file, std::optional<uint64_t> offset, std::string what,
                            std::string_view remedy) {
    if (report_.problems.size() >= kVerifyProblemsMax) {
        ++report_.problems_left_out;
        return;
    }
    StoreProblem& problem = report_.problems.emplace_back();
    problem.file = file;
    problem.offset = offset;
    problem.what = std::move(what);
    problem.remedy = remedy;
}

void StoreVerifier::note(std::string_view file, std::string what, std::string_view remedy) {
    StoreNote& note = report_.notes.emplace_back();
    note.file = file;
    note.what = std::move(what);
    note.remedy = remedy;
}

void StoreVerifier::progress(uint64_t bytes) {
    bytes_done_ += bytes;
    if (options_.on_progress) {
        options_.on_progress(std::min(bytes_done_, report_.bytes), report_.bytes);
    }
}

Task<Result<VerifyReport>> StoreVerifier::run() {
    const Status listed = co_await list_files();
    if (!listed) {
        co_return listed.error();
    }
    if (options_.take_lock) {
        Result<std::unique_ptr<FileLock>> lock = co_await files_.lock(path(kLockName));
        if (!lock) {
            co_return lock.error();
        }
        lock_ = std::move(*lock);
        // What was listed before may be gone.
        const Status again = co_await list_files();
        if (!again) {
            co_return again.error();
        }
    }
    co_await verify_manifest();
    if (has_manifest_) {
        co_await verify_sizes();
        if (!from_files_) {
            check_names();
        }
        co_await verify_catalog();
        co_await verify_segments();
        co_await verify_logs();
        check_runs();
        sum_up();
        if (!has_catalog_ && report_.log_records != 0) {
            note("log", fmt::format(
                            "for want of a catalog the rows in its {} records above the checkpoint "
                            "are not counted",
                            report_.log_records));
        }
        report_.runs = has_catalog_ ? catalog_.runs().size() : seen_runs_.size();
        report_.schemas = has_catalog_ ? catalog_.schema_count() : seen_schemas_.size();
    }
    note_unnamed();
    report_.store = store_;
    co_return std::move(report_);
}

Task<Status> StoreVerifier::list_files() {
    Result<std::vector<std::string>> names = co_await files_.list(options_.directory);
    if (!names) {
        co_return names.error();
    }
    names_ = std::move(*names);
    if (std::none_of(names_.begin(), names_.end(), is_store_file)) {
        co_return make_error(ErrorCode::kNotFound,
                             "{} holds no store: no CURRENT, and no file of one",
                             options_.directory);
    }
    co_return Status();
}

Task<std::optional<std::vector<std::byte>>> StoreVerifier::read_file(std::string name,
                                                                     std::string remedy) {
    Result<std::unique_ptr<File>> file = co_await files_.open(path(name), OpenMode::kRead);
    if (!file) {
        problem(name, std::nullopt, file.error().message(), remedy);
        co_return std::nullopt;
    }
    std::vector<std::byte> bytes((*file)->size());
    const Status read = co_await (*file)->read(0, bytes);
    if (!read) {
        problem(name, std::nullopt, read.error().message(), remedy);
        co_return std::nullopt;
    }
    std::optional<std::vector<std::byte>> contents(std::move(bytes));
    co_return contents;
}

// The manifest that CURRENT names, or, if CURRENT is of no use, the newest one there.
Task<std::optional<uint64_t>> StoreVerifier::find_manifest() {
    std::optional<uint64_t> newest;
    for (const std::string& name : names_) {
        newest = std::max(newest, parse_file_name(name, "manifest-"));
    }
    const std::string remedy =
        newest ? fmt::format("write one line into it: {}", manifest_file_name(*newest))
               : std::string(kRestoreStore);
    std::optional<std::vector<std::byte>> contents =
        co_await read_file(std::string(kCurrentName), remedy);
    if (!contents) {
        co_return newest;
    }
    const Result<uint64_t> current = decode_current(as_text(*contents));
    if (!current) {
        problem(kCurrentName, 0, current.error().message(), remedy);
        co_return newest;
    }
    co_return *current;
}

Task<void> StoreVerifier::verify_manifest() {
    const std::optional<uint64_t> file_id = co_await find_manifest();
    if (!file_id) {
        problem(kCurrentName, std::nullopt, "there is no manifest file", kRestoreStore);
        co_await salvage(Error(ErrorCode::kCorruption, "there is no manifest file"));
        co_return;
    }
    manifest_file_ = *file_id;
    const std::string name = manifest_file_name(*file_id);
    const std::optional<std::vector<std::byte>> contents =
        co_await read_file(name, std::string(kRestoreStore));
    if (!contents) {
        co_await salvage(Error(ErrorCode::kCorruption, name));
        co_return;
    }
    Result<LoadedManifest> loaded = decode_manifest(*contents, *file_id);
    if (!loaded && loaded.error().code() == ErrorCode::kUnsupportedVersion) {
        problem(name, std::nullopt, loaded.error().message(), kReadWithNewer);
        manifest_lost_ = true;  // nothing can be said of the other files
        co_return;
    }
    if (!loaded) {
        problem(name, std::nullopt, loaded.error().message(), kRestoreManifest);
        co_await salvage(loaded.error());
        co_return;
    }
    if (const uint64_t torn = torn_edit_bytes(*contents, loaded->end); torn != 0) {
        const std::optional<Error> contradiction =
            co_await find_contradiction(files_, options_.directory, *loaded);
        if (contradiction) {
            problem(name, loaded->end, contradiction->message(), kRestoreManifest);
            co_await salvage(*contradiction);
            co_return;
        }
        note(name,
             fmt::format("{} bytes from byte {} on are no edit: one that was cut short and never "
                         "counted, or damage where nothing was written",
                         torn, loaded->end));
    }
    store_ = loaded->store;
    manifest_ = std::move(loaded->state);
    has_manifest_ = true;
}

Task<void> StoreVerifier::salvage(Error why) {
    manifest_lost_ = true;
    Result<SalvagedManifest> salvaged =
        co_await salvage_manifest(files_, options_.directory, std::move(why));
    if (!salvaged) {
        co_return;  // why the manifest cannot be read is reported, and there is nothing else
    }
    store_ = salvaged->store;
    manifest_ = std::move(salvaged->state);
    manifest_file_ = salvaged->manifest_file;
    from_files_ = salvaged->from_files;
    has_manifest_ = true;
    if (!from_files_) {
        const std::string name = manifest_file_name(manifest_file_);
        note(name, "is whole and is read instead of the one that counts",
             fmt::format("to go on with it, write its name and a line feed into {}", kCurrentName));
    }
}

std::vector<std::string> StoreVerifier::named_files() const {
    if (from_files_) {
        std::vector<std::string> all;
        std::ranges::copy_if(names_, std::back_inserter(all), is_store_file);
        return all;
    }
    std::vector<std::string> named = {std::string(kCurrentName),
                                      manifest_file_name(manifest_file_)};
    if (manifest_.catalog_file != 0) {
        named.push_back(catalog_file_name(manifest_.catalog_file));
    }
    for (const auto& [id, bytes] : manifest_.segments) {
        named.push_back(segment_file_name(id));
    }
    for (const auto& [id, epoch] : manifest_.logs) {
        named.push_back(log_file_name(id));
    }
    return named;
}

Task<void> StoreVerifier::verify_sizes() {
    const std::vector<std::string> named = named_files();
    for (const std::string& name : named) {
        Result<std::unique_ptr<File>> file = co_await files_.open(path(name), OpenMode::kRead);
        if (!file) {
            continue;  // reported where it is read
        }
        ++report_.files;
        report_.bytes += (*file)->size();
    }
}

// Ids are given out once, and the manifest knows which are next.
void StoreVerifier::check_names() {
    const std::string manifest = manifest_file_name(manifest_file_);
    const auto check = [&](std::string_view what, uint64_t id) {
        if (id >= manifest_.next_file_id) {
            problem(manifest, std::nullopt,
                    fmt::format("names {} {}, while the next file id is {}", what, id,
                                manifest_.next_file_id),
                    kRestoreStore);
        }
    };
    check("manifest", manifest_file_);
    check("catalog", manifest_.catalog_file);
    for (const auto& [id, bytes] : manifest_.segments) {
        check("segment", id);
    }
    for (const auto& [id, epoch] : manifest_.logs) {
        check("log", id);
        if (epoch > manifest_.epoch) {
            problem(manifest, std::nullopt,
                    fmt::format("gives log {} epoch {}, above the store's {}", id, epoch,
                                manifest_.epoch),
                    kRestoreStore);
        }
    }
    if (manifest_.log_sequence > manifest_.checkpoint_sequence + 1) {
        problem(manifest, std::nullopt,
                fmt::format("the log begins with sequence {}, the checkpoint is {}: what lies "
                            "between is nowhere",
                            manifest_.log_sequence, manifest_.checkpoint_sequence),
                kRestoreStore);
    }
    if (manifest_.catalog_file == 0 &&
        (manifest_.checkpoint_sequence != 0 || !manifest_.segments.empty())) {
        problem(manifest, std::nullopt,
                fmt::format("names {} segments and a checkpoint at {}, but no catalog",
                            manifest_.segments.size(), manifest_.checkpoint_sequence),
                kRestoreStore);
    }
}

Task<void> StoreVerifier::verify_catalog() {
    if (from_files_) {
        // The newest whole one counts; the others are read for their damage.
        bool none = true;
        for (const std::string& name : names_) {
            if (const auto id = parse_file_name(name, "catalog-")) {
                none = false;
                co_await verify_catalog_file(*id);
            }
        }
        has_catalog_ = manifest_.catalog_file != 0 || (none && manifest_.segments.empty());
        co_return;
    }
    if (manifest_.catalog_file == 0) {
        has_catalog_ = true;
        co_return;
    }
    co_await verify_catalog_file(manifest_.catalog_file);
}

Task<void> StoreVerifier::verify_catalog_file(uint64_t file_id) {
    const std::string name = catalog_file_name(file_id);
    // Without a manifest the newest whole catalog takes the place of one that is not.
    const std::string remedy = from_files_
                                   ? std::string(kRestoreFile)
                                   : fmt::format("{}; until then nothing is written, and {}",
                                                 kRestoreFile, kLostWithCatalog);
    const std::optional<std::vector<std::byte>> contents = co_await read_file(name, remedy);
    if (!contents) {
        co_return;
    }
    progress(contents->size());
    uint64_t sequence = manifest_.checkpoint_sequence;
    Result<CatalogCheckpoint> checkpoint =
        decode_catalog_file(*contents, store_, file_id, &sequence);
    if (!from_files_ && sequence != manifest_.checkpoint_sequence) {
        problem(name, kFileHeaderBytes,
                fmt::format("holds the checkpoint at sequence {}, the manifest's is {}", sequence,
                            manifest_.checkpoint_sequence),
                kRestoreStore);
    }
    if (!checkpoint) {
        problem(name, std::nullopt, checkpoint.error().message(), remedy);
        co_return;
    }
    if (file_id != manifest_.catalog_file) {
        co_return;
    }
    catalog_ = std::move(checkpoint->catalog);
    writers_ = std::move(checkpoint->writers);
    has_catalog_ = true;
}

// Of the catalog with what the log added to it.
void StoreVerifier::check_runs() {
    if (!has_catalog_) {
        return;
    }
    const std::string name = manifest_.catalog_file == 0
                                 ? std::string("log")
                                 : catalog_file_name(manifest_.catalog_file);
    const uint64_t sequence_end = std::max(sequence_due_, manifest_.checkpoint_sequence + 1);
    for (const auto& run : catalog_.runs()) {
        if (run->id == 0 || run->id >= catalog_.next_run_id()) {
            problem(name, std::nullopt,
                    fmt::format("run {} has id {}, while the next is {}", run->path(), run->id,
                                catalog_.next_run_id()),
                    kRestoreStore);
        }
        if (log_is_whole_ && run->created_sequence >= sequence_end) {
            problem(name, std::nullopt,
                    fmt::format("run {} was created by sequence {}; the last one there is {}",
                                run->path(), run->created_sequence, sequence_end - 1),
                    kRestoreStore);
        }
        for (const Attempt& attempt : run->attempts) {
            if (attempt.parent_run != 0 && catalog_.find_run(attempt.parent_run) == nullptr) {
                problem(name, std::nullopt,
                        fmt::format("attempt {} of run {} reads from run {}, which is not there",
                                    attempt.number, run->path(), attempt.parent_run),
                        kRestoreStore);
            }
        }
    }
}

// Rows of a run that was deleted are still there, in the log or until a merge leaves them out.
void StoreVerifier::sum_up() {
    for (const auto& [run, totals] : totals_) {
        if (has_catalog_ && catalog_.find_run(run) == nullptr) {
            report_.deleted_rows += totals.rows;
        } else {
            report_.rows += totals.rows;
            report_.points += totals.points;
        }
    }
}

void StoreVerifier::note_unnamed() {
    const std::vector<std::string> named = named_files();
    for (const std::string& name : names_) {
        if (name == kLockName || name == kBackupMarkName || name == kReserveName ||
            std::find(named.begin(), named.end(), name) != named.end()) {
            continue;
        }
        if (name.ends_with(kBeforeRepairSuffix)) {
            note(name, "was put aside by a repair", "remove it when nothing of it is wanted");
            continue;
        }
        if (name == kRepairMarkName) {
            note(name, "a repair was cut short", "repair the store again, or serve it");
            continue;
        }
        const bool ours = is_store_file(name) || name == kCurrentTemporaryName;
        if (ours && manifest_lost_) {
            continue;
        }
        note(name, ours ? "named by nothing; removed when the store is next opened for writing"
                        : "not a file of a store");
    }
}

Task<Result<VerifyReport>> verify_store(FileSystem& files, VerifyOptions options) {
    StoreVerifier verifier(files, std::move(options));
    co_return co_await verifier.run();
}

}  // namespace stepdb
