// Where published rows are: tails, sealed blocks in memory, segments. Hands out, per run, the
// pieces a snapshot pins. Engine executor only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/catalog/catalog_file.h"
#include "engine/manifest/manifest.h"
#include "engine/pieces.h"
#include "engine/segment/segment_reader.h"
#include "engine/store_memory.h"
#include "engine/tail/tail.h"

namespace stepdb {

// Rows that were a tail. First they are as they came, while elsewhere a block is made of them; then
// they are the block.
struct SealedRows {
    SealedRows() = default;

    BlockInfo info;  // run, schema, attempt, axis, columns
    std::vector<TailPiece> rows;
    std::shared_ptr<const EncodedBlock> block;  // null while it is being made
    bool dropped = false;                       // the run has been deleted
    size_t memory_bytes = 0;                    // of rows or block
};

using SealedList = std::vector<std::shared_ptr<SealedRows>>;

// Rows of one (run, attempt, schema) that are not in segments.
struct GroupRows {
    explicit GroupRows(const std::shared_ptr<MemoryBudget>& budget)
        : tail(budget), charge(budget, kOwnBytes) {}

    // Beside tail and sealed rows, with its place in a map.
    static constexpr size_t kOwnBytes = 512;

    Tail tail;
    SealedList sealed;  // oldest first
    MemoryCharge charge;
};

// A (run, attempt, schema) that rows have come for. Most of them are at rest, so what is needed for
// new rows alone is apart.
struct SeriesGroup {
    uint64_t run = 0;
    uint64_t schema_id = 0;
    uint32_t attempt = 0;
    bool has_accepted = false;
    bool has_sealed = false;
    // Highest key of accepted rows, durable or not, in segments or not: what late rows are counted
    // against. There if has_accepted.
    Key highest_accepted = kKeyMin;
    Key highest_sealed = kKeyMin;  // likewise of rows in blocks, here or in segments
    std::shared_ptr<const Schema> schema;
    std::unique_ptr<GroupRows> rows;  // null if all are in segments
};

class RowStore {
  public:
    // Makes blocks of the rows, maybe on another thread, and gives them to blocks_made, in any
    // order. Rows are not changed until then.
    using MakeBlocks = std::function<void(SealedList)>;

    // `memory` outlives the store; its `live` is kept here.
    RowStore(uint32_t tail_rows_max, size_t tail_bytes_max, StoreMemory& memory)
        : tail_rows_max_(tail_rows_max), tail_bytes_max_(tail_bytes_max), memory_(memory) {}

    // To be set before the first row comes.
    void set_make_blocks(MakeBlocks make) { make_blocks_ = std::move(make); }

    // The group, made if it is not there. The reference stays valid until its run is dropped.
    SeriesGroup& group(uint64_t run, uint32_t attempt, const StoredSchema& schema);

    // Appends durable rows; seals the tail as often as it fills. Blocks of what is sealed may be
    // made only after make_blocks_now. `memory`, if there is any, is where the rows lie and will
    // not change: the tail may hold on to it.
    void append(SeriesGroup& group, const RowsView& rows, uint64_t sequence,
                int64_t receive_time_us, const std::shared_ptr<SharedBuffer>& memory = nullptr);

    // To be called when nothing more is appended for now: blocks are made of many small tails
    // together.
    void make_blocks_now();

    // blocks[i] has been made of sealed[i].
    void blocks_made(const SealedList& sealed,
                     const std::vector<std::shared_ptr<const EncodedBlock>>& blocks);

    // Seals every tail and returns all sealed rows in memory, by (run, attempt, schema, age). They
    // stay readable until drop_flushed. Of some the blocks are still being made.
    SealedList seal_all();
    // Sealed rows of which blocks are being made.
    size_t being_made_bytes() const { return being_made_bytes_; }

    // `segments` now hold exactly the rows that seal_all returned, all of them blocks. Runs may
    // have been dropped meanwhile.
    void drop_flushed(const SealedList& flushed,
                      std::vector<std::shared_ptr<const SegmentMeta>> segments);

