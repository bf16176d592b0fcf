#include "engine/row_store.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "engine/model/limits.h"

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
                      int64_t receive_time_us, const std::shared_ptr<SharedBuffer>& memory) {
    if (group.rows == nullptr) {
        group.rows = std::make_unique<GroupRows>(memory_.rows);
        active_.emplace(GroupKey{group.run, group.attempt, group.schema_id}, &group);
    }
    Tail& tail = group.rows->tail;
    const std::shared_ptr<SharedBuffer> stays = may_stay(rows, memory) ? memory : nullptr;
    uint32_t done = 0;
    while (done < rows.rows()) {
        const size_t bytes_before = tail.memory_bytes();
        tails_ += tail.rows() == 0 ? 1U : 0U;
        done += tail.append(rows, done, sequence + done, receive_time_us, group.schema->axis(),
                            rows_max(rows), tail_bytes_max_, stays);
        tail_bytes_ += tail.memory_bytes() - bytes_before;
        if (tail.full(rows_max(rows), tail_bytes_max_)) {
            seal(group);
        }
    }
    note_live();
}

// Whether the rows need not be copied: what is held for them is mostly theirs, as they are much of
// a tail, which then is soon sealed, and their group's buffer is no more than a tail.
bool RowStore::may_stay(const RowsView& rows, const std::shared_ptr<SharedBuffer>& memory) const {
    constexpr size_t kBytesMin = 16U << 10U;
    constexpr uint32_t kFramesMax = 64;
    return memory != nullptr && rows.lies_in_frame() && !rows.has_presence() &&
           rows.values().size() >= kBytesMin && rows.rows() >= rows_max(rows) / kFramesMax &&
           memory->try_charge(memory_.rows, memory_.shared);
}

// Of narrow rows more make a block, which costs some microseconds by itself.
uint32_t RowStore::rows_max(const RowsView& rows) const {
    constexpr size_t kBlockBytes = 128U << 10U;
    constexpr uint32_t kTimesMax = 8;
    const size_t row_bytes = std::max<size_t>(1, rows.full_row_bytes());
    const size_t wanted = std::clamp<size_t>(kBlockBytes / row_bytes, tail_rows_max_,
                                             size_t{tail_rows_max_} * kTimesMax) /
                          tail_rows_max_ * tail_rows_max_;
    // Where memory is what bounds them, whole vectors at least, if there is room for one.
    size_t possible = std::max<size_t>(1, tail_bytes_max_ / row_bytes);
    possible -= possible > kVectorValues ? possible % kVectorValues : 0;
    return static_cast<uint32_t>(std::min(wanted, possible));
}

void RowStore::seal(SeriesGroup& group) {
    GroupRows& rows = *group.rows;
    auto sealed = std::make_shared<SealedRows>();
    sealed->info.run = group.run;
    sealed->info.attempt = group.attempt;
    sealed->info.schema = group.schema_id;
    sealed->info.axis = group.schema->axis();
    sealed->info.columns = group.schema->width();
    sealed->memory_bytes = rows.tail.memory_bytes();
    sealed->rows = rows.tail.take();
    tail_bytes_ -= sealed->memory_bytes;
    being_made_bytes_ += sealed->memory_bytes;
    --tails_;
    for (const TailPiece& piece : sealed->rows) {
        group.highest_sealed = std::max(group.highest_sealed, piece.key_max);
    }
    group.has_sealed = true;
    rows.sealed.push_back(sealed);
    begun_bytes_ += sealed->memory_bytes;
    begun_.push_back(std::move(sealed));
    // So that none waits for long.
    constexpr size_t kTogetherBytes = 1U << 20U;
    if (begun_bytes_ >= kTogetherBytes) {
        make_blocks_now();
    }
}

void RowStore::make_blocks_now() {
    if (!begun_.empty()) {
        begun_bytes_ = 0;
        make_blocks_(std::exchange(begun_, {}));
    }
}

void RowStore::blocks_made(const SealedList& sealed,
                           const std::vector<std::shared_ptr<const EncodedBlock>>& blocks) {
    CHECK(sealed.size() == blocks.size(), "{} blocks of {}", blocks.size(), sealed.size());
    for (size_t i = 0; i < sealed.size(); ++i) {
        SealedRows& rows = *sealed[i];
        CHECK(rows.block == nullptr && blocks[i] != nullptr, "run {}: block made twice or not",
              rows.info.run);
        rows.rows.clear();
        if (!rows.dropped) {
            being_made_bytes_ -= rows.memory_bytes;
            rows.block = blocks[i];
            rows.memory_bytes = rows.block->memory_bytes();
            block_bytes_ += rows.memory_bytes;
        }
    }
    note_live();
}

