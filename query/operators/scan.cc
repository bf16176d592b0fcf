#include "query/operators/scan.h"

namespace stepdb {

namespace {

class Scan : public SeriesCursor {
  public:
    Scan(ExecutionContext& context, std::unique_ptr<SeriesCursor> cursor)
        : context_(context), cursor_(std::move(cursor)) {}

    Task<Result<bool>> next(Points& batch) override {
        if (context_.cancelled.load(std::memory_order_relaxed)) {
            co_return Error(ErrorCode::kCancelled, "the query was cancelled");
        }
        co_return co_await cursor_->next(batch);
    }

  private:
    ExecutionContext& context_;
    std::unique_ptr<SeriesCursor> cursor_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_scan(ExecutionContext& context, const Series& series,
                                        KeyRange range) {
    const SelectedRun& selected = context.bound.runs[series.run];
    return std::make_unique<Scan>(
        context, context.source.open_series(*selected.run, selected.attempt, series.metric, range));
}

}  // namespace stepdb
