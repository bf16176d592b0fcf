// One series in one block, loaded but not decoded: what is asked of a range of its rows decodes the
// vectors they lie in.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "engine/segment/block_keys.h"
#include "engine/segment/column_reader.h"
#include "engine/series_cursor.h"

namespace stepdb {

class PieceColumn {
  public:
    // Whether rows of the piece can be told apart from those that were deleted, and are in a block,
    // so that load() may be called.
    static bool can_load(const SeriesPiece& piece);

    // What load() may take in memory of its own.
    static size_t bytes_at_most(const SeriesPiece& piece);

    // Null if the series has no value in the block. The block of the piece outlives it; kCorruption
    // names it.
    static Task<Result<std::unique_ptr<PieceColumn>>> load(SegmentFiles& files, SeriesPiece piece,
                                                           ReadCost& cost);

    const BlockKeys& keys() const { return *keys_; }

    const SeriesPiece& piece() const { return piece_; }

    // Walks over the points of the piece's range, whose keys are distinct, in ascending order; what
    // was walked over does not come again. Adds those with a key below `end`, or all, to the
    // buckets, as bucket_of() places them; begins at bucket `from` and returns where it ended.
    Result<size_t> add_below(Key end, const BucketRow& buckets, size_t from, ReadCost& cost);
    Result<size_t> add_rest(const BucketRow& buckets, size_t from, ReadCost& cost);

    // Whether the next point, behind all below `key`, is at it.
    Result<bool> is_at(Key key);
    // Of that point; reads sequences at the first such question.
    Task<Result<uint64_t>> next_sequence(SegmentFiles& files, ReadCost& cost);
    // Goes over it.
    void skip() { ++next_row_; }

    // The first and the last key in the piece's range at which there is a point, if there is one.
    Result<std::optional<KeyRange>> key_range();

  private:
    // A column as it is kept for other readers.
    struct Column {
        std::vector<std::byte> strip;  // of a block in a segment
        Bytes chunk;                   // empty: no value
        ColumnParts parts;

        size_t memory_bytes() const {
            return sizeof(*this) + strip.capacity() + parts.memory_bytes();
        }
    };

    explicit PieceColumn(const SeriesPiece& piece) : piece_(piece) {}

    Status find_in_memory(ReadCost& cost);
    Task<Status> read_column(SegmentFiles& files, ReadCost& cost);
    Task<Status> read_keys(SegmentFiles& files, ReadCost& cost);
    Task<Result<AxisColumns>> read_axis_of(SegmentFiles& files, ReadCost& cost) const;
    Task<Result<ChunkPlace>> read_place(SegmentFiles& files, ReadCost& cost) const;
    Error in_place(const Error& error) const;
    Result<size_t> add_rows(uint32_t end, const BucketRow& buckets, size_t from, ReadCost& cost);
    uint32_t first_row() const { return keys_->lower_bound(piece_.range.first, 0); }
    uint32_t end_row() const;

    SeriesPiece piece_;
    std::shared_ptr<const BlockKeys> keys_;
    std::shared_ptr<const Column> column_;
    std::optional<ColumnReader> reader_;  // of column_
    uint32_t next_row_ = 0;
    uint32_t end_row_ = 0;
    std::vector<uint64_t> sequences_;  // of the block's rows, once asked for
};

}  // namespace stepdb
