// Executes a bound query. The whole way, from text to rows:
//
//   parse_query(text)  ->  bind_query(query, catalog.runs())  ->  engine.snapshot(bound.run_ids())
//   ->  SnapshotReader, SnapshotSource  ->  QueryExecution::create  ->  prepare, next, next, ...
//
// EngineQuery (engine_query.h) does these steps on an engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/model/result_columns.h"
#include "query/answer.h"
#include "query/bind.h"
#include "query/series_source.h"

namespace stepdb {

// One execution, pulled by its caller: nothing is read ahead, and memory does not grow with the
// answer. Used on one executor; cancel() may come from any thread.
class QueryExecution {
  public:
    // `source` outlives the execution; `now_us` is what `now` stands for. What it computes with is
    // charged to `memory`, if there is one. Long steps let what else is posted to `executor`, if
    // there is one, have its turn; the execution is not destroyed before a task that has begun
    // ends.
    static std::unique_ptr<QueryExecution> create(BoundQuery bound, SeriesSource& source,
                                                  int64_t now_us,
                                                  std::shared_ptr<MemoryBudget> memory = nullptr,
                                                  Executor* executor = nullptr);

    // Before prepare(); without, there are none.
    void set_limits(const ExecutionLimits& limits) { context_.limits = limits; }

    // Decides which runs and series the answer is about and what its columns are; once, before
    // columns() and next(). Reads points only where `where`, `sort` or `show` ask for them. Errors
    // as in bind_query() and select_series(), and those of reading.
    Task<Status> prepare();

    // To be called before prepare() if this is one of many executions of a query that is watched:
    // the grid of an open range then has this width or twice, four times, ... it (0: any), as
    // BucketGrid::create_watched() says. watched_width() is what it has become, once next() has
    // been called. kInvalidArgument if it is not a query to be watched.
    Status watch(double width);
    double watched_width() const { return context_.watched_width.value_or(0); }

    const std::vector<ResultColumn>& columns() const { return answer_->columns(); }

    // As Answer::key_columns().
    size_t key_columns() const { return answer_->key_columns(); }

    // Replaces `block` by the next rows; false at the end. After an error nothing more comes. One
    // call at a time.
    Task<Result<bool>> next(ResultBlock& block);

    // Makes the running or next call of prepare() or next() return kCancelled at the next batch it
    // reads.
    void cancel() { context_.cancelled.store(true, std::memory_order_relaxed); }

    // What reading has taken so far.
    ReadCost cost() const { return context_.source.cost(); }

    // What the user should know beside the rows, such as patterns that matched nothing. Complete
    // once next() has returned false.
    const std::vector<std::string>& notes() const { return context_.notes; }

  private:
    QueryExecution(BoundQuery bound, SeriesSource& source, int64_t now_us,
                   std::shared_ptr<MemoryBudget> memory, Executor* executor)
        : context_(std::move(bound), source, now_us, std::move(memory), executor) {}

    Task<Result<std::unique_ptr<Answer>>> make_answer();
    Task<Status> choose_runs();
    Task<Status> choose_series();
    void append_left_out();

    ExecutionContext context_;
    std::unique_ptr<Answer> answer_;
};

}  // namespace stepdb