// Its bytes are counted no more.
void RowStore::let_go(SealedRows& sealed) {
    (sealed.block == nullptr ? being_made_bytes_ : block_bytes_) -= sealed.memory_bytes;
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

SealedList RowStore::seal_all() {
    SealedList all;
    for (const auto& [key, group] : active_) {
        GroupRows& rows = *group->rows;
        if (rows.tail.rows() > 0) {
            seal(*group);
        }
        all.insert(all.end(), rows.sealed.begin(), rows.sealed.end());
    }
    make_blocks_now();
    note_live();
    return all;
}

void RowStore::drop_flushed(const SealedList& flushed,
                            std::vector<std::shared_ptr<const SegmentMeta>> segments) {
    // Both in the same order: a group's oldest rows are those that were flushed.
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
            SealedList& sealed = rows.sealed;
            for (size_t i = at; i < end; ++i) {
                CHECK(sealed[i - at] == flushed[i], "run {}: flushed block {} is not its oldest",
                      info.run, i - at);
                let_go(*flushed[i]);
            }
            sealed.erase(sealed.begin(), sealed.begin() + static_cast<ptrdiff_t>(end - at));
            if (sealed.empty() && rows.tail.rows() == 0) {
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
        for (const auto& sealed : rows.sealed) {
            let_go(*sealed);
            sealed->dropped = true;
        }
    }
    active_.erase(first_active, last_active);
    const auto [first, last] = groups_of(groups_, run);
    groups_.erase(first, last);
    note_live();
}

void RowStore::add_segment(std::shared_ptr<const SegmentMeta> segment) {
    segment_bytes_ += segment->memory_bytes();
    auto segments = std::make_shared<SegmentList>(*segments_);
    segments->push_back(std::move(segment));
    segments_ = std::move(segments);
}

void RowStore::add_damaged(DamagedSegment segment) {
    auto damaged = std::make_shared<DamagedList>(*damaged_);
    damaged->push_back(std::move(segment));
    damaged_ = std::move(damaged);
}

std::vector<std::shared_ptr<const SegmentMeta>> RowStore::replace_segments(
    const std::vector<uint64_t>& file_ids, std::shared_ptr<const SegmentMeta> added) {
    std::vector<std::shared_ptr<const SegmentMeta>> removed;
    auto segments = std::make_shared<SegmentList>(*segments_);
    std::erase_if(*segments, [&](const std::shared_ptr<const SegmentMeta>& segment) {
        const bool goes = std::ranges::find(file_ids, segment->file_id()) != file_ids.end();
        if (goes) {
            segment_bytes_ -= segment->memory_bytes();
            removed.push_back(segment);
        }
        return goes;
    });
    CHECK(removed.size() == file_ids.size(), "{} of {} segments found", removed.size(),
          file_ids.size());
    segments_ = std::move(segments);
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
    for (const auto& segment : *segments_) {
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

void RowStore::append_memory(uint64_t run, std::vector<MemoryPieces>& pieces) const {
    const auto [first, last] = groups_of(active_, run);
    for (auto at = first; at != last; ++at) {
        pieces.push_back(memory_of(*at->second));
    }
}

std::vector<MemoryPieces> RowStore::all_memory() const {
    std::vector<MemoryPieces> pieces;
    pieces.reserve(active_.size());
    for (const auto& [key, group] : active_) {
        pieces.push_back(memory_of(*group));
    }
    return pieces;
}

MemoryPieces RowStore::memory_of(const SeriesGroup& group) {
    MemoryPieces pieces;
    pieces.run = group.run;
    pieces.attempt = group.attempt;
    pieces.schema = group.schema_id;
    for (const auto& sealed : group.rows->sealed) {
        if (sealed->block != nullptr) {
            pieces.blocks.push_back(sealed->block);
        } else {
            pieces.tail.insert(pieces.tail.end(), sealed->rows.begin(), sealed->rows.end());
        }
    }
    const std::vector<TailPiece>& tail = group.rows->tail.pieces();
    pieces.tail.insert(pieces.tail.end(), tail.begin(), tail.end());
    return pieces;
}

}  // namespace stepdb
