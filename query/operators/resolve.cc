#include "query/operators/resolve.h"

#include <algorithm>

#include "query/operators/pipeline.h"

namespace stepdb {

namespace {

// Times of a stepped series are in no order: all have to be seen.
Task<Result<std::optional<KeyRange>>> measure_times(ExecutionContext& context,
                                                    const Series& series) {
    const std::unique_ptr<SeriesCursor> cursor = make_pipeline(context, series, Pipeline());
    std::optional<KeyRange> seen;
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return seen;
        }
        const auto [min, max] = std::minmax_element(batch.times.begin(), batch.times.end());
        widen_range(seen, {*min, *max});
    }
}

}  // namespace

Task<Result<Plan>> resolve_plan(ExecutionContext& context, const SeriesQuery& query) {
    const AnchorNeeds needs = anchor_needs(query);
    const Pipeline everything;
    Anchors anchors;
    anchors.now_us = context.now_us;
    anchors.fork_step = context.bound.fork_step.value_or(0);
    for (const Series& series : context.selection.series) {
        const bool stepped = series.axis == Axis::kStepped;
        if ((stepped && needs.steps) || (!stepped && needs.times)) {
            const Result<std::optional<KeyRange>> keys =
                co_await measure_keys(context, series, everything);
            if (!keys) {
                co_return keys.error();
            }
            if (*keys) {
                widen_range(stepped ? anchors.steps : anchors.times, **keys);
            }
        }
        if (stepped && needs.times) {
            const Result<std::optional<KeyRange>> times = co_await measure_times(context, series);
            if (!times) {
                co_return times.error();
            }
            if (*times) {
                widen_range(anchors.times, **times);
            }
        }
    }
    co_return make_plan(query, anchors, context.bound.query.text);
}

}  // namespace stepdb
