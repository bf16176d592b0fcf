#include "engine/row_store.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace stepdb {

SeriesGroup& RowStore::group(uint64_t run, uint32_t attempt, const StoredSchema& schema) {
    SeriesGroup& group = groups_[{run, attempt, schema.id}];
    if (group.schema == nullptr) {
        group.run = run;
        group.attempt = attempt;
        group.schema_id = schema.id;
        group.schema = schema.schema;
    }
    return group;
}

void RowStore::append(SeriesGroup& group, const RowsView& rows, uint64_t sequence,
                      int64_t receive_time_us) {
    if (group.rows == nullptr) {
        group.rows = std::make_unique<GroupRows>(memory_.rows);
        active_.emplace(GroupKey{group.run, group.attempt, group.schema_id}, &group);
    }
    Tail& tail = group.rows->tail;
    uint32_t done = 0;
    while (done < rows.rows()) {
        const size_t bytes_before = tail.memory_bytes();
        tails_ += tail.rows() == 0 ? 1U : 0U;
        done += tail.append(rows, done, sequence + done, receive_time_us, group.schema->axis(),
                            tail_rows_max_, tail_bytes_max_);
        tail_bytes_ += tail.memory_bytes() - bytes_before;
        if (tail.full(tail_rows_max_, tail_bytes_max_)) {
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
    GroupRows& rows = *group.rows;
    tail_bytes_ -= rows.tail.memory_bytes();
    --tails_;
    rows.blocks.push_back(rows.tail.seal(info));
    block_bytes_ += rows.blocks.back()->memory_bytes();
    group.highest_sealed = std::max(group.highest_sealed, rows.blocks.back()->info.key_max);
    group.has_sealed = true;
}

std::vector<HighestKey> RowStore::highest_keys() const {
    std::vector<HighestKey> keys;
    keys.reserve(groups_.size());
    for (const auto& [key, group] : groups_) {
        if (group.has_sealed) {
            keys.push_back({group.run, group.schema_id, group.attempt, group.highest_sealed});
        }
    }
    return keys;
}

void RowStore::set_highest_key(SeriesGroup& group, Key key) {
    group.highest_sealed = std::max(group.highest_sealed, key);
    group.highest_accepted = std::max(group.highest_accepted, key);
    group.has_sealed = true;
    group.has_accepted = true;
}

std::vector<std::shared_ptr<const EncodedBlock>> RowStore::seal_all() {
    std::vector<std::shared_ptr<const EncodedBlock>> all;
    for (const auto& [key, group] : active_) {
        GroupRows& rows = *group->rows;
        if (rows.tail.rows() > 0) {
            seal(*group);
        }
        all.insert(all.end(), rows.blocks.begin(), rows.blocks.end());
    }
    note_live();
    return all;
}

void RowStore::drop_flushed(const std::vector<std::shared_ptr<const EncodedBlock>>& flushed,
                            std::vector<std::shared_ptr<const SegmentMeta>> segments) {
    // Both in the same order: a group's oldest blocks are those that were flushed.
    for (size_t at = 0; at < flushed.size();) {
        const BlockInfo& info = flushed[at]->info;
        size_t end = at + 1;
        while (end < flushed.size() && flushed[end]->info.run == info.run &&
               flushed[end]->info.attempt == info.attempt &&
               flushed[end]->info.schema == info.schema) {
            ++end;
        }
        const auto active = active_.find({info.run, info.attempt, info.schema});
        if (active != active_.end()) {
            GroupRows& rows = *active->second->rows;
            auto& blocks = rows.blocks;
            for (size_t i = at; i < end; ++i) {
                CHECK(blocks[i - at] == flushed[i], "run {}: flushed block {} is not its oldest",
                      info.run, i - at);
                block_bytes_ -= flushed[i]->memory_bytes();
            }
            blocks.erase(blocks.begin(), blocks.begin() + static_cast<ptrdiff_t>(end - at));
            if (blocks.empty() && rows.tail.rows() == 0) {
                active->second->rows = nullptr;
                active_.erase(active);
            }
        }
        at = end;
    }
    note_live();
    for (std::shared_ptr<const SegmentMeta>& segment : segments) {
        add_segment(std::move(segment));
    }
}

void RowStore::drop_run(uint64_t run) {
    const auto [first_active, last_active] = groups_of(active_, run);
    for (auto at = first_active; at != last_active; ++at) {
        const GroupRows& rows = *at->second->rows;
        tails_ -= rows.tail.rows() > 0 ? 1U : 0U;
        tail_bytes_ -= rows.tail.memory_bytes();
        for (const auto& block : rows.blocks) {
            block_bytes_ -= block->memory_bytes();
        }
    }
    active_.erase(first_active, last_active);
    const auto [first, last] = groups_of(groups_, run);
    groups_.erase(first, last);
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
    const auto [first_active, last_active] = groups_of(active_, run);
    for (auto at = first_active; at != last_active; ++at) {
        GroupPieces& pieces = groups[{at->first.attempt, at->first.schema}];
        pieces.tail = at->second->rows->tail.pieces();
        pieces.blocks = at->second->rows->blocks;
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
