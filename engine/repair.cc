// What is there: which manifest and which catalog count, and what of them is lost. Segments, logs
// and writing have files of their own.
#include "engine/repair.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "engine/lost_catalog.h"
#include "engine/model/limits.h"
#include "engine/salvage.h"
#include "engine/segment/segment_format.h"
#include "engine/store_repair.h"

namespace stepdb {

namespace {

constexpr std::string_view kNumberedPrefixes[] = {"log-", "segment-", "catalog-", "manifest-"};
// Where runs are put of which nobody knows the names.
constexpr std::string_view kNamelessProject = "lost+found";

bool has_suffix_of_a_cut_repair(std::string_view name) {
    return StoreRepair::file_number(name) != 0 && name.ends_with(".new");
}

}  // namespace

uint64_t StoreRepair::file_number(std::string_view name) {
    for (const std::string_view prefix : kNumberedPrefixes) {
        if (name.starts_with(prefix)) {
            const std::string_view digits = name.substr(prefix.size());
            uint64_t id = 0;
            const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), id);
            return parsed.ec == std::errc() ? id : 0;
        }
    }
    return 0;
}

std::string_view repair_kind_name(RepairKind kind) {
    switch (kind) {
        case RepairKind::kMended:
            return "mended";
        case RepairKind::kKept:
            return "kept";
        case RepairKind::kLost:
            return "lost";
        case RepairKind::kNote:
            return "note";
    }
    return "unknown";
}

uint64_t RepairReport::count(RepairKind kind) const {
    return static_cast<uint64_t>(std::ranges::count(findings, kind, &RepairFinding::kind));
}

StoreRepair::StoreRepair(FileSystem& files, Executor& executor, RepairOptions options)
    : files_(files),
      executor_(executor),
      options_(std::move(options)),
      state_(kTailRowsMax, kTailBytesMax, std::numeric_limits<size_t>::max(),
             std::numeric_limits<size_t>::max()) {
    state_.rows.set_make_blocks([this](const SealedList& sealed) {
        std::vector<std::shared_ptr<const EncodedBlock>> blocks;
        blocks.reserve(sealed.size());
        for (const auto& rows : sealed) {
            blocks.push_back(sealer_.seal(rows->rows, rows->info));
        }
        state_.rows.blocks_made(sealed, blocks);
    });
}

void StoreRepair::find(RepairKind kind, std::string_view file,
                       std::optional<std::pair<uint64_t, uint64_t>> bytes, std::string what) {
    RepairFinding& finding = report_.findings.emplace_back();
    finding.kind = kind;
    finding.file = file;
    finding.bytes = bytes;
    finding.what = std::move(what);
    report_.needed = report_.needed || kind == RepairKind::kMended || kind == RepairKind::kLost;
}

Task<void> StoreRepair::read_some(File& file, uint64_t offset, MutableBytes into) {
    const Status read = co_await file.read(offset, into);
    if (read) {
        co_return;
    }
    for (size_t at = 0; at < into.size(); at += kPageBytes) {
        const MutableBytes page = into.subspan(at, std::min(kPageBytes, into.size() - at));
        const Status page_read = co_await file.read(offset + at, page);
        if (!page_read) {
            std::ranges::fill(page, std::byte{0});
        }
    }
}

