#include "engine/row_store.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace stepdb {

SeriesGroup& RowStore::group(uint64_t run, uint32_t attempt, const StoredSchema& schema) {
    auto& slot = runs_[run].groups[{attempt, schema.id}];
    if (slot == nullptr) {
        slot = std::make_unique<SeriesGroup>(memory_.rows);
        ++groups_;
        slot->run = run;
        slot->attempt = attempt;
        slot->schema_id = schema.id;
        slot->schema = schema.schema;
    }
    return *slot;
}

void RowStore::append(SeriesGroup& group, const RowsView& rows, uint64_t sequence,
                      int64_t receive_time_us) {
    uint32_t done = 0;
    while (done < rows.rows()) {
        const size_t bytes_before = group.tail.memory_bytes();
        tails_ += group.tail.rows() == 0 ? 1U : 0U;
        done += group.tail.append(rows, done, sequence + done, receive_time_us,
                                  group.schema->axis(), tail_rows_max_, tail_bytes_max_);
        tail_bytes_ += group.tail.memory_bytes() - bytes_before;
        if (group.tail.full(tail_rows_max_, tail_bytes_max_)) {
            seal(group);
        }
    }
    note_live();
}

void RowStore::seal(SeriesGroup& group) {
    BlockInfo info;
    info.run = group.run;
    info.attempt = group.attempt;
    info.schema = group.schema_id;
    info.axis = group.schema->axis();
    info.columns = group.schema->width();
    tail_bytes_ -= group.tail.memory_bytes();
    --tails_;
    group.blocks.push_back(group.tail.seal(info));
    block_bytes_ += group.blocks.back()->memory_bytes();
    const Key highest = group.blocks.back()->info.key_max;
    group.highest_sealed = std::max(group.highest_sealed.value_or(highest), highest);
}

std::vector<HighestKey> RowStore::highest_keys() const {
    std::vector<HighestKey> keys;
    keys.reserve(groups_);
    for (const auto& [run, of_run] : runs_) {
        for (const auto& [at, group] : of_run.groups) {
            if (group->highest_sealed) {
                keys.push_back({run, group->schema_id, group->attempt, *group->highest_sealed});
            }
        }
    }
    return keys;
}

void RowStore::set_highest_key(SeriesGroup& group, Key key) {
    group.highest_sealed = std::max(group.highest_sealed.value_or(key), key);
    group.highest_accepted = std::max(group.highest_accepted.value_or(key), key);
}

std::vector<std::shared_ptr<const EncodedBlock>> RowStore::seal_all() {
    std::vector<std::shared_ptr<const EncodedBlock>> all;
    for (auto& [run, of_run] : runs_) {
        for (auto& [key, group] : of_run.groups) {
            if (group->tail.rows() > 0) {
                seal(*group);
            }
            all.insert(all.end(), group->blocks.begin(), group->blocks.end());
        }
    }
    note_live();
    return all;
}

void RowStore::drop_flushed(const std::vector<std::shared_ptr<const EncodedBlock>>& flushed,
                            std::shared_ptr<const SegmentMeta> segment) {
    // Both in the same order: a group's oldest blocks are those that were flushed.
    for (size_t at = 0; at < flushed.size();) {
        const BlockInfo& info = flushed[at]->info;
        size_t end = at + 1;
        while (end < flushed.size() && flushed[end]->info.run == info.run &&
               flushed[end]->info.attempt == info.attempt &&
               flushed[end]->info.schema == info.schema) {
            ++end;
        }
        const auto of_run = runs_.find(info.run);
        if (of_run != runs_.end()) {
            auto& blocks = of_run->second.groups.at({info.attempt, info.schema})->blocks;
            for (size_t i = at; i < end; ++i) {
                CHECK(blocks[i - at] == flushed[i], "run {}: flushed block {} is not its oldest",
                      info.run, i - at);
                block_bytes_ -= flushed[i]->memory_bytes();
            }
            blocks.erase(blocks.begin(), blocks.begin() + static_cast<ptrdiff_t>(end - at));
        }
        at = end;
    }
    note_live();
    add_segment(std::move(segment));
}

