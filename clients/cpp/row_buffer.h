// Rows of one (run, schema) as they are logged, laid out so that a buffer that fills up is the body
// of a rows frame (engine/model/rows.h) already: what a full row costs is three copies.
//
//   0   header and head of the frame, written by finish()
//   56  steps      capacity x 8, if the schema is stepped
//       times      capacity x 8
//       values     capacity x width x 4 or 8
//
// finish() closes the gaps of a buffer that is not full. Rows with absent values, and doubles that
// narrow to float32, are packed there too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "clients/cpp/values.h"
#include "engine/model/key.h"
#include "engine/model/rows.h"
#include "engine/model/schema.h"

namespace stepdb::client {

// Memory of one buffer. Not initialised.
class Block {
  public:
    Block() = default;
    explicit Block(size_t bytes)
        : memory_(std::make_unique_for_overwrite<std::byte[]>(bytes)), bytes_(bytes) {}

    std::byte* data() { return memory_.get(); }
    size_t size() const { return bytes_; }
    explicit operator bool() const { return bytes_ > 0; }

  private:
    std::unique_ptr<std::byte[]> memory_;
    size_t bytes_ = 0;
};

// What the rows of a buffer have in common.
struct RowFormat {
    RowFormat(const Schema& schema, ValueType its_type)
        : axis(schema.axis()),
          hash(schema.hash()),
          width(schema.width()),
          type(its_type),
          row_bytes((axis == Axis::kStepped ? 16U : 8U) + size_t{width} * value_bytes(type)) {}

    size_t bitmap_bytes() const { return (size_t{width} + 7) / 8; }
    // Of a block for so many rows, whatever is absent in them.
    size_t block_bytes(size_t rows) const {
        return kHeadBytes + round_up(rows * bitmap_bytes(), 8) + rows * row_bytes;
    }
    // Rows that fit into `bytes`; may be 0.
    size_t rows_of(size_t bytes) const;

    static constexpr size_t kHeadBytes = kFrameHeaderBytes + 32;

    Axis axis;
    SchemaHash hash;
    uint32_t width;
    ValueType type;
    size_t row_bytes;
};

// Not thread-safe.
class RowBuffer {
  public:
    RowBuffer() = default;
    // A block of format.block_bytes(1) or more.
    RowBuffer(const RowFormat& format, Block block);

    bool empty() const { return rows_ == 0; }
    uint32_t rows() const { return rows_; }
    bool full() const { return rows_ == capacity_; }
    // Of its block; 0 if there is none.
    size_t bytes() const { return block_.size(); }

    // Not if it is full. `step` is not looked at in a timed schema. `values` has format.width
    // values, of format.type or float32.
    void append(const RowFormat& format, double step, int64_t time_us, const Values& values);

    // Makes the frame, in the block; the buffer takes no more rows. The bytes live as long as the
    // buffer. `scratch` is overwritten.
    Bytes finish(const RowFormat& format, uint32_t run_handle, uint32_t attempt, uint64_t number,
                 std::vector<std::byte>& scratch);
    Block take_block() { return std::move(block_); }

  private:
    struct Columns;

    void append_present(const RowFormat& format, Bytes present);
    // Values moved up to where the frame has them; where they end.
    std::byte* close_gaps(const RowFormat& format, std::byte* to);
    std::byte* pack(const RowFormat& format, const Columns& columns, std::byte* to,
                    std::vector<std::byte>& scratch);
    static std::byte* put_doubles(std::byte* to, const Columns& columns, const std::byte* from,
                                  Bytes present);
    // Of one row; empty if it is full.
    Bytes present_of(const RowFormat& format, uint32_t row) const;

    Block block_;
    uint32_t rows_ = 0;
    uint32_t capacity_ = 0;
    std::byte* steps_ = nullptr;  // into the block
    std::byte* times_ = nullptr;
    std::byte* values_ = nullptr;
    std::vector<std::byte> present_;  // a bitmap a row; empty while every row is full
};

}  // namespace stepdb::client
