// Tails: the newest rows of one (run, attempt, schema), row-major as they came, until they are
// sealed into a block. Only durable rows get here.
//
// A tail is a list of chunks. A chunk never moves and never grows: the engine writes rows beyond
// the published count, readers hold the chunk and the count they saw, so neither waits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/large_buffer.h"
#include "engine/base/memory_budget.h"
#include "engine/base/shared_buffer.h"
#include "engine/model/key.h"
#include "engine/model/rows.h"
#include "engine/segment/block.h"

namespace stepdb {

// Rows of one value layout. Dense rows lie at a fixed distance; sparse ones (with presence) behind
// an offset each.
class TailChunk {
  public:
    // Its memory is charged to `budget`, if there is one, for as long as anybody holds the chunk.
    TailChunk(const RowsView& like, uint32_t rows_max, size_t value_bytes_max,
              std::shared_ptr<MemoryBudget> budget = nullptr);

    // Dense rows that stay where they are, `count` of them from `first` on: the chunk is full and
    // holds `memory`, which is charged by itself.
    TailChunk(const RowsView& rows, uint32_t first, uint32_t count,
              std::shared_ptr<const SharedBuffer> memory, std::shared_ptr<MemoryBudget> budget);

    // Whether row `row` of this frame can be appended: same layout, and room for it.
    bool accepts(const RowsView& rows, uint32_t row) const;

    // Appends as many rows of the frame from `first` on as there is room for; returns how many.
    uint32_t append(const RowsView& rows, uint32_t first, uint32_t count, uint64_t sequence,
                    int64_t receive_time_us, Axis axis);

    uint32_t rows() const { return rows_; }
    size_t value_bytes() const { return sparse_ ? offsets_[rows_] : rows_ * row_bytes_; }
    size_t memory_bytes() const;

    std::span<const Key> keys() const { return {keys_, rows_max_}; }
    std::span<const int64_t> times() const { return {times_, rows_max_}; }
    std::span<const uint64_t> sequences() const { return {sequences_, rows_max_}; }
    bool sparse() const { return sparse_; }
    // Whether rows of both hold the same columns at the same places.
    bool same_layout(const TailChunk& other) const {
        return layout_ == other.layout_ && sparse_ == other.sparse_ &&
               float64_columns_ == other.float64_columns_;
    }
    bool is_float64(uint32_t column) const {
        return layout_ == ValueLayout::kFloat64 ||
               (layout_ == ValueLayout::kMixed && RowsView::test_bit(float64_columns_, column));
    }

    bool may_hold_float64() const { return layout_ != ValueLayout::kFloat32; }

    // Columns [first, end) of all rows of a dense chunk, turned into columns: those of float32
    // after another in `narrow` (as bits), those of float64 in `wide`, `stride` values apart.
    void transpose(uint32_t first, uint32_t end, uint32_t* narrow, double* wide,
                   size_t stride) const;

    // Column `column` of rows [0, count): values[i] and, if sparse, present[i]; values of absent
    // rows are 0. `present` is left alone if dense.
    void read_column(uint32_t column, uint32_t count, double* values, uint8_t* present) const;

    // Where the next value of each section of a sparse row lies.
    struct SparsePosition {
        size_t narrow = 0;
        size_t wide = 0;
    };
    // For reading all columns in ascending order at the cost of one: start positions, one per row,
    // and read_next_column, which must see every column from 0 on.
    std::vector<SparsePosition> start_positions() const;
    void read_next_column(uint32_t column, std::vector<SparsePosition>& positions, double* values,
                          uint8_t* present) const;

  private:
    void append_axis(const RowsView& rows, uint32_t first, uint32_t count, int64_t receive_time_us,
                     Axis axis);
    size_t column_offset(uint32_t column) const;
    size_t present_bytes(uint32_t row, uint32_t columns, bool narrow, bool wide) const;
    Bytes presence_row(uint32_t row) const {
        return {presence_.get() + row * bitmap_bytes_, bitmap_bytes_};
    }
    double value_at(size_t offset, bool wide) const;
    // float32 columns below `column`.
    uint32_t narrow_columns(uint32_t column) const;

    uint32_t width_;
    ValueLayout layout_;
    bool sparse_;
    uint32_t rows_max_;
    uint32_t rows_ = 0;
    size_t row_bytes_;  // of a dense row
    size_t bitmap_bytes_;
    size_t value_bytes_max_;
    std::vector<std::byte> float64_columns_;
    std::vector<uint32_t> narrow_before_;  // mixed: float32 columns before each 64th column
    LargeBuffer axis_;                     // keys, times and sequences, rows_max_ of each
    Key* keys_;
    int64_t* times_;
    uint64_t* sequences_;
    std::unique_ptr<size_t[]> offsets_;      // sparse: rows_max_ + 1
    std::unique_ptr<std::byte[]> presence_;  // sparse: rows_max_ x bitmap_bytes_
    LargeBuffer own_values_;
    std::shared_ptr<const SharedBuffer> memory_;  // where the values are that are not own
    const std::byte* values_ = nullptr;
    MemoryCharge charge_;
};

// Rows of one chunk that a reader may see.
struct TailPiece {
    std::shared_ptr<const TailChunk> chunk;
    uint32_t rows = 0;
    Key key_min = kKeyMax;
    Key key_max = kKeyMin;
};

class Tail {
  public:
    // Chunks and sealed blocks are charged to `budget`, if there is one.
    explicit Tail(std::shared_ptr<MemoryBudget> budget = nullptr) : budget_(std::move(budget)) {}

    // Appends rows of a frame from `first` on until the tail should be sealed (`rows_max` rows or
    // `bytes_max` value bytes, or twice that in memory where rows of several layouts leave chunks
    // with few rows); returns how many it took, at least 1 if the tail is empty.
    // The rows, which are dense, lie in `stays` if that is there, and stay where they are.
    uint32_t append(const RowsView& rows, uint32_t first, uint64_t sequence,
                    int64_t receive_time_us, Axis axis, uint32_t rows_max, size_t bytes_max,
                    const std::shared_ptr<const SharedBuffer>& stays = nullptr);

    bool full(uint32_t rows_max, size_t bytes_max) const {
        return rows_ >= rows_max || value_bytes_ >= bytes_max || memory_bytes_ / 2 >= bytes_max;
    }
    uint32_t rows() const { return rows_; }
    size_t memory_bytes() const { return memory_bytes_; }
    const std::vector<TailPiece>& pieces() const { return pieces_; }

    // The rows, and the tail empty again. Nothing is written to their chunks any more.
    std::vector<TailPiece> take();

  private:
    TailPiece& piece_for(const RowsView& rows, uint32_t row, uint32_t rows_left, size_t bytes_max);
    TailPiece& add(std::shared_ptr<TailChunk> chunk);
    uint32_t rows_of_bytes(const RowsView& rows, size_t bytes_max) const;

    std::shared_ptr<MemoryBudget> budget_;
    std::vector<TailPiece> pieces_;
    std::vector<std::shared_ptr<TailChunk>> chunks_;  // the same, writable
    uint32_t rows_ = 0;
    size_t value_bytes_ = 0;
    size_t memory_bytes_ = 0;
};

}  // namespace stepdb
