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
    // Whether all rows of the piece count, as far as it goes, and lie in a block: then it can be
    // walked over. Of other blocks rows can be read, among which are deleted ones.
    static bool can_load(const SeriesPiece& piece);

    // What load() may take in memory of its own.
    static size_t bytes_at_most(const SeriesPiece& piece);

    // Null if the series has no value in the block. The block of the piece outlives it; kCorruption
    // names it.
    static Task<Result<std::unique_ptr<PieceColumn>>> load(SegmentFiles& files, SeriesPiece piece,
                                                           ReadCost& cost);

    const BlockKeys& keys() const { return axis_->keys; }

    const SeriesPiece& piece() const { return piece_; }

    // Walks over the points of the piece's range, whose keys are distinct, in ascending order; what
    // was walked over does not come again. Adds those with a key below `end`, or all, to the
    // buckets, as bucket_of() places them; begins at bucket `from` and returns where it ended.
    Result<size_t> add_below(Key end, const BucketRow& buckets, size_t from, ReadCost& cost);
    Result<size_t> add_rest(const BucketRow& buckets, size_t from, ReadCost& cost);

    // Whether the next point, behind all below `key`, is at it.
    Result<bool> is_at(Key key);
    // Of that point.
    Result<uint64_t> next_sequence(ReadCost& cost);
    // Goes over it.
    void skip() { ++next_row_; }

    // All points of the piece's range.
    Result<PieceRows> read_rows(ReadCost& cost);

    // The first and the last key in the piece's range at which there is a point, if there is one.
    Result<std::optional<KeyRange>> key_range();

  private:
    // An axis and a column as they are kept for other readers.
    struct KeptAxis {
        std::vector<std::byte> bytes;  // of a block in a segment
        AxisParts parts;
        BlockKeys keys;

        size_t memory_bytes() const {
            return sizeof(*this) + bytes.capacity() + keys.memory_bytes();
        }
    };
    struct KeptColumn {
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
    Task<Status> read_axis(SegmentFiles& files, ReadCost& cost);
    Status take_axis(std::vector<std::byte> bytes, Bytes section, ReadCost& cost);
    Status read_sequences(uint32_t first, std::span<uint64_t> sequences, ReadCost& cost) const;
    void count_vectors(uint32_t first, size_t rows, ReadCost& cost) const;
    Task<Result<ChunkPlace>> read_place(SegmentFiles& files, ReadCost& cost) const;
    Error in_place(const Error& error) const;
    Result<size_t> add_rows(uint32_t end, const BucketRow& buckets, size_t from, ReadCost& cost);
    uint32_t first_row() const { return keys().lower_bound(piece_.range.first, 0); }
    uint32_t end_row() const;

    SeriesPiece piece_;
    std::shared_ptr<const KeptAxis> axis_;
    std::shared_ptr<const KeptColumn> column_;
    std::optional<ColumnReader> reader_;  // of column_
    uint32_t next_row_ = 0;
    uint32_t end_row_ = 0;
};

}  // namespace stepdb
