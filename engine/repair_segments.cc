// The part of repair_store that reads segments: which can be read at all, and which of their blocks
// are whole.
#include <algorithm>

#include "engine/base/text.h"
#include "engine/catalog/lineage.h"
#include "engine/lost_catalog.h"
#include "engine/segment/block_directory.h"
#include "engine/store_repair.h"

namespace stepdb {

namespace {

constexpr size_t kNamesShownMax = 5;

std::string join_some(const std::vector<std::string>& names) {
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), kNamesShownMax); ++i) {
        text += (i == 0 ? "" : ", ") + names[i];
    }
    if (names.size() > kNamesShownMax) {
        text += fmt::format(" and {} more", names.size() - kNamesShownMax);
    }
    return text;
}

// "steps 3 to 40", "times ... to ...".
std::string describe_keys(const BlockInfo& info) {
    return info.axis == Axis::kStepped
               ? fmt::format("steps {} to {}", step_of_key(info.key_min), step_of_key(info.key_max))
               : fmt::format("times {} to {} us", info.key_min, info.key_max);
}

// Of a footer whose checksum does not match the fields may be right all the same: what they name is
// under checksums of its own.
SegmentFooter guess_footer(Bytes page, uint64_t file_bytes) {
    const auto field = [&](size_t at) { return load_le<uint64_t>(page.data() + at); };
    SegmentFooter footer;
    footer.file_bytes = file_bytes;
    footer.blocks = field(16);
    footer.index_offset = field(32);
    footer.index_bytes = field(40);
    footer.index_checksum = field(48);
    footer.names_offset = field(56);
    footer.names_bytes = field(64);
    footer.names_checksum = field(72);
    return footer;
}

bool lies_in_file(uint64_t offset, uint64_t bytes, uint64_t file_bytes) {
    return offset >= kFileHeaderBytes && offset <= file_bytes && bytes <= file_bytes - offset;
}

}  // namespace

Task<Status> StoreRepair::read_segments() {
    // What a merge has made comes after what it was made of.
    for (auto at = manifest_.segments.rbegin(); at != manifest_.segments.rend(); ++at) {
        const auto& [id, bytes] = *at;
        const auto file = segment_files_.find(id);
        if (file == segment_files_.end()) {
            lose_segment(id, segment_file_name(id), bytes, "the file is gone");
            continue;
        }
        const Status read = co_await read_segment(id, file->second, bytes);
        if (!read) {
            co_return read;
        }
    }
    std::ranges::reverse(segments_);
    for (const RepairSegment& segment : segments_) {
        if (!has_catalog_ && segment.names) {
            take_segment_names(state_.published, *segment.meta, *segment.names);
        }
    }
    // Deleted runs of which an older catalog does not know come back with the names.
    uses_present_ = from_files_ || !lost_segments_.empty();
    co_return co_await note_present();
}

// kUnsupportedVersion alone is an error; what cannot be read is lost.
Task<Status> StoreRepair::read_segment(uint64_t id, std::string name, uint64_t expected_bytes) {
    Result<std::unique_ptr<File>> opened = co_await files_.open(path(name), OpenMode::kRead);
    if (!opened) {
        lose_segment(id, name, expected_bytes, opened.error().message());
        co_return Status();
    }
    File& file = **opened;
    RepairSegment segment;
    segment.id = id;
    segment.name = name;
    Result<std::optional<SegmentFooter>> footer =
        co_await find_footer(file, &segment, expected_bytes);
    if (!footer) {
        co_return footer.error();
    }
    if (!footer->has_value()) {
        lose_segment(id, name, std::max(expected_bytes, file.size()),
                     "its footer or its index cannot be read, without which no block is found");
        co_return Status();
    }
    std::vector<std::byte> page(kFileHeaderBytes);
    co_await read_some(file, 0, page);
    const Result<FileHeader> header = decode_file_header(kSegmentFileKind, page);
    if (!header) {
        find(RepairKind::kMended, name, std::pair(0, kFileHeaderBytes), header.error().message());
        segment.is_whole = false;
    } else if (name != segment_file_name(id)) {
        find(RepairKind::kMended, name, std::nullopt,
             fmt::format("is {} under another name", segment_file_name(id)));
        segment.is_whole = false;
    }
    const Status named = co_await read_segment_names(file, &segment);
    if (!named) {
        co_return named;
    }
    const Status checked = co_await check_blocks(file, &segment);
    if (!checked) {
        co_return checked;
    }
    if (from_files_) {
        const Result<bool> superseded = co_await is_superseded(&segment);
        if (!superseded) {
            co_return superseded.error();
        }
        if (*superseded) {
            find(RepairKind::kNote, name, std::nullopt,
                 "a newer segment holds its rows; it does not count");
            co_return Status();
        }
    }
    for (const SegmentBlock& block : segment.meta->blocks()) {
        last_sequence_ = std::max(last_sequence_, block.info.sequence_max);
    }
    segments_.push_back(std::move(segment));
    co_return Status();
}

