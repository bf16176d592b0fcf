#include "query/operators/scan.h"

#include "engine/base/text.h"

namespace stepdb {

namespace {

class Scan : public SeriesCursor {
  public:
    Scan(ExecutionContext& context, const Series& series, std::unique_ptr<SeriesCursor> cursor)
        : context_(context), series_(series), cursor_(std::move(cursor)) {}

    Task<Result<bool>> next(Points& batch) override {
        const Status goes_on = context_.check_goes_on();
        if (!goes_on) {
            co_return goes_on.error();
        }
        Result<bool> more = co_await cursor_->next(batch);
        if (!more) {
            co_return name_series(more.error(), context_, series_);
        }
        co_await context_.turns.after(batch.size());
        co_return more;
    }

  private:
    ExecutionContext& context_;
    const Series& series_;
    std::unique_ptr<SeriesCursor> cursor_;
};

}  // namespace

Error name_series(const Error& error, const ExecutionContext& context, const Series& series) {
    if (error.code() != ErrorCode::kCorruption) {
        return error;
    }
    return make_error(
        error.code(),
        "{} of run {} cannot be read here: {}; restore the file from a backup, or ask "
        "for what is not in it",
        printable(series.metric), context.bound.runs[series.run]->label, error.message());
}

std::unique_ptr<SeriesCursor> make_scan(ExecutionContext& context, const Series& series,
                                        KeyRange range) {
    const SelectedRun& selected = *context.bound.runs[series.run];
    return std::make_unique<Scan>(
        context, series, context.source.open_series(selected.view(), series.metric, range));
}

}  // namespace stepdb
