// The part of repair_store that writes: the repaired files beside the old ones, each synced before
// anything names it, then CURRENT, then other names for what does not count any more.
//
// A crash may come at any moment. Files have names of their own before they are whole and synced;
// segments get theirs before the catalog, because an opening without a manifest takes the newest
// whole catalog's word for what segments hold.
#include <algorithm>

#include "engine/compaction/flush_segment.h"
#include "engine/model/limits.h"
#include "engine/store_copy.h"
#include "engine/store_repair.h"

namespace stepdb {

namespace {

constexpr std::string_view kNotFinished = ".new";
constexpr uint64_t kRepairedManifestBytesMax = 4U << 20U;

RunRanges runs_of_blocks(const SegmentMeta& segment) {
    std::vector<uint64_t> ids;
    ids.reserve(segment.blocks().size());
    for (const SegmentBlock& block : segment.blocks()) {
        ids.push_back(block.info.run);
    }
    return make_run_ranges(ids);
}

}  // namespace

Task<Status> StoreRepair::write() {
    first_new_id_ = next_file_id_;
    const Status written = co_await write_files();
    if (!written) {
        co_await discard_files();
        co_return written;
    }
    Status status = co_await switch_manifest();
    if (status) {
        status = co_await set_aside();
    }
    co_return status;
}

Task<Status> StoreRepair::write_files() {
    if (std::ranges::find(names_, kRepairMarkName) == names_.end()) {
        const Result<std::unique_ptr<File>> mark =
            co_await files_.open(path(kRepairMarkName), OpenMode::kCreate);
        if (!mark) {
            co_return mark.error();
        }
    }
    // The mark is durable before anything that it is to explain.
    Status status = co_await files_.sync_directory(options_.directory, SyncSite::kFlushDirectory);
    if (status) {
        status = co_await write_segments();
    }
    if (status) {
        status = co_await write_log_rows();
    }
    if (status) {
        status = co_await files_.sync_directory(options_.directory, SyncSite::kFlushDirectory);
    }
    if (status) {
        status = co_await write_catalog();
    }
    if (status) {
        status = co_await files_.sync_directory(options_.directory, SyncSite::kFlushDirectory);
    }
    if (status) {
        status = co_await save_current();
    }
    co_return status;
}

// Nothing names them; their room is wanted back.
Task<void> StoreRepair::discard_files() {
    const Status listed = co_await list_names();
    static_cast<void>(listed);
    for (const std::string& name : names_) {
        if (name == kRepairMarkName || file_number(name) >= first_new_id_) {
            const Status removed = co_await files_.remove(path(name));
            static_cast<void>(removed);  // the next repair does
        }
    }
}

bool StoreRepair::is_deleted(uint64_t run) const {
    return state_.published.get().find_run(run) == nullptr &&
           (run < base_next_run_ || deleted_runs_.contains(run));
}

Task<Status> StoreRepair::finish_file(std::string name) {
    co_return co_await files_.rename(path(name) + std::string(kNotFinished), path(name));
}

Task<Status> StoreRepair::write_segments() {
    for (RepairSegment& segment : segments_) {
        if (segment.is_whole) {
            new_segments_[segment.id] = segment.meta->file_bytes();
            new_runs_[segment.id] = runs_of_blocks(*segment.meta);
            continue;
        }
        const bool holds_any = std::ranges::any_of(
            segment.meta->blocks(),
            [&](const SegmentBlock& block) { return !is_deleted(block.info.run); });
        if (!holds_any) {
            continue;
        }
        segment.new_id = take_id();
        const Status written = co_await write_segment_anew(&segment);
        if (!written) {
            co_return written;
        }
    }
    co_return Status();
}

Task<Status> StoreRepair::write_segment_anew(RepairSegment* segment) {
    const std::string name = segment_file_name(segment->new_id);
    Result<std::unique_ptr<File>> file = co_await files_.open(path(segment->name), OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    SegmentWriter writer(files_, path(name) + std::string(kNotFinished), store_, segment->new_id);
    Status status = co_await writer.create();
    for (size_t index = 0; status && index < segment->meta->blocks().size(); ++index) {
        if (!is_deleted(segment->meta->blocks()[index].info.run)) {
            status = co_await put_block(writer, **file, segment, index);
        }
    }
    if (!status) {
        co_await writer.abandon();
        co_return status;
    }
    SegmentNames names = names_for(*segment);
    const Result<std::shared_ptr<const SegmentMeta>> meta =
        co_await writer.finish(std::move(names), SyncSite::kSegmentData);
    if (!meta) {
        co_await writer.abandon();
        co_return meta.error();
    }
    new_segments_[segment->new_id] = (*meta)->file_bytes();
    new_runs_[segment->new_id] = runs_of_blocks(**meta);
    report_.bytes_written += (*meta)->file_bytes();
    ++report_.segments_new;
    co_return co_await finish_file(name);
}

Task<Status> StoreRepair::put_block(SegmentWriter& writer, File& file, const RepairSegment* segment,
                                    size_t index) {
    const SegmentBlock& block = segment->meta->blocks()[index];
    std::vector<std::byte> bytes(block.info.total_bytes());
    co_await read_some(file, block.offset, bytes);
    const BlockHealth health = segment->health[index];
    if (health == BlockHealth::kDamaged || health == BlockHealth::kCarried) {
        co_return co_await writer.put_damaged(block, segment->id, bytes);
    }
    BlockInfo info = block.info;
    const Bytes all(bytes);
    const Bytes axis = all.first(info.axis_bytes);
    const Bytes directory = all.subspan(axis.size(), info.directory_bytes);
    const Bytes strips = all.subspan(axis.size() + directory.size(), info.strips_bytes);
    Bytes summaries = all.last(info.summaries_bytes);
    if (health == BlockHealth::kWithoutSummaries) {
        info.summaries_bytes = 0;
        summaries = Bytes();
    }
    Status status = co_await writer.begin_block(info, axis, directory, summaries);
    if (status) {
        status = co_await writer.put_rest(strips);
    }
    if (status) {
        status = co_await writer.put_rest(summaries);
    }
    co_return status;
}

SegmentNames StoreRepair::names_for(const RepairSegment& segment) const {
    const Catalog& catalog = state_.published.get();
    std::set<uint64_t> runs;
    std::set<uint64_t> schemas;
    SegmentNames names;
    for (const SegmentBlock& block : segment.meta->blocks()) {
        const std::shared_ptr<const Run> run = catalog.find_run(block.info.run);
        if (run == nullptr) {
            continue;
        }
        if (runs.insert(run->id).second) {
            SegmentNames::Run& named = names.runs.emplace_back();
            named.id = run->id;
            named.project = run->project;
            named.name = run->name;
        }
        if (schemas.insert(block.info.schema).second) {
            names.schemas.push_back(
                {block.info.schema, catalog.find_schema(block.info.schema)->schema});
        }
    }
    return names;
}

// The rows that a log held, as a flush would write them.
Task<Status> StoreRepair::write_log_rows() {
    std::vector<std::shared_ptr<const EncodedBlock>> blocks;
    for (const auto& rows : state_.rows.seal_all()) {
        CHECK(rows->block != nullptr || rows->dropped, "run {}", rows->info.run);
        if (!rows->dropped) {
            blocks.push_back(rows->block);
        }
    }
    const MergeLimits limits = MergeLimits::of(kMergeBytesMax);
    for (const auto& part : share_out(blocks, limits)) {
        const uint64_t id = take_id();
        FlushInput input;
        input.files = &files_;
        input.executor = &executor_;
        input.store = store_;
        input.path = path(segment_file_name(id)) + std::string(kNotFinished);
        input.file_id = id;
        input.catalog = state_.published.share();
        input.blocks = part;
        input.limits = limits;
        const Result<std::shared_ptr<const SegmentMeta>> meta =
            co_await write_flush_segment(std::move(input));
        if (!meta) {
            co_return meta.error();
        }
        new_segments_[id] = (*meta)->file_bytes();
        new_runs_[id] = runs_of_blocks(**meta);
        report_.bytes_written += (*meta)->file_bytes();
        ++report_.segments_new;
        const Status named = co_await finish_file(segment_file_name(id));
        if (!named) {
            co_return named;
        }
    }
    report_.segments = new_segments_.size();
    co_return Status();
}

Task<Status> StoreRepair::write_catalog() {
    for (const auto& run : state_.published.get().runs()) {
        RunActivity& activity = state_.activities.of(run->id);
        if (!has_catalog_ && activity.last_write_us == 0) {
            activity.last_write_us = options_.now_us;
            activity.last_sign_us = std::max(activity.last_sign_us, options_.now_us);
        }
    }
    new_catalog_ = take_id();
    const std::string name = catalog_file_name(new_catalog_);
    std::vector<std::byte> body = encode_checkpoint(state_.published.get(), state_.writers,
                                                    state_.activities, state_.rows.highest_keys());
    const Status written =
        co_await write_catalog_file(files_, path(name) + std::string(kNotFinished), store_,
                                    new_catalog_, last_sequence_, std::move(body));
    if (!written) {
        co_return written;
    }
    co_return co_await finish_file(name);
}

// CURRENT is replaced by a rename, so what it said is kept beside it. One that is no file makes
// room.
Task<Status> StoreRepair::save_current() {
    if (std::ranges::find(names_, kCurrentName) == names_.end()) {
        co_return Status();
    }
    const std::string saved = path(kCurrentName) + std::string(kBeforeRepairSuffix);
    const Status cleared = co_await files_.remove(saved);
    if (!cleared && cleared.error().code() != ErrorCode::kNotFound) {
        co_return cleared;
    }
    std::string current(kCurrentName);
    const Result<std::vector<std::byte>> contents = co_await read_all(std::move(current));
    if (!contents) {
        co_return co_await files_.rename(path(kCurrentName), saved);
    }
    Result<std::unique_ptr<File>> file = co_await files_.open(saved, OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    co_return co_await (*file)->write_synced(0, *contents, SyncSite::kCurrentData);
}

Task<Status> StoreRepair::switch_manifest() {
    ManifestState state;
    state.next_file_id = next_file_id_;
    state.epoch = epoch_;
    state.checkpoint_sequence = last_sequence_;
    state.catalog_file = new_catalog_;
    state.segments = new_segments_;
    state.segment_runs = new_runs_;
    state = without_log(std::move(state));
    Manifest manifest(files_, options_.directory, store_, kRepairedManifestBytesMax);
    manifest.skip_file_ids(next_file_id_);
    const Status begun = co_await manifest.begin(state);
    manifest_ = manifest.state();
    manifest_file_ = manifest.file_id();
    co_return begun;
}

// What does not count any more keeps its bytes under another name.
Task<Status> StoreRepair::set_aside() {
    Status status = co_await list_names();
    if (!status) {
        co_return status;
    }
    for (const std::string& name : names_) {
        const auto log = parse_file_name(name, "log-");
        const auto segment = parse_file_name(name, "segment-");
        const auto catalog = parse_file_name(name, "catalog-");
        const auto manifest = parse_file_name(name, "manifest-");
        const bool is_unnamed = (log && !manifest_.logs.contains(*log)) ||
                                (segment && !manifest_.segments.contains(*segment)) ||
                                (catalog && *catalog != manifest_.catalog_file) ||
                                (manifest && *manifest != manifest_file_);
        if (is_unnamed) {
            const std::string aside = name + std::string(kBeforeRepairSuffix);
            status = co_await files_.rename(path(name), path(aside));
        } else if (name.ends_with(kNotFinished)) {
            status = co_await files_.remove(path(name));
        }
        if (!status) {
            co_return status;
        }
        if (is_unnamed || name.ends_with(kBeforeRepairSuffix)) {
            report_.set_aside.push_back(is_unnamed ? name + std::string(kBeforeRepairSuffix)
                                                   : name);
        }
    }
    status = co_await files_.sync_directory(options_.directory, SyncSite::kFlushDirectory);
    if (status) {
        status = co_await files_.remove(path(kRepairMarkName));
    }
    if (status) {
        status = co_await files_.sync_directory(options_.directory, SyncSite::kFlushDirectory);
    }
    co_return status;
}

}  // namespace stepdb