// The footer, and with it the block index; nothing if there is no telling.
Task<Result<std::optional<SegmentFooter>>> StoreRepair::find_footer(File& file,
                                                                    RepairSegment* segment,
                                                                    uint64_t expected_bytes) {
    std::optional<SegmentFooter> found;
    std::vector<uint64_t> sizes = {file.size()};
    if (expected_bytes != 0 && expected_bytes < file.size()) {
        sizes.push_back(expected_bytes);  // something has been written behind it
    }
    for (const uint64_t size : sizes) {
        if (size < 2 * kPageBytes || size % kPageBytes != 0) {
            continue;
        }
        std::vector<std::byte> page(kPageBytes);
        co_await read_some(file, size - kPageBytes, page);
        const Result<SegmentFooter> whole = decode_segment_footer(page, store_, segment->id, size);
        const SegmentFooter footer = whole ? *whole : guess_footer(page, size);
        if (!lies_in_file(footer.index_offset, footer.index_bytes, size) ||
            !lies_in_file(footer.names_offset, footer.names_bytes, size)) {
            continue;
        }
        std::vector<std::byte> index(footer.index_bytes);
        co_await read_some(file, footer.index_offset, index);
        if (xxh3(index, place_seed(store_, segment->id, footer.index_offset)) !=
            footer.index_checksum) {
            continue;
        }
        Result<std::vector<SegmentBlock>> blocks =
            decode_block_index(index, footer.blocks, footer.names_offset);
        if (!blocks && blocks.error().code() == ErrorCode::kUnsupportedVersion) {
            co_return blocks.error().within(path(segment->name));
        }
        if (!blocks) {
            continue;
        }
        if (!whole || size != file.size()) {
            find(RepairKind::kMended, segment->name, std::pair(size - kPageBytes, file.size()),
                 whole ? fmt::format("{} bytes stand behind the end", file.size() - size)
                       : whole.error().message() + "; what it names is whole");
            segment->is_whole = false;
        }
        segment->meta = std::make_shared<const SegmentMeta>(
            path(segment->name), store_, segment->id, footer, *std::move(blocks));
        found = footer;
        break;
    }
    co_return found;
}

Task<Status> StoreRepair::read_segment_names(File& file, RepairSegment* segment) {
    Result<SegmentNames> names = co_await read_names(file, *segment->meta);
    if (names) {
        segment->names = std::move(*names);
        co_return Status();
    }
    if (names.error().code() == ErrorCode::kUnsupportedVersion) {
        co_return names.error();
    }
    const SegmentFooter& footer = segment->meta->footer();
    find(RepairKind::kMended, segment->name,
         std::pair(footer.names_offset, footer.names_offset + footer.names_bytes),
         fmt::format("its names of runs and schemas cannot be read ({}); they are written anew",
                     names.error().message()));
    segment->is_whole = false;
    co_return Status();
}

