// What is done with the rows of an answer: `pivot`, `sort` and `limit`.
#pragma once

#include <memory>

#include "query/answer.h"

namespace stepdb {

inline constexpr size_t kPivotColumnsMax = 1000;

// How a long answer is laid out: columns that say of which series a row is, then x (one column, or
// lo and hi), then values.
struct LongForm {
    size_t labels = 0;
    size_t xs = 1;
    bool is_of_series = false;  // the labels are run and metric, else keys of groups
};

// Answers a row for each x, with a column for each series times each value. Reads all of `inner`.
Task<Result<std::unique_ptr<Answer>>> make_pivot_answer(ExecutionContext& context,
                                                        std::unique_ptr<Answer> inner,
                                                        LongForm form, SourceSpan span);

// Answers a row for each series, with a column for each x. Reads all of `inner`, whose rows of a
// series follow each other.
Task<Result<std::unique_ptr<Answer>>> make_pivot_x_answer(ExecutionContext& context,
                                                          std::unique_ptr<Answer> inner,
                                                          LongForm form, SourceSpan span);

// The rows in the order of columns, and no more of them than the limit. kInvalidArgument at the
// place of a column that is not there.
Result<std::unique_ptr<Answer>> make_sorted_answer(ExecutionContext& context,
                                                   std::unique_ptr<Answer> inner,
                                                   const RowStages& stages);

// The first rows.
std::unique_ptr<Answer> make_limited_answer(std::unique_ptr<Answer> inner, uint64_t rows);

}  // namespace stepdb