void RowStore::drop_run(uint64_t run) {
    const auto of_run = runs_.find(run);
    if (of_run == runs_.end()) {
        return;
    }
    for (const auto& [key, group] : of_run->second.groups) {
        tails_ -= group->tail.rows() > 0 ? 1U : 0U;
        tail_bytes_ -= group->tail.memory_bytes();
        for (const auto& block : group->blocks) {
            block_bytes_ -= block->memory_bytes();
        }
        --groups_;
    }
    runs_.erase(of_run);
    note_live();
}

void RowStore::add_segment(std::shared_ptr<const SegmentMeta> segment) {
    segment_bytes_ += segment->memory_bytes();
    segments_.push_back(std::move(segment));
}

std::vector<std::shared_ptr<const SegmentMeta>> RowStore::replace_segments(
    const std::vector<uint64_t>& file_ids, std::shared_ptr<const SegmentMeta> added) {
    std::vector<std::shared_ptr<const SegmentMeta>> removed;
    std::erase_if(segments_, [&](const std::shared_ptr<const SegmentMeta>& segment) {
        const bool goes = std::ranges::find(file_ids, segment->file_id()) != file_ids.end();
        if (goes) {
            segment_bytes_ -= segment->memory_bytes();
            removed.push_back(segment);
        }
        return goes;
    });
    CHECK(removed.size() == file_ids.size(), "{} of {} segments found", removed.size(),
          file_ids.size());
    if (added != nullptr) {
        add_segment(std::move(added));
    }
    return removed;
}

// Blocks that share out the columns of a schema count by their share.
void RowStore::count_series_blocks(double& mean, uint64_t& most) const {
    struct Columns {
        uint64_t in_blocks = 0;
        uint32_t first = std::numeric_limits<uint32_t>::max();
        uint32_t end = 0;
    };
    std::map<std::tuple<uint64_t, uint32_t, uint64_t>, Columns> groups;
    for (const auto& segment : segments_) {
        for (const SegmentBlock& block : segment->blocks()) {
            const BlockInfo& info = block.info;
            Columns& columns = groups[{info.run, info.attempt, info.schema}];
            columns.in_blocks += info.end_column - info.first_column;
            columns.first = std::min(columns.first, info.first_column);
            columns.end = std::max(columns.end, info.end_column);
        }
    }
    mean = 0;
    most = 0;
    for (const auto& [key, columns] : groups) {
        const uint64_t width = std::max<uint32_t>(1, columns.end - columns.first);
        const double blocks = static_cast<double>(columns.in_blocks) / static_cast<double>(width);
        mean += blocks / static_cast<double>(groups.size());
        most = std::max(most, (columns.in_blocks + width - 1) / width);
    }
}

std::shared_ptr<const Error> RowStore::damage_of(uint64_t run) const {
    for (const DamagedSegment& segment : damaged_) {
        for (const auto& [first, last] : segment.runs) {
            if (first <= run && run <= last) {
                return segment.error;
            }
        }
    }
    return nullptr;
}

RunPieces RowStore::pieces(uint64_t run, const Catalog& catalog) const {
    std::map<std::pair<uint32_t, uint64_t>, GroupPieces> groups;
    for (const auto& segment : segments_) {
        const auto [first, last] = segment->blocks_of_run(run);
        for (size_t block = first; block < last; ++block) {
            const BlockInfo& info = segment->blocks()[block].info;
            GroupPieces& group = groups[{info.attempt, info.schema}];
            group.segment_blocks.push_back({segment, block});
        }
    }
    const auto in_memory = runs_.find(run);
    if (in_memory != runs_.end()) {
        for (const auto& [key, group] : in_memory->second.groups) {
            if (group->tail.rows() > 0 || !group->blocks.empty()) {
                GroupPieces& pieces = groups[key];
                pieces.tail = group->tail.pieces();
                pieces.blocks = group->blocks;
            }
        }
    }
    RunPieces result;
    result.damage = damage_of(run);
    for (auto& [key, pieces] : groups) {
        const StoredSchema* schema = catalog.find_schema(key.second);
        CHECK(schema != nullptr, "run {} has rows of schema {}, which is not in the catalog", run,
              key.second);
        pieces.attempt = key.first;
        pieces.schema = schema->schema;
        result.groups.push_back(std::move(pieces));
    }
    return result;
}

}  // namespace stepdb
