// `runs`: a row a run.
#include <algorithm>

#include "engine/model/frame.h"
#include "engine/model/limits.h"
#include "query/answer.h"

namespace stepdb {

namespace {

class RunsAnswer : public Answer {
  public:
    explicit RunsAnswer(ExecutionContext& context) : context_(context) {
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("state", ColumnType::kText);
        columns_.emplace_back("created", ColumnType::kTime);
        columns_.emplace_back("attempts", ColumnType::kUint64);
        columns_.emplace_back("metrics", ColumnType::kUint64);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const auto& runs = context_.bound.runs;
        for (; at_ < runs.size() && block.rows() < kResultBatchRows; ++at_) {
            const Run& run = *runs[at_].run;
            block.column(0).append_text(runs[at_].label);
            block.column(1).append_text(run_state_name(run.state));
            block.column(2).append_time(run.created_us);
            block.column(3).append_uint64(run.attempts.size());
            block.column(4).append_uint64(context_.source.metrics(run, runs[at_].attempt).size());
        }
        co_return block.rows() > 0;
    }

  private:
    ExecutionContext& context_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_runs_answer(ExecutionContext& context) {
    return std::make_unique<RunsAnswer>(context);
}

}  // namespace stepdb
