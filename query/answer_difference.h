// What makes one answer of a watched query of the one before: rows that are gone, new or changed,
// each with its place, so that who has the one can make the other of it, to the last bit and in its
// order (query/watched_rows.h does).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

class CollectedRows;

// Cells (rows x columns) of an answer that can be watched. It is kept between updates, at about 18
// bytes a cell.
inline constexpr uint64_t kWatchedCellsMax = 2U << 20U;

// An answer, kept whole. Filled by one thread, then shared and not changed any more.
class WholeAnswer {
  public:
    // `memory` may be null.
    WholeAnswer(std::vector<ResultColumn> columns, size_t key_columns,
                std::shared_ptr<MemoryBudget> memory);
    ~WholeAnswer();
    WholeAnswer(const WholeAnswer&) = delete;
    WholeAnswer& operator=(const WholeAnswer&) = delete;

    // kResourceExhausted if it is too large to be kept, or for what memory is left.
    Status add(const ResultBlock& block);

    const std::vector<ResultColumn>& columns() const { return columns_; }
    size_t key_columns() const { return key_columns_; }  // Answer::key_columns()
    uint32_t row_count() const;
    const CollectedRows& rows() const { return *rows_; }

    double grid_width = 0;  // QueryExecution::watched_width()
    uint64_t sequence = 0;  // everything published up to it is in the answer
    std::vector<std::string> notes;

  private:
    std::vector<ResultColumn> columns_;
    size_t key_columns_;
    std::unique_ptr<CollectedRows> rows_;
};

// The numbers of rows of either answer, as the kind says.
enum class RowChange : uint8_t {
    kGone,     // is taken out; its place is that in the answer before
    kNew,      // is put in; its place is that in the answer after, as is
    kChanged,  // that of the row that takes the place of one with the same key
};

// What an update's columns are: `change` (a word), `place`, and those of the answer.
std::vector<ResultColumn> update_columns(std::span<const ResultColumn> columns);

class AnswerDifference {
  public:
    // All of `to` is new, and what there was is void (a reset), if `from` is null or has another
    // grid or other columns.
    AnswerDifference(const WholeAnswer* from, const WholeAnswer& to);

    bool is_reset() const { return is_reset_; }
    // The rows that are gone in order of their places, then the others in order of theirs.
    uint32_t row_count() const { return static_cast<uint32_t>(rows_.size()); }
    // Whether there is anything to tell: rows, a reset, other notes.
    bool empty() const { return rows_.empty() && !is_reset_ && !has_other_notes_; }

    // At most `count` of these rows from `first` on. The answers are those of the constructor.
    ResultBlock block(const WholeAnswer* from, const WholeAnswer& to, uint32_t first,
                      uint32_t count) const;

  private:
    struct Row {
        RowChange change = RowChange::kNew;
        uint32_t place = 0;
    };

    void compare(const WholeAnswer& from, const WholeAnswer& to);

    bool is_reset_ = false;
    bool has_other_notes_ = false;
    std::vector<Row> rows_;
};

}  // namespace stepdb
