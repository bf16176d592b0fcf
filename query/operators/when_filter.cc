#include "query/operators/when_filter.h"

#include "query/operators/evaluator.h"

namespace stepdb {

namespace {

class WhenFilter : public SeriesCursor {
  public:
    WhenFilter(std::unique_ptr<SeriesCursor> input, ExecutionContext& context, const Series& series,
               const PointCondition& condition)
        : input_(std::move(input)),
          evaluator_(context, condition.plan),
          root_(condition.root),
          row_(series.run) {
        row_.axis = series.axis;
    }

    Task<Result<bool>> next(Points& batch) override {
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more || !*more) {
                co_return more;
            }
            evaluator_.keep_points(root_, row_, batch);
            if (batch.size() > 0) {
                co_return true;
            }
        }
    }

  private:
    std::unique_ptr<SeriesCursor> input_;
    ExpressionEvaluator evaluator_;
    uint32_t root_;
    ExpressionRow row_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_when_filter(std::unique_ptr<SeriesCursor> input,
                                               ExecutionContext& context, const Series& series,
                                               const PointCondition& condition) {
    return std::make_unique<WhenFilter>(std::move(input), context, series, condition);
}

}  // namespace stepdb
