// The rows of an answer, all of them, for what has to see them before it can give the first.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

class CollectedRows {
  public:
    // `memory` may be null.
    CollectedRows(std::span<const ResultColumn> columns, std::shared_ptr<MemoryBudget> memory);

    // kResourceExhausted if they take more than is left.
    Status add(const ResultBlock& block);
    // Leaves these rows, in this order.
    void keep(std::span<const uint32_t> rows);

    uint32_t rows() const { return rows_; }
    bool is_null(size_t column, uint32_t row) const { return cells_[column].nulls[row]; }
    // As results have it: texts as views, which the next add() ends.
    std::string_view text(size_t column, uint32_t row) const;
    // The same number for the same text of a column.
    uint64_t text_number(size_t column, uint32_t row) const { return cells_[column].bits[row]; }
    double number(size_t column, uint32_t row) const;
    int64_t time(size_t column, uint32_t row) const;
    uint64_t count(size_t column, uint32_t row) const { return cells_[column].bits[row]; }
    ColumnType type(size_t column) const { return cells_[column].type; }
    // For the name of a column; empty if there is nothing.
    std::string shown(size_t column, uint32_t row) const;

    void append_cell(ColumnCells& cells, size_t column, uint32_t row) const;
    // Whether row `a` stands before row `b` by that column: texts in natural order, NaN last and
    // behind it what is not there, whichever way the others are ordered.
    std::weak_ordering order(size_t column, uint32_t a, uint32_t b, bool descending) const;

  private:
    struct Cells {
        ColumnType type = ColumnType::kText;
        std::vector<uint64_t> bits;  // of a text its number
        std::vector<bool> nulls;
        std::vector<std::string> texts;
        std::unordered_map<std::string, uint64_t> text_numbers;
    };

    void add(Cells& cells, const ColumnCells& from);

    std::vector<Cells> cells_;
    uint32_t rows_ = 0;
    size_t text_bytes_ = 0;
    MemoryCharge charge_;
};

}  // namespace stepdb
