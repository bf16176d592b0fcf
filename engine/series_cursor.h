// Reading one series: which pieces may hold its points, loading them, and deciding which point of a
// key is the truth.
//
// The truth of a key: the newest attempt of the lineage that has a point there; within an attempt
// the highest sequence, that is the latest in the log.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/block_cache.h"
#include "engine/catalog/lineage.h"
#include "engine/open_blocks.h"
#include "engine/pieces.h"
#include "engine/snapshot.h"
#include "engine/summary_pages.h"

namespace stepdb {

// Open segment files of one reader, by file id, and what readers keep of them.
class SegmentFiles {
  public:
    // Without a cache nothing is kept beyond this.
    SegmentFiles(FileSystem& files, std::shared_ptr<BlockCache> cache)
        : files_(files),
          cache_(cache != nullptr ? std::move(cache) : std::make_shared<BlockCache>(0)),
          summary_pages_(*cache_) {}
    Task<Result<File*>> get(const SegmentMeta& segment);
    BlockCache& cache() { return *cache_; }
    SummaryPages& summary_pages() { return summary_pages_; }
    OpenBlocks& open_blocks() { return open_blocks_; }
    BucketStretches& stretches() { return stretches_; }

  private:
    FileSystem& files_;
    std::shared_ptr<BlockCache> cache_;
    SummaryPages summary_pages_;
    OpenBlocks open_blocks_;
    BucketStretches stretches_;
    std::map<uint64_t, std::unique_ptr<File>> open_;
};

// One place where points of the series may be: a tail chunk, a block in memory or in a segment.
struct SeriesPiece {
    const TailPiece* tail = nullptr;
    const EncodedBlock* block = nullptr;
    const SegmentPiece* segment_block = nullptr;
    const Schema* schema = nullptr;
    uint32_t column = 0;
    uint32_t level = 0;  // 0: the attempt itself; higher: further up its lineage
    KeyRange range;      // what of it counts: asked for, and within the cuts of the lineage
    uint64_t deleted_through = 0;  // rows with a sequence up to this do not count
    Key key_min = 0;               // of the whole piece
    Key key_max = 0;

    // The last key that may count: rows of older attempts and of parents reach no further than
    // their cut.
    Key reach() const { return std::min(key_max, range.last); }
};

// The present points of a piece within its range, sorted by (key, sequence).
struct PieceRows {
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
    std::vector<double> values;
    uint32_t level = 0;
};

// A range of rows of a loaded piece, at least one.
struct PieceSlice {
    const PieceRows* rows = nullptr;
    size_t begin = 0;
    size_t end = 0;

    Key first_key() const { return rows->keys[begin]; }
    Key last_key() const { return rows->keys[end - 1]; }
    // Rows are sorted, so equal keys are neighbours.
    bool has_distinct_keys() const {
        const std::span<const Key> keys = std::span(rows->keys).subspan(begin, end - begin);
        return std::ranges::adjacent_find(keys) == keys.end();
    }
};

// What an attempt reads as of the snapshot; valid as long as that.
std::vector<LineageLevel> levels_of(const Snapshot& snapshot, RunView view, Axis axis);

// Every piece that may hold points of `metric` in `range`, by key_min. Pieces point into the
// snapshot.
std::vector<SeriesPiece> find_pieces(const Snapshot& snapshot, RunView view,
                                     std::string_view metric, KeyRange range);

// Reads and decodes one piece.
Task<Result<PieceRows>> load_piece(SegmentFiles& files, SeriesPiece piece, ReadCost& cost);

// Rows of a piece, before it is read: how many of them are present and in range is known only then.
size_t rows_at_most(const SeriesPiece& piece);

// Appends the points of overlapping slices to `points`, one per key.
void merge_slices(std::span<const PieceSlice> slices, Points& points);
// The same of any slices: those that no other overlaps are copied.
void merge_in_groups(std::vector<PieceSlice> slices, Points& points);

// Loaded rows are charged to `budget`, if there is one.
std::unique_ptr<SeriesCursor> make_cursor(SegmentFiles& files, ReadCost& cost,
                                          std::vector<SeriesPiece> pieces,
                                          std::shared_ptr<MemoryBudget> budget);

}  // namespace stepdb
