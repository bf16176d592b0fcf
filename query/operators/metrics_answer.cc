// `metrics`: a row a series.
#include "engine/model/limits.h"
#include "query/answer.h"

namespace stepdb {

namespace {

class MetricsAnswer : public Answer {
  public:
    explicit MetricsAnswer(ExecutionContext& context) : context_(context) {
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("metric", ColumnType::kText);
        columns_.emplace_back("axis", ColumnType::kText);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const std::vector<Series>& all = context_.selection.series;
        for (; at_ < all.size() && block.rows() < kResultBatchRows; ++at_) {
            block.column(0).append_text(context_.bound.runs[all[at_].run].label);
            block.column(1).append_text(all[at_].metric);
            block.column(2).append_text(all[at_].axis == Axis::kStepped ? "stepped" : "timed");
        }
        co_return block.rows() > 0;
    }

  private:
    ExecutionContext& context_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Answer> make_metrics_answer(ExecutionContext& context) {
    return std::make_unique<MetricsAnswer>(context);
}

}  // namespace stepdb
