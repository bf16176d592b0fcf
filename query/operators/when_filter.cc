#include "query/operators/when_filter.h"

#include "query/operators/evaluator.h"

namespace stepdb {

namespace {

class WhenFilter : public SeriesCursor {
  public:
    WhenFilter(std::unique_ptr<SeriesCursor> input, ExecutionContext& context, const Series& series,
               const WhenStep& step, const PointExpression& condition)
        : input_(std::move(input)),
          evaluator_(context, condition.plan),
          joined_(context, condition.plan, series),
          root_(condition.root),
          row_(series.run) {
        row_.axis = series.axis;
        row_.start_us = find_run_start(step.run_starts, series.run);
    }

    Task<Result<bool>> next(Points& batch) override {
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more || !*more) {
                co_return more;
            }
            const Status aligned = co_await joined_.align(batch.keys);
            if (!aligned) {
                co_return aligned.error();
            }
            evaluator_.keep_points(root_, row_, batch, &joined_);
            if (batch.size() > 0) {
                co_return true;
            }
        }
    }

  private:
    std::unique_ptr<SeriesCursor> input_;
    ExpressionEvaluator evaluator_;
    JoinedMetrics joined_;
    uint32_t root_;
    ExpressionRow row_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_when_filter(std::unique_ptr<SeriesCursor> input,
                                               ExecutionContext& context, const Series& series,
                                               const WhenStep& step) {
    return std::make_unique<WhenFilter>(std::move(input), context, series, step,
                                        *context.expressions[step.number]);
}

}  // namespace stepdb
