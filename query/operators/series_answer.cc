// The answer of a series query: its shape, and what is done with the rows.
#include "query/answer.h"
#include "query/operators/row_answers.h"
#include "query/operators/x_column.h"

namespace stepdb {

namespace {

Task<Result<std::unique_ptr<Answer>>> make_shape(ExecutionContext& context,
                                                 const SeriesStages& stages) {
    if (stages.combine) {
        co_return co_await make_combined_answer(context, stages);
    }
    if (const auto* buckets = std::get_if<BucketsShape>(&stages.shape)) {
        co_return make_buckets_answer(context, *buckets);
    }
    if (const auto* summary = std::get_if<SummaryShape>(&stages.shape)) {
        co_return make_summary_answer(context, *summary);
    }
    co_return make_points_answer(context, std::get<PointsShape>(stages.shape));
}

LongForm form_of(const SeriesStages& stages, const Answer& answer) {
    LongForm form;
    form.is_of_series = !stages.combine;
    form.xs = std::holds_alternative<BucketsShape>(stages.shape) ? 2 : 1;
    const size_t values = stages.combine ? stages.combine->combinations.size() : 0;
    form.labels = stages.combine ? answer.columns().size() - values - form.xs : 2;
    return form;
}

}  // namespace

Task<Result<std::unique_ptr<Answer>>> make_series_answer(ExecutionContext& context,
                                                         const SeriesStages& stages) {
    if (stages.rows.pivot) {
        const Result<XColumn> x = common_x(context, "`pivot`");
        if (!x) {
            co_return x.error();
        }
    }
    Result<std::unique_ptr<Answer>> answer = co_await make_shape(context, stages);
    if (answer && stages.rows.pivot) {
        const LongForm form = form_of(stages, **answer);
        const SourceSpan span = *stages.rows.pivot;
        if (stages.rows.is_pivot_x) {
            answer = co_await make_pivot_x_answer(context, *std::move(answer), form, span);
        } else {
            answer = co_await make_pivot_answer(context, *std::move(answer), form, span);
        }
    }
    if (answer && !stages.rows.sort.empty()) {
        answer = make_sorted_answer(context, *std::move(answer), stages.rows);
    } else if (answer && stages.rows.limit) {
        answer = make_limited_answer(*std::move(answer), *stages.rows.limit);
    }
    co_return answer;
}

}  // namespace stepdb