Task<Result<std::vector<std::byte>>> StoreRepair::read_all(std::string name) {
    Result<std::unique_ptr<File>> file = co_await files_.open(path(name), OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    std::vector<std::byte> bytes((*file)->size());
    co_await read_some(**file, 0, bytes);
    co_return bytes;
}

Task<Result<RepairReport>> StoreRepair::run() {
    const Status examined = co_await examine();
    if (!examined) {
        co_return examined.error();
    }
    const bool was_cut_short = std::ranges::find(names_, kRepairMarkName) != names_.end();
    Status written;
    if (!options_.dry_run && report_.needed) {
        written = co_await write();
        report_.written = written.has_value();
    } else if (!options_.dry_run && was_cut_short) {
        // Behind its switch; what is left to do is to put the old files aside.
        written = co_await set_aside();
    }
    if (!written) {
        co_return written.error();
    }
    co_return std::move(report_);
}

Task<Status> StoreRepair::examine() {
    Status status = co_await open_directory();
    if (status) {
        status = co_await find_state();
    }
    if (status) {
        status = co_await identify_files();
    }
    if (status) {
        status = co_await load_catalog();
    }
    if (status) {
        status = co_await read_segments();
    }
    if (status) {
        status = co_await read_logs();
    }
    if (status) {
        name_what_has_no_name();
        for (const RepairSegment& segment : segments_) {
            register_segment(segment);
        }
        sum_up();
    }
    co_return status;
}

Task<Status> StoreRepair::list_names() {
    Result<std::vector<std::string>> names = co_await files_.list(options_.directory);
    if (!names) {
        co_return names.error();
    }
    names_ = std::move(*names);
    co_return Status();
}

Task<Status> StoreRepair::open_directory() {
    Status status = co_await list_names();
    if (!status) {
        co_return status;
    }
    const bool is_store = std::ranges::any_of(names_, [](const std::string& name) {
        return name == kCurrentName ||
               std::ranges::any_of(kNumberedPrefixes, [&](std::string_view prefix) {
                   return parse_file_name(name, prefix).has_value();
               });
    });
    if (!is_store) {
        co_return make_error(ErrorCode::kNotFound,
                             "{} holds no store: no CURRENT, and no file of one",
                             options_.directory);
    }
    Result<std::unique_ptr<FileLock>> lock = co_await files_.lock(path(kLockName));
    if (!lock) {
        co_return lock.error();
    }
    lock_ = std::move(*lock);
    status = co_await list_names();  // what was listed before may be gone
    for (const std::string& name : names_) {
        next_file_id_ = std::max(next_file_id_, StoreRepair::file_number(name) + 1);
    }
    co_return status;
}

// As an opening does: EngineCore::find_manifest.
Task<Status> StoreRepair::find_state() {
    Result<std::optional<LoadedManifest>> loaded =
        co_await load_manifest(files_, options_.directory);
    std::optional<Error> why;
    if (!loaded) {
        why = loaded.error();
    } else if (!loaded->has_value()) {
        why = make_error(ErrorCode::kCorruption, "{} is missing", kCurrentName);
    } else {
        const LoadedManifest& manifest = **loaded;
        if (manifest.torn) {
            why = co_await find_contradiction(files_, options_.directory, manifest);
        }
        if (!why) {
            store_ = manifest.store;
            manifest_ = manifest.state;
            manifest_file_ = manifest.file_id;
            next_file_id_ = std::max(next_file_id_, manifest_.next_file_id);
            co_return Status();
        }
    }
    if (why->code() == ErrorCode::kUnsupportedVersion) {
        co_return *why;
    }
    Result<SalvagedManifest> salvaged = co_await salvage_manifest(files_, options_.directory, *why);
    if (!salvaged) {
        co_return salvaged.error();
    }
    store_ = salvaged->store;
    manifest_ = std::move(salvaged->state);
    from_files_ = salvaged->from_files;
    manifest_file_ = salvaged->manifest_file;
    next_file_id_ = std::max(next_file_id_, manifest_.next_file_id);
    find(RepairKind::kMended, kCurrentName, std::nullopt,
         fmt::format("{}. {}", why->message(),
                     from_files_ ? std::string("Every segment and log file that is there counts")
                                 : fmt::format("{} is whole and counts",
                                               manifest_file_name(salvaged->manifest_file))));
    co_return Status();
}

// Which file is which: what is under another's name is found again by what its header says.
Task<Status> StoreRepair::identify_files() {
    struct Kind {
        std::string_view prefix;
        FileKind kind;
        std::map<uint64_t, std::string>* files;
    };
    const Kind kinds[] = {{"segment-", kSegmentFileKind, &segment_files_},
                          {"log-", kLogKind, &log_files_},
                          {"catalog-", kCatalogKind, &catalog_files_}};
    for (const Kind& kind : kinds) {
        for (const std::string& name : names_) {
            const std::optional<uint64_t> named = parse_file_name(name, kind.prefix);
            if (!named) {
                continue;
            }
            uint64_t id = *named;
            Result<std::unique_ptr<File>> file = co_await files_.open(path(name), OpenMode::kRead);
            std::vector<std::byte> page(kFileHeaderBytes);
            if (file && (*file)->size() >= page.size()) {
                co_await read_some(**file, 0, page);
            }
            const Result<FileHeader> header = decode_file_header(kind.kind, page);
            if (!header && header.error().code() == ErrorCode::kUnsupportedVersion) {
                co_return header.error().within(path(name));
            }
            if (header && header->store != store_) {
                find(RepairKind::kNote, name, std::nullopt,
                     fmt::format("is of another store, {}", header->store.to_hex()));
                continue;
            }
            id = header ? header->file_id : id;
            next_file_id_ = std::max(next_file_id_, id + 1);
            if (id == *named || !kind.files->contains(id)) {
                (*kind.files)[id] = name;
            }
        }
    }
    if (from_files_) {
        manifest_.segments.clear();
        manifest_.logs.clear();
        for (const auto& [id, name] : segment_files_) {
            manifest_.segments[id] = 0;
        }
        for (const auto& [id, name] : log_files_) {
            manifest_.logs[id] = 0;
        }
    }
    co_return Status();
}

// The catalog that counts, or for want of it the newest one that is whole.
Task<Status> StoreRepair::load_catalog() {
    checkpoint_ = from_files_ ? 0 : manifest_.checkpoint_sequence;
    epoch_ = manifest_.epoch;
    last_sequence_ = std::max(checkpoint_, manifest_.durable_sequence);
    const uint64_t wanted = from_files_
                                ? (catalog_files_.empty() ? 0 : catalog_files_.rbegin()->first)
                                : manifest_.catalog_file;
    if (wanted == 0) {
        has_catalog_ = manifest_.segments.empty();
        if (!has_catalog_) {
            find(RepairKind::kLost, "catalog", std::nullopt,
                 fmt::format("there is no catalog file: {}", kLostWithCatalog));
        }
        co_return Status();
    }
    Status status = co_await try_catalog(wanted);
    has_catalog_ = status.has_value();
    if (has_catalog_ || status.error().code() == ErrorCode::kUnsupportedVersion) {
        co_return status;
    }
    const std::string why = status.error().message();
    for (auto at = catalog_files_.rbegin(); !status && at != catalog_files_.rend(); ++at) {
        if (at->first < wanted) {
            status = co_await try_catalog(at->first);
        }
    }
    const std::string instead =
        status ? fmt::format(
                     "an older one, as of sequence {}, counts, with what segments and log "
                     "tell of runs and metrics since then; what else had changed since is "
                     "lost, as far as the log does not tell",
                     catalog_sequence_)
               : std::string(kLostWithCatalog);
    find(RepairKind::kLost, catalog_file_name(wanted), std::nullopt,
         fmt::format("{}; {}", why, instead));
    co_return Status();
}

Task<Status> StoreRepair::try_catalog(uint64_t file_id) {
    const auto at = catalog_files_.find(file_id);
    if (at == catalog_files_.end()) {
        co_return make_error(ErrorCode::kCorruption, "the file is gone");
    }
    const Result<std::vector<std::byte>> bytes = co_await read_all(at->second);
    if (!bytes) {
        co_return bytes.error();
    }
    uint64_t sequence = 0;
    Result<CatalogCheckpoint> checkpoint = decode_catalog_file(*bytes, store_, file_id, &sequence);
    if (!checkpoint) {
        co_return checkpoint.error();
    }
    if (at->second != catalog_file_name(file_id)) {
        find(RepairKind::kMended, at->second, std::nullopt,
             fmt::format("is {} under another name", catalog_file_name(file_id)));
    }
    catalog_sequence_ = sequence;
    checkpoint_ = from_files_ ? sequence : checkpoint_;
    last_sequence_ = std::max(last_sequence_, sequence);
    take_checkpoint(std::move(*checkpoint));
    co_return Status();
}

void StoreRepair::take_checkpoint(CatalogCheckpoint checkpoint) {
    state_.published.edit() = std::move(checkpoint.catalog);
    base_next_run_ = state_.published.get().next_run_id();
    state_.writers = std::move(checkpoint.writers);
    state_.activities = std::move(checkpoint.activities);
    has_highest_keys_ = checkpoint.highest_keys.has_value();
    if (!has_highest_keys_) {
        return;
    }
    const Catalog& catalog = state_.published.get();
    for (const HighestKey& highest : *checkpoint.highest_keys) {
        const StoredSchema* schema = catalog.find_schema(highest.schema);
        if (schema != nullptr && catalog.find_run(highest.run) != nullptr) {
            state_.rows.set_highest_key(state_.rows.group(highest.run, highest.attempt, *schema),
                                        highest.key);
        }
    }
}

void StoreRepair::make_run(uint64_t id, uint32_t attempt) {
    auto run = std::make_shared<Run>();
    run->id = id;
    run->project = kNamelessProject;
    run->name = fmt::format("run-{}", id);
    run->attempts.emplace_back().number = attempt;
    state_.published.edit().put_run(std::move(run));
    nameless_runs_.insert(id);
}

// A record behind those that had to do without it tells the name, and what a fork reads of its
// parent.
void StoreRepair::name_run(uint64_t id, const OpenRunFrame& open) {
    auto run = std::make_shared<Run>(*state_.published.get().find_run(id));
    run->project = open.project;
    run->name = open.run;
    give_parent(*run, open);
    state_.published.edit().remove_run(id);
    state_.published.edit().put_run(std::move(run));
    nameless_runs_.erase(id);
}

// A name is given anew only after its run was deleted, with the forks of it: where two have had it,
// the earlier one was, though the record of that is lost. Returns whether `id` is the later one.
bool StoreRepair::end_earlier_run(uint64_t id, const OpenRunFrame& open) {
    const std::shared_ptr<const Run> other =
        state_.published.get().find_run(open.project, open.run);
    if (other == nullptr || other->id == id) {
        return true;
    }
    find(RepairKind::kNote, "catalog", std::nullopt,
         fmt::format("{} was deleted and made anew: run {} is gone, run {} has its name",
                     other->path(), std::min(id, other->id), std::max(id, other->id)));
    if (other->id > id) {
        end_run(id);
        return false;
    }
    // Ids ascend: what is younger than the later one was forked from that, by the same name.
    for (const uint64_t fork : state_.published.get().forks_of(other->id)) {
        if (fork > id) {
            auto changed = std::make_shared<Run>(*state_.published.get().find_run(fork));
            changed->attempts.front().parent_run = id;
            changed->attempts.front().parent_attempt = newest_attempt_of(id);
            state_.published.edit().remove_run(fork);
            state_.published.edit().put_run(std::move(changed));
        }
    }
    end_run(other->id);
    return true;
}

uint32_t StoreRepair::newest_attempt_of(uint64_t id) const {
    const std::shared_ptr<const Run> run = state_.published.get().find_run(id);
    return run == nullptr ? 0 : run->newest_attempt().number;
}

void StoreRepair::end_run(uint64_t id) {
    for (const uint64_t fork : state_.published.get().forks_of(id)) {
        end_run(fork);
    }
    deleted_runs_.insert(id);
    nameless_runs_.erase(id);
    parentless_forks_.erase(id);
    state_.published.edit().remove_run(id);
    state_.rows.drop_run(id);
    state_.activities.remove(id);
    state_.axes.forget(id);
}

// True if the record tells of a parent that is known.
bool StoreRepair::give_parent(Run& run, const OpenRunFrame& open) const {
    const std::shared_ptr<const Run> parent =
        open.is_fork() ? state_.published.get().find_run(open.project, open.parent) : nullptr;
    if (parent == nullptr) {
        return false;
    }
    if (Attempt& guessed = run.attempts.front(); guessed.number != 0) {
        // Of which a later record has told. It goes on from the first, as far as anyone knows.
        guessed.parent_run = run.id;
        guessed.parent_attempt = 0;
        run.attempts.emplace(run.attempts.begin());
    }
    Attempt& first = run.attempts.front();
    if (first.parent_run != 0) {
        return false;
    }
    first.parent_run = parent->id;
    first.parent_attempt = parent->newest_attempt().number;
    first.parent_cut = key_of_step(open.fork_step);
    return true;
}

// A record that opens it once more, when its parent is known.
void StoreRepair::find_parent(uint64_t id, const OpenRunFrame& open) {
    auto run = std::make_shared<Run>(*state_.published.get().find_run(id));
    if (give_parent(*run, open)) {
        state_.published.edit().put_run(std::move(run));
        parentless_forks_.erase(id);
    }
}

void StoreRepair::name_what_has_no_name() {
    name_schemas_and_runs_of_blocks();
    for (const uint64_t id : nameless_runs_) {
        if (const std::shared_ptr<const Run> run = state_.published.get().find_run(id)) {
            find(RepairKind::kMended, "catalog", std::nullopt,
                 fmt::format("nothing tells the name of run {}: it is called {}", id, run->path()));
        }
    }
}

// What blocks hold of which no names can be read any more is read under made-up ones.
void StoreRepair::name_schemas_and_runs_of_blocks() {
    for (const RepairSegment& segment : segments_) {
        for (const SegmentBlock& block : segment.meta->blocks()) {
            const BlockInfo& info = block.info;
            if (is_deleted(info.run)) {
                continue;
            }
            if (state_.published.get().find_run(info.run) == nullptr) {
                make_run(info.run, info.attempt);
            }
            guess_attempt(state_.published, info.run, info.attempt);
            const std::string project = state_.published.get().find_run(info.run)->project;
            const StoredSchema* known = state_.published.get().find_schema(info.schema);
            if (known != nullptr) {
                state_.published.edit().put_schema(project, info.schema, known->schema);
                continue;
            }
            std::vector<std::string> metrics;
            for (uint32_t column = 0; column < info.columns; ++column) {
                metrics.push_back(fmt::format("lost+found/schema-{}/{}", info.schema, column));
            }
            find(RepairKind::kMended, "catalog", std::nullopt,
                 fmt::format("nothing tells the metrics of schema {}: they are called {} and on",
                             info.schema, metrics.front()));
            Result<Schema> schema = Schema::create(info.axis, std::move(metrics));
            CHECK(schema, "{}", schema.error().message());
            state_.published.edit().put_schema(project, info.schema,
                                               std::make_shared<const Schema>(*std::move(schema)));
        }
    }
}

// Findings name runs and metrics, which are all known only now.
void StoreRepair::sum_up() {
    for (const RepairSegment& segment : segments_) {
        describe_blocks(segment);
    }
    describe_lost_segments();
    report_.store = store_;
    report_.runs = state_.published.get().runs().size();
    report_.segments = segments_.size();
    for (const std::string& name : names_) {
        if (name == kRepairMarkName || has_suffix_of_a_cut_repair(name)) {
            find(RepairKind::kNote, name, std::nullopt,
                 "left over from a repair that was cut short");
        }
    }
}

Task<Result<RepairReport>> repair_store(FileSystem& files, Executor& executor,
                                        RepairOptions options) {
    StoreRepair repair(files, executor, std::move(options));
    co_return co_await repair.run();
}

}  // namespace stepdb
