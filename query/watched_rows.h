// The answer of a watched query, kept up to date by its updates: the other end of
// query/answer_difference.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

class WatchedRows {
  public:
    WatchedRows() = default;

    // From here on the answer has these columns, and no rows until the next update.
    void set_columns(std::vector<ResultColumn> columns);
    const std::vector<ResultColumn>& columns() const { return columns_; }

    // An update whole, as blocks of update_columns(); afterwards there are `rows`. Without effect
    // kInvalidArgument if that cannot be.
    Status apply(std::span<const ResultBlock> update, bool is_reset, uint64_t rows);

    // All rows, in their order.
    const ResultBlock& rows() const { return rows_; }

  private:
    std::vector<ResultColumn> columns_;
    ResultBlock rows_;
};

}  // namespace stepdb
