// Blocks: sealed rows of one (run, attempt, schema), turned into columns and encoded. Sections are
// the same bytes in memory and in a segment file, but for summaries that a file leaves out
// (kSealedSummaryValuesMin). docs/format.md, "Block".
//
//   axis section        keys, times and sequences, once for all metrics, rows sorted by
//                       (key, sequence); equal keys may repeat, the highest sequence is the truth
//   directory section   where each column's chunk lies; strips and their checksums
//   strips              chunks of the columns in column order; chunks share a checksum up to
//                       kStripBytes (a longer chunk is a strip of its own)
//   summaries section   what is known of long columns without their values; often empty
//
// All four are read and verified apart, so that one series of a wide block costs its own strip.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/large_buffer.h"
#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/model/key.h"
#include "engine/model/summary.h"

namespace stepdb {

// Columns with fewer values have no summary in a file: decoding them takes no longer than reading
// one, and a summary of some 40 bytes would show in their size.
inline constexpr size_t kSummaryValuesMin = 1024;

// In memory a tail's columns have one from this many values on: it costs little while the values
// are in the cache, and blocks joined to longer ones then need not look at them again. A file
// leaves out the summaries of blocks with fewer rows than kSummaryValuesMin.
inline constexpr size_t kSealedSummaryValuesMin = 256;

// What is known of a block without reading it.
struct BlockInfo {
    uint64_t run = 0;  // store-wide ids, never reused
    uint64_t schema = 0;
    uint32_t attempt = 0;
    Axis axis = Axis::kStepped;
    uint32_t rows = 0;     // at least 1
    uint32_t columns = 0;  // width of the schema
    // Columns outside [first_column, end_column) have no value in the block; both are 0 if none
    // has. Blocks of a wide run hold a part of its columns each.
    uint32_t first_column = 0;
    uint32_t end_column = 0;
    Key key_min = 0;
    Key key_max = 0;
    int64_t time_min = 0;
    int64_t time_max = 0;
    uint64_t sequence_min = 0;
    uint64_t sequence_max = 0;
    uint32_t axis_bytes = 0;  // section lengths
    uint32_t directory_bytes = 0;
    uint32_t summaries_bytes = 0;  // 0: no column has one
    uint64_t strips_bytes = 0;

    bool may_hold(uint32_t column) const { return first_column <= column && column < end_column; }
    uint64_t total_bytes() const {
        return uint64_t{axis_bytes} + directory_bytes + strips_bytes + summaries_bytes;
    }
};

// Immutable once built; shared between the engine and snapshots.
struct EncodedBlock {
    BlockInfo info;
    LargeBuffer bytes;    // info.total_bytes(): strips, axis, directory, summaries
    MemoryCharge charge;  // memory_bytes(), for as long as anybody holds the block

    size_t memory_bytes() const { return sizeof(*this) + bytes.capacity(); }
};

// The axis of a block, decoded. times equals keys for timed blocks.
struct AxisColumns {
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
};

// One column, decoded: the present values in row order and which rows have one.
struct ColumnValues {
    std::vector<double> values;      // one per present row
    std::vector<uint64_t> presence;  // bit r of word r/64; empty if every row is present
};

// Of one column: of the points that count in the block, the last of each key.
struct ColumnSummary {
    uint32_t column = 0;
    Summary summary;
};

// Where a chunk lies, relative to the start of the strips section.
struct ChunkPlace {
    uint64_t offset = 0;
    uint32_t bytes = 0;  // 0: the column has no value in this block
    uint64_t strip_offset = 0;
    uint32_t strip_bytes = 0;
    uint64_t strip_checksum = 0;  // XXH3-64 of the strip, seeded with the block's content seed
    uint32_t strip = 0;           // which of the block's it is
};

// As it will stand in the directory.
struct Strip {
    uint32_t first_column = 0;
    uint64_t offset = 0;  // from the start of the strips section
    uint32_t bytes = 0;
    uint64_t checksum = 0;
};

// Builds one block. Rows may come in any order; the builder sorts them by (key, sequence).
class BlockBuilder {
  public:
    // `info` carries run, schema, attempt, axis and columns; the rest is filled in. Arrays have one
    // entry per row.
    // Columns with at least `summary_values_min` values get a summary.
    BlockBuilder(const BlockInfo& info, std::span<const Key> keys, std::span<const int64_t> times,
                 std::span<const uint64_t> sequences,
                 size_t summary_values_min = kSummaryValuesMin);

