// The rows frame: many metrics that share one step and one time, row after row.
//
//   offset  size  body
//        0     4  run handle     from open_run, on this connection
//        4     4  attempt
//        8    16  schema         hash
//       24     4  row count      n, at least 1
//       28     1  parts          bit 0 steps, bit 1 times, bit 2 presence; others 0
//       29     1  values         0 float32, 1 float64, 2 mixed
//       30     1  compression    0 none, 1 LZ4
//       31     1  row flags      0, reserved (partial rows)
//       32        if LZ4: u32 raw bytes, u32 zero, then one LZ4 block that unpacks to:
//          8 * n  steps          float64 each, finite, if there
//          8 * n  times          int64 microseconds since the epoch, if there
//     ceil(w/8)  float64 columns only if mixed: bit c set = column c travels as float64; padded
//                                to 8 bytes with zeros
// n * ceil(w/8)  presence        bit c of row r set = the row has column c; padded to 8 bytes
//                 values         row after row: a row is its float32 columns in column order, then
//                                its float64 columns; absent columns take no bytes
//
// A stepped schema needs steps, a timed one needs times and no steps. Rows without times get the
// server's receive time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/frame.h"
#include "engine/model/schema.h"

namespace stepdb {

enum class ValueLayout : uint8_t { kFloat32 = 0, kFloat64 = 1, kMixed = 2 };

// Where in a frame the bad thing is; both unset if it is not in a row.
struct RowPosition {
    std::optional<uint32_t> row;
    std::optional<uint32_t> column;
};

// A checked view of a rows body. Spans point into the frame, or into storage of the view if the
// frame was compressed: the frame must outlive the view.
class RowsView {
  public:
    // What can be read before the schema is known.
    struct Head {
        uint32_t run_handle = 0;
        uint32_t attempt = 0;
        SchemaHash schema;
        uint32_t rows = 0;
    };
    static Result<Head> decode_head(Bytes body);

    // Checks every size and every step against the schema. On error `bad` names the place.
    static Result<RowsView> decode(Bytes body, const Schema& schema, RowPosition& bad);

    const Head& head() const { return head_; }
    uint32_t rows() const { return head_.rows; }
    uint32_t width() const { return width_; }
    // Values that are present.
    uint64_t points() const;
    ValueLayout layout() const { return layout_; }
    bool has_steps() const { return !steps_.empty(); }
    bool has_times() const { return !times_.empty(); }
    bool has_presence() const { return !presence_.empty(); }

    // -0 comes as sent; key_of_step makes it +0.
    double step(uint32_t row) const { return load_le<double>(steps_.data() + size_t{row} * 8); }
    int64_t time(uint32_t row) const { return load_le<int64_t>(times_.data() + size_t{row} * 8); }

    bool is_float64(uint32_t column) const {
        return layout_ == ValueLayout::kFloat64 ||
               (layout_ == ValueLayout::kMixed && test_bit(float64_columns_, column));
    }
    bool is_present(uint32_t row, uint32_t column) const {
        return presence_.empty() || test_bit(presence_row(row), column);
    }

    // ceil(width / 8) bytes, empty unless layout() is mixed.
    Bytes float64_columns() const { return float64_columns_; }
    // ceil(width / 8) bytes of one row, empty if every row is full.
    Bytes presence_row(uint32_t row) const {
        return presence_.empty() ? Bytes()
                                 : presence_.subspan(row * bitmap_bytes(), bitmap_bytes());
    }
    size_t bitmap_bytes() const { return (size_t{width_} + 7) / 8; }

    // All value bytes, row after row. Without presence every row takes full_row_bytes().
    Bytes values() const { return values_; }
    size_t full_row_bytes() const { return full_row_bytes_; }
    // Whether the spans point into the frame.
    bool lies_in_frame() const { return unpacked_ == nullptr; }

    static bool test_bit(Bytes bitmap, uint32_t bit) {
        return (static_cast<unsigned>(bitmap[bit / 8]) >> (bit % 8) & 1U) != 0;
    }

  private:
    RowsView() = default;
    Status read_sections(Bytes sections, uint8_t parts, RowPosition& bad);
    Status check_presence(RowPosition& bad) const;
    size_t row_bytes(uint32_t row) const;

    Head head_;
    uint32_t width_ = 0;
    ValueLayout layout_ = ValueLayout::kFloat32;
    Bytes steps_;
    Bytes times_;
    Bytes float64_columns_;
    Bytes presence_;
    Bytes values_;
    size_t full_row_bytes_ = 0;
    std::shared_ptr<const std::vector<std::byte>> unpacked_;
};

// Builds rows frames from doubles; for clients and tests. Columns all of whose present values are
// float32 travel as float32 (narrowed by bits, so NaN payloads survive).
class RowsBuilder {
  public:
    explicit RowsBuilder(std::shared_ptr<const Schema> schema) : schema_(std::move(schema)) {}

    // `values` has one entry per column; an unset one is absent. A row needs a step if the schema
    // is stepped, and a time if it is timed; all rows of a frame have times or none has.
    void add(std::optional<double> step, std::optional<int64_t> time_us,
             std::span<const std::optional<double>> values);
    // Same for full rows.
    void add(std::optional<double> step, std::optional<int64_t> time_us,
             std::span<const double> values);

    uint32_t rows() const { return rows_; }
    size_t bytes_estimate() const { return values_.size() * 8 + size_t{rows_} * 16; }

    // The frame; the builder is empty afterwards.
    std::vector<std::byte> finish(uint32_t run_handle, uint32_t attempt, uint64_t number,
                                  bool compress = false);

  private:
    // `wide` has one entry per column: 1 = travels as float64.
    void put_sections(ByteWriter& sections, std::span<const uint8_t> wide) const;
    void clear();

    std::shared_ptr<const Schema> schema_;
    uint32_t rows_ = 0;
    std::vector<double> steps_;
    std::vector<int64_t> times_;
    std::vector<double> values_;    // rows x width, absent ones 0
    std::vector<uint8_t> present_;  // rows x width
    bool any_absent_ = false;
};

}  // namespace stepdb