    // The run has been deleted: its rows in memory go. Groups of it may not be used any more.
    void drop_run(uint64_t run);

    void add_segment(std::shared_ptr<const SegmentMeta> segment);
    const SegmentList& segments() const { return *segments_; }
    // As they are now.
    std::shared_ptr<const SegmentList> share_segments() const { return segments_; }

    // The highest key of what has been sealed, of every group; those of a checkpoint.
    std::vector<HighestKey> highest_keys() const;
    void set_highest_key(SeriesGroup& group, Key key);

    // `added`, or nothing if it is null, holds what counts of the segments `file_ids`; returns
    // these.
    std::vector<std::shared_ptr<const SegmentMeta>> replace_segments(
        const std::vector<uint64_t>& file_ids, std::shared_ptr<const SegmentMeta> added);

    void add_damaged(DamagedSegment segment);
    const std::shared_ptr<const DamagedList>& damaged() const { return damaged_; }

    // Appends what a run has in memory, by (attempt, schema).
    void append_memory(uint64_t run, std::vector<MemoryPieces>& pieces) const;
    // What all runs have, by (run, attempt, schema); and of how many of these there is any.
    std::vector<MemoryPieces> all_memory() const;
    size_t groups_in_memory() const { return active_.size(); }

    // In how many segment blocks a series is: of the (run, attempt, schema) that have any, the mean
    // and the most.
    void count_series_blocks(double& mean, uint64_t& most) const;

    // Tails and blocks; what a flush moves to disk.
    size_t memory_bytes() const {
        return tail_bytes_ + being_made_bytes_ + block_bytes_ +
               active_.size() * GroupRows::kOwnBytes;
    }
    // What stays when they are flushed: groups, and the indexes of segments.
    size_t resident_bytes() const { return groups_.size() * kGroupBytes + segment_bytes_; }
    uint64_t tails() const { return tails_; }

  private:
    struct GroupKey {
        uint64_t run = 0;
        uint32_t attempt = 0;
        uint64_t schema = 0;

        auto operator<=>(const GroupKey&) const = default;  // NOLINT(modernize-use-nullptr): its 0
    };
    // A group without its rows, with its place in the map.
    static constexpr size_t kGroupBytes = sizeof(GroupKey) + sizeof(SeriesGroup) + 48;

    // The groups of a run: first and past the last.
    template <typename Map>
    static auto groups_of(Map& groups, uint64_t run) {
        return std::pair(groups.lower_bound({run, 0, 0}), groups.lower_bound({run + 1, 0, 0}));
    }

    uint32_t rows_max(const RowsView& rows) const;
    bool may_stay(const RowsView& rows, const std::shared_ptr<SharedBuffer>& memory) const;
    static MemoryPieces memory_of(const SeriesGroup& group);
    void seal(SeriesGroup& group);
    void let_go(SealedRows& sealed);
    void note_live() { memory_.live.store(memory_bytes(), std::memory_order_relaxed); }

    uint32_t tail_rows_max_;
    size_t tail_bytes_max_;
    std::map<GroupKey, SeriesGroup> groups_;
    std::map<GroupKey, SeriesGroup*> active_;  // those with rows in memory
    // Snapshots share them; a change makes new ones.
    std::shared_ptr<const SegmentList> segments_ = std::make_shared<const SegmentList>();
    std::shared_ptr<const DamagedList> damaged_ = std::make_shared<const DamagedList>();
    StoreMemory& memory_;
    MakeBlocks make_blocks_;
    SealedList begun_;  // sealed, and not yet given to make_blocks_
    size_t begun_bytes_ = 0;
    size_t tail_bytes_ = 0;
    size_t being_made_bytes_ = 0;
    size_t block_bytes_ = 0;
    size_t segment_bytes_ = 0;  // of the segments' indexes
    uint64_t tails_ = 0;        // that hold rows
};

}  // namespace stepdb