    // Columns in ascending order, each at most once; skipped ones are absent throughout. `values`
    // has one entry per row in the order given to the constructor; entries of absent rows are
    // ignored. `present` has one byte per row, or is empty if every row has a value.
    void add_column(uint32_t column, std::span<const double> values,
                    std::span<const uint8_t> present);

    // The same of a column of float32, as bits, in which every row has a value.
    void add_words(uint32_t column, std::span<const uint32_t> words);

    // The same of rows that came sorted: `rows` lists those with a value, ascending, at least one;
    // `values` are theirs.
    void add_present(uint32_t column, std::span<const int64_t> rows,
                     std::span<const double> values);

    uint32_t columns() const { return info_.columns; }

    // Memory to begin in, which who builds many blocks hands from one to the next: before the first
    // column, and after finish(), when it may be gone.
    void use_buffer(LargeBuffer buffer);
    LargeBuffer take_buffer() { return std::move(bytes_); }

    // The block's memory is charged to `budget`, if there is one.
    std::shared_ptr<const EncodedBlock> finish(std::shared_ptr<MemoryBudget> budget = nullptr);

  private:
    void begin_column(uint32_t column);
    void end_chunk(size_t bytes);
    void close_strip();
    std::byte* room(size_t bytes);
    void append(Bytes section);
    LargeBuffer take_bytes();
    void add_sorted(std::span<const int64_t> rows, std::span<const double> values);
    void add_summary(const Summary& summary);
    Summary summarize_present(std::span<const int64_t> rows, std::span<const double> values) const;
    std::span<const int64_t> all_rows();
    void add_full(std::span<const double> values);
    void add_sparse(std::span<const double> values, std::span<const uint8_t> present);

    BlockInfo info_;
    size_t summary_values_min_;
    std::vector<uint32_t> order_;  // rows as given, in sorted order; empty if they came sorted
    AxisColumns axis_;
    bool has_equal_keys_ = false;
    std::vector<uint32_t> chunk_bytes_;
    uint64_t content_seed_ = 0;
    std::vector<Strip> strips_;
    LargeBuffer bytes_;  // used_ of them: chunks, in the end the other sections
    size_t used_ = 0;
    std::vector<std::byte> sparse_chunk_;
    std::vector<ColumnSummary> summaries_;
    std::vector<double> values_;     // scratch of add_column, reused
    std::vector<uint32_t> words_;    // likewise of add_words
    std::vector<int64_t> all_rows_;  // 0, 1, ...: once for all columns that are full
    std::vector<int64_t> rows_;      // likewise: rows present
};

// Of the points that count among these: `rows` of a block, ascending, have `values`, and of equal
// keys the last one counts.
Summary summarize_rows(const AxisColumns& axis, std::span<const int64_t> rows,
                       std::span<const double> values);
Summary summarize_column(const AxisColumns& axis, const ColumnValues& column);

// The axis section over these rows, sorted.
std::vector<std::byte> encode_axis_section(const AxisColumns& axis, Axis kind);

// The columns of an axis section, encoded. times is empty for timed blocks.
struct AxisParts {
    Bytes keys;
    Bytes times;
    Bytes sequences;
};

// Decoders of untrusted sections; kCorruption saying what is wrong (the caller adds the place).
Result<AxisColumns> decode_axis(Bytes section, const BlockInfo& info);
Result<AxisParts> read_axis_parts(Bytes section, const BlockInfo& info);
Result<ChunkPlace> find_chunk(Bytes directory, const BlockInfo& info, uint32_t column);
Result<ColumnValues> decode_chunk(Bytes chunk, const BlockInfo& info);

// Sections of a block in memory.
Bytes axis_section(const EncodedBlock& block);
Bytes directory_section(const EncodedBlock& block);
Bytes strips_section(const EncodedBlock& block);
Bytes summaries_section(const EncodedBlock& block);

}  // namespace stepdb
