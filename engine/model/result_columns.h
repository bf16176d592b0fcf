// Answers as typed columns: what query/ produces, net/ carries and the tools print. A block holds
// up to kResultBatchRows rows of all columns; an answer is any number of blocks with the same
// columns.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace stepdb {

// The numbers are part of the protocol.
enum class ColumnType : uint8_t {
    kText = 0,
    kFloat64 = 1,  // any double, NaN payloads included
    kStep = 2,     // a double that is a step: printed as one
    kTime = 3,     // int64 microseconds since the epoch, UTC
    kUint64 = 4,   // counts
};

// "text", "float64", "step", "time", "uint64".
std::string_view column_type_name(ColumnType type);

struct ResultColumn {
    ResultColumn() = default;
    ResultColumn(std::string its_name, ColumnType its_type)
        : name(std::move(its_name)), type(its_type) {}
    bool operator==(const ResultColumn&) const = default;

    std::string name;
    ColumnType type = ColumnType::kText;
};

// The cells of one column in one block. Only the append functions of its type and append_null may
// be used. Texts are kept as runs (how often, text), so a run or metric name that repeats over the
// block costs nothing.
class ColumnCells {
  public:
    using TextRun = std::pair<uint32_t, std::string>;

    explicit ColumnCells(ColumnType type) : type_(type) {}

    ColumnType type() const { return type_; }
    uint32_t rows() const { return rows_; }

    // Makes room for so many rows, of numbers; else storage grows as they come.
    void reserve(uint32_t rows);

    void append_text(std::string_view text, uint32_t count = 1);
    // kFloat64 and kStep.
    void append_double(double value);
    void append_doubles(std::span<const double> values);
    // kTime.
    void append_time(int64_t time_us);
    void append_times(std::span<const int64_t> times_us);
    // kUint64.
    void append_uint64(uint64_t value);
    void append_uint64s(std::span<const uint64_t> values);
    // Numbers of the column's type as they lie in memory and on the wire: 8 bytes each,
    // little-endian.
    void append_numbers(Bytes numbers);
    // Nothing there, such as the min of an empty bucket. The cell of the type's own storage holds
    // zero or an empty text.
    void append_null(uint32_t count = 1);

    bool has_nulls() const { return !valid_.empty(); }
    bool is_null(uint32_t row) const { return !valid_.empty() && valid_[row] == 0; }

    // Storage of the type, one entry a row.
    std::span<const double> doubles() const { return doubles_; }
    std::span<const int64_t> times() const { return times_; }
    std::span<const uint64_t> uint64s() const { return uint64s_; }
    // Counts sum to rows().
    std::span<const TextRun> text_runs() const { return text_runs_; }
    // One per row; they view into this object.
    std::vector<std::string_view> texts() const;

    // What the cells take, for budgets.
    size_t memory_bytes() const;

  private:
    void note_valid(uint32_t count);

    ColumnType type_;
    uint32_t rows_ = 0;
    std::vector<TextRun> text_runs_;
    std::vector<double> doubles_;
    std::vector<int64_t> times_;
    std::vector<uint64_t> uint64s_;
    std::vector<uint8_t> valid_;  // 1 = there; empty while nothing is null
};

// Fill every column with the same number of rows, then hand it on.
class ResultBlock {
  public:
    ResultBlock() = default;
    // With room for `rows` rows.
    explicit ResultBlock(std::span<const ResultColumn> columns, uint32_t rows = 0);

    uint32_t rows() const { return columns_.empty() ? 0 : columns_.front().rows(); }
    size_t width() const { return columns_.size(); }
    ColumnCells& column(size_t index) { return columns_[index]; }
    const ColumnCells& column(size_t index) const { return columns_[index]; }

    // All columns have rows() rows.
    bool is_complete() const;
    size_t memory_bytes() const;

  private:
    std::vector<ColumnCells> columns_;
};

}  // namespace stepdb
