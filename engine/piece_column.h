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

    // Null if the series has no value in the block. The block of the piece outlives it, as `files`
    // does; kCorruption names it.
    static Task<Result<std::unique_ptr<PieceColumn>>> load(SegmentFiles& files, SeriesPiece piece,
                                                           ReadCost& cost);
    // The same where nothing has to be waited for, because the block is in memory or all that is
    // wanted of it in the cache; else none, and nothing has happened.
    static std::optional<Result<std::unique_ptr<PieceColumn>>> load_at_once(
        SegmentFiles& files, const SeriesPiece& piece, ReadCost& cost);

    const BlockKeys& keys() const { return axis_->keys; }

    const SeriesPiece& piece() const { return piece_; }

    // Walks over the points of the piece's range, whose keys are distinct, in ascending order; what
    // was walked over does not come again. Adds those with a key below `end`, or all, to the
    // buckets, as bucket_of() places them; begins at bucket `from` and returns where it ended.
    Result<size_t> add_below(Key end, const BucketRow& buckets, size_t from, ReadCost& cost);
    // The files' stretches are those of these buckets.
    Result<size_t> add_rest(const BucketRow& buckets, size_t from, ReadCost& cost);

    // add_rest() may leave the last value of the bucket where it ended as it was: if owes_last(),
    // and nothing was added to the bucket since, pay_last() puts it in.
    bool owes_last() const { return reader_->owes_last(); }
    Status pay_last(Bucket& bucket, ReadCost& cost);

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
    // A column as it is kept for other readers if it is long, and else made for each.
    struct OpenColumn {
        std::shared_ptr<const std::vector<std::byte>> strip;  // of a block in a segment
        Bytes chunk;                                          // empty: no value
        ColumnParts parts;
    };

    PieceColumn(SegmentFiles& files, const SeriesPiece& piece) : files_(files), piece_(piece) {}

    // Of what was found to have values.
    static std::unique_ptr<PieceColumn> begin(std::unique_ptr<PieceColumn> loaded, ReadCost& cost);
    Status open_in_memory(ReadCost& cost);
    Result<bool> find_in_cache();
    Status find_column(const ChunkPlace& place);
    Task<Status> read_column(ReadCost& cost);
    Task<Status> read_axis(ReadCost& cost);
    Task<Result<ChunkPlace>> read_place(ReadCost& cost);
    Status take_column(std::shared_ptr<const std::vector<std::byte>> strip,
                       const ChunkPlace& place);
    void keep(std::shared_ptr<const std::vector<std::byte>> strip, const ChunkPlace& place);
    Result<std::shared_ptr<const OpenAxis>> open_axis(std::vector<std::byte> bytes, Bytes section,
                                                      ReadCost& cost) const;
    BlockCache::Place kept_at(uint32_t part) const;
    Status read_sequences(uint32_t first, std::span<uint64_t> sequences, ReadCost& cost) const;
    void count_vectors(uint32_t first, size_t rows, ReadCost& cost) const;
    Error in_place(const Error& error) const;
    Result<size_t> add_up_to(uint32_t end, const BucketRow& buckets, size_t from, ReadCost& cost);
    uint32_t first_row() const { return keys().lower_bound(piece_.range.first, 0); }
    uint32_t end_row() const;

    SegmentFiles& files_;
    SeriesPiece piece_;
    std::shared_ptr<const OpenAxis> axis_;
    std::shared_ptr<const OpenColumn> column_;
    std::optional<ColumnReader> reader_;  // of column_
    uint32_t first_row_ = 0;
    uint32_t next_row_ = 0;
    uint32_t end_row_ = 0;
};

}  // namespace stepdb
