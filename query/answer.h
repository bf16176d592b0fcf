// What an execution yields: columns, known at once, and blocks of rows, made as they are asked for.
// Every kind of query has one (operators/*_answer).
#pragma once

#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/model/result_columns.h"
#include "query/execution_context.h"

namespace stepdb {

class Answer {
  public:
    virtual ~Answer() = default;

    virtual const std::vector<ResultColumn>& columns() const = 0;

    // Replaces `block` by the next rows, at most about kResultBatchRows; false at the end. A block
    // has at least one row.
    virtual Task<Result<bool>> next(ResultBlock& block) = 0;

    // How many columns, the first ones, say what a row is about: it is the same row as one of
    // another answer to the same query that has these cells. Several rows may have them.
    virtual size_t key_columns() const = 0;
};

// The context outlives the answer.
// Of the selected series. `stages`, and the shapes in it, outlive the answer.
Task<Result<std::unique_ptr<Answer>>> make_series_answer(ExecutionContext& context,
                                                         const SeriesStages& stages);
std::unique_ptr<Answer> make_points_answer(ExecutionContext& context, const PointsShape& shape);
Result<std::unique_ptr<Answer>> make_buckets_answer(ExecutionContext& context,
                                                    const BucketsShape& shape);
std::unique_ptr<Answer> make_summary_answer(ExecutionContext& context, const SummaryShape& shape);
Task<Result<std::unique_ptr<Answer>>> make_combined_answer(ExecutionContext& context,
                                                           const SeriesStages& stages);
std::unique_ptr<Answer> make_attributes_answer(ExecutionContext& context);
std::unique_ptr<Answer> make_notes_answer(ExecutionContext& context);
std::unique_ptr<Answer> make_stats_answer(ExecutionContext& context);
std::unique_ptr<Answer> make_projects_answer(ExecutionContext& context);
// Tables of the bound runs and of the selected series. Their columns are known once the task has
// ended; `stages` outlive the answer.
Task<Result<std::unique_ptr<Answer>>> make_runs_answer(ExecutionContext& context,
                                                       const TableStages& stages);
Task<Result<std::unique_ptr<Answer>>> make_metrics_answer(ExecutionContext& context,
                                                          const TableStages& stages);
// Executes `answered` and tells what it took.
std::unique_ptr<Answer> make_explain_answer(ExecutionContext& context,
                                            std::unique_ptr<Answer> answered);

}  // namespace stepdb
