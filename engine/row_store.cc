#include "engine/row_store.h"

#include <algorithm>

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
    size_t at = 0;
    for (auto& [run, of_run] : runs_) {
        for (auto& [key, group] : of_run.groups) {
            size_t mine = 0;
            while (at + mine < flushed.size() && mine < group->blocks.size() &&
                   flushed[at + mine] == group->blocks[mine]) {
                block_bytes_ -= group->blocks[mine]->memory_bytes();
                ++mine;
            }
            group->blocks.erase(group->blocks.begin(),
                                group->blocks.begin() + static_cast<ptrdiff_t>(mine));
            at += mine;
        }
    }
    CHECK(at == flushed.size(), "{} of {} flushed blocks found", at, flushed.size());
    note_live();
    add_segment(std::move(segment));
}

void RowStore::add_segment(std::shared_ptr<const SegmentMeta> segment) {
    segment_bytes_ += segment->memory_bytes();
    segments_.push_back(std::move(segment));
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