Task<Status> StoreRepair::check_blocks(File& file, RepairSegment* segment) {
    const std::vector<SegmentBlock>& blocks = segment->meta->blocks();
    segment->health.assign(blocks.size(), BlockHealth::kWhole);
    segment->block_damages.resize(blocks.size());
    std::vector<std::byte> bytes;
    for (size_t index = 0; index < blocks.size(); ++index) {
        bytes.resize(blocks[index].info.total_bytes());
        co_await read_some(file, blocks[index].offset, bytes);
        judge_block(segment, index, bytes);
    }
    co_return Status();
}

void StoreRepair::judge_block(RepairSegment* segment, size_t index, Bytes bytes) {
    const SegmentBlock& block = segment->meta->blocks()[index];
    const BlockInfo& info = block.info;
    BlockHealth& health = segment->health[index];
    std::string& damage = segment->block_damages[index];
    const auto is_whole = [&](Bytes section, uint64_t at, uint64_t checksum) {
        return xxh3(section, block.section_seed(store_, segment->id, at)) == checksum;
    };
    const Bytes axis = bytes.first(info.axis_bytes);
    const Bytes directory = bytes.subspan(info.axis_bytes, info.directory_bytes);
    const Bytes strips = bytes.subspan(axis.size() + directory.size(), info.strips_bytes);
    if (!is_whole(axis, block.offset, block.axis_checksum)) {
        damage = "its keys cannot be read, so that nothing of it can";
    } else if (!is_whole(directory, block.directory_offset(), block.directory_checksum)) {
        damage = "its directory cannot be read, so that nothing of it can";
    } else if (const Result<BlockDirectory> parts = BlockDirectory::read(directory, info); parts) {
        for (size_t i = 0; i < parts->strips().size(); ++i) {
            const Strip& strip = parts->strips()[i];
            if (xxh3(strips.subspan(strip.offset, strip.bytes), content_seed(info)) !=
                strip.checksum) {
                damage += fmt::format("{}columns {} to {}", damage.empty() ? "" : ", ",
                                      strip.first_column, parts->columns_end(i) - 1);
            }
        }
    }
    const bool has_summaries =
        info.summaries_bytes == 0 || is_whole(bytes.last(info.summaries_bytes),
                                              block.summaries_offset(), block.summaries_checksum);
    if (block.damaged != nullptr) {
        const bool is_as_found =
            xxh3(bytes, place_seed(store_, segment->id, block.offset)) == block.damaged->checksum;
        health = is_as_found ? BlockHealth::kCarried : BlockHealth::kDamaged;
    } else if (!damage.empty()) {
        health = BlockHealth::kDamaged;
    } else if (!has_summaries) {
        health = BlockHealth::kWithoutSummaries;
    }
    if (health == BlockHealth::kDamaged || health == BlockHealth::kWithoutSummaries) {
        segment->is_whole = false;
        report_.needed = true;
    }
}

// Without a manifest, of what a merge was made of may still be there. Every row of it that the
// merge has kept is in what it made.
Task<Result<bool>> StoreRepair::is_superseded(RepairSegment* segment) {
    bool shares_rows = false;
    const std::function<void(uint64_t)> look = [&](uint64_t sequence) {
        shares_rows = shares_rows || seen_.contains(sequence);
    };
    const std::function<void(uint64_t)> note = [&](uint64_t sequence) { seen_.insert(sequence); };
    const Status looked = co_await each_sequence(segment, &look);
    if (!looked) {
        co_return looked.error();
    }
    if (!shares_rows) {
        const Status noted = co_await each_sequence(segment, &note);
        if (!noted) {
            co_return noted.error();
        }
    }
    co_return shares_rows;
}

// Which rows of the log are in segments that can be read.
Task<Status> StoreRepair::note_present() {
    if (!uses_present_) {
        co_return Status();
    }
    const std::function<void(uint64_t)> note = [&](uint64_t sequence) {
        present_.insert(sequence);
    };
    for (const RepairSegment& segment : segments_) {
        const Status noted = co_await each_sequence(&segment, &note);
        if (!noted) {
            co_return noted;
        }
    }
    co_return Status();
}

// Of every row whose block has keys that can be read.
Task<Status> StoreRepair::each_sequence(const RepairSegment* segment,
                                        const std::function<void(uint64_t)>* see) {
    Result<std::unique_ptr<File>> file = co_await files_.open(path(segment->name), OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    for (size_t index = 0; index < segment->meta->blocks().size(); ++index) {
        const Result<AxisColumns> axis = co_await read_axis(**file, *segment->meta, index);
        if (axis) {
            std::ranges::for_each(axis->sequences, *see);
        }
    }
    co_return Status();
}

void StoreRepair::lose_segment(uint64_t id, const std::string& name, uint64_t bytes,
                               std::string why) {
    LostSegment& lost = lost_segments_.emplace_back();
    lost.id = id;
    lost.name = name;
    lost.bytes = bytes;
    lost.why = std::move(why);
    const auto runs = manifest_.segment_runs.find(id);
    if (runs != manifest_.segment_runs.end()) {
        lost.runs = runs->second;
    }
    report_.needed = true;
}

// What the checkpoint does not tell of rows, blocks do.
void StoreRepair::register_segment(const RepairSegment& segment) {
    const Catalog& catalog = state_.published.get();
    for (const SegmentBlock& block : segment.meta->blocks()) {
        const BlockInfo& info = block.info;
        if (catalog.find_run(info.run) != nullptr && (!has_highest_keys_ || !has_catalog_)) {
            SeriesGroup& group =
                state_.rows.group(info.run, info.attempt, *catalog.find_schema(info.schema));
            state_.rows.set_highest_key(group, std::max(group.highest_sealed, info.key_max));
        }
    }
}

// By the names of run and metrics.
void StoreRepair::describe_blocks(const RepairSegment& segment) {
    const Catalog& catalog = state_.published.get();
    for (size_t index = 0; index < segment.health.size(); ++index) {
        const SegmentBlock& block = segment.meta->blocks()[index];
        const BlockInfo& info = block.info;
        const std::shared_ptr<const Run> run = catalog.find_run(info.run);
        const StoredSchema* schema = catalog.find_schema(info.schema);
        const BlockHealth health = segment.health[index];
        if (health == BlockHealth::kWhole || run == nullptr || schema == nullptr) {
            continue;  // of deleted runs nothing is wanted
        }
        const std::pair<uint64_t, uint64_t> bytes(block.offset, block.end());
        const std::string of = fmt::format("{} rows of {}#{}, {}", info.rows, run->path(),
                                           info.attempt, describe_keys(info));
        if (health == BlockHealth::kWithoutSummaries) {
            find(RepairKind::kMended, segment.name, bytes,
                 of + ": the summaries are damaged and left out; the values are whole");
            continue;
        }
        std::vector<std::string> metrics;
        for (uint32_t column = info.first_column; column < info.end_column; ++column) {
            metrics.emplace_back(schema->schema->metric(column));
        }
        find(RepairKind::kKept, segment.name, bytes,
             fmt::format("{}, metrics {}: {}{}", of, join_some(metrics),
                         segment.block_damages[index].empty() ? "was damaged once"
                                                              : segment.block_damages[index],
                         health == BlockHealth::kCarried ? " (carried along already)" : ""));
    }
}

void StoreRepair::describe_lost_segments() {
    for (const LostSegment& lost : lost_segments_) {
        std::vector<std::string> runs;
        for (const auto& run : state_.published.get().runs()) {
            const bool may_be = std::ranges::any_of(lost.runs, [&](const auto& range) {
                return range.first <= run->id && run->id <= range.second;
            });
            if (may_be) {
                runs.push_back(run->path());
            }
        }
        const std::string whose = lost.runs.empty() ? std::string("nobody knows of which runs")
                                  : runs.empty()    ? std::string("of runs that are deleted")
                                                    : "of " + join_some(runs);
        find(RepairKind::kLost, lost.name,
             lost.bytes == 0 ? std::optional<std::pair<uint64_t, uint64_t>>()
                             : std::pair<uint64_t, uint64_t>(0, lost.bytes),
             fmt::format("{}; lost are its rows, {}, but for those that the log still holds",
                         lost.why, whose));
    }
}

}  // namespace stepdb
