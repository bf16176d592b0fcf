#include "query/operators/pipeline.h"

#include <algorithm>

#include "query/operators/first_points.h"
#include "query/operators/last_points.h"
#include "query/operators/range_filter.h"
#include "query/operators/scan.h"
#include "query/operators/when_filter.h"

namespace stepdb {

namespace {

// What a summary costs where chunks tell theirs, in values looked at.
constexpr uint64_t kSummaryWork = 1024;

std::unique_ptr<SeriesCursor> add_step(std::unique_ptr<SeriesCursor> input,
                                       const PipelineStep& step, ExecutionContext& context,
                                       const Series& series) {
    switch (step.kind) {
        case PipelineStep::Kind::kKeyRange:
            return make_range_filter(std::move(input), FilterBy::kKey, step.range);
        case PipelineStep::Kind::kTimeRange:
            return make_range_filter(std::move(input), FilterBy::kTime, step.range);
        case PipelineStep::Kind::kFirst:
            return make_first_points(std::move(input), step.points);
        case PipelineStep::Kind::kLast:
            return make_last_points(std::move(input), step.points, context.memory);
        case PipelineStep::Kind::kWhen:
            return make_when_filter(std::move(input), context, series,
                                    *context.conditions[step.condition]);
    }
    CHECK(false, "pipeline step {}", static_cast<int>(step.kind));
    return nullptr;
}

}  // namespace

std::unique_ptr<SeriesCursor> make_pipeline(ExecutionContext& context, const Series& series,
                                            const Pipeline& pipeline) {
    std::unique_ptr<SeriesCursor> cursor = make_scan(context, series, pipeline.scan);
    for (const PipelineStep& step : pipeline.steps) {
        cursor = add_step(std::move(cursor), step, context, series);
    }
    return cursor;
}

Task<Result<std::optional<KeyRange>>> measure_keys(ExecutionContext& context, const Series& series,
                                                   const Pipeline& pipeline) {
    std::optional<KeyRange> seen;
    if (pipeline.scan.empty()) {
        co_return seen;
    }
    if (pipeline.steps.empty()) {
        // The ends of the series tell without reading it.
        const SelectedRun& selected = context.bound.runs[series.run];
        Result<std::optional<KeyRange>> whole =
            co_await context.source.key_range(selected.view(), series.metric);
        if (!whole) {
            co_return name_series(whole.error(), context, series);
        }
        if (!*whole) {
            co_return whole;
        }
        const KeyRange range = **whole;
        if (pipeline.scan.overlaps(range.first, range.last)) {
            seen = KeyRange{std::max(range.first, pipeline.scan.first),
                            std::min(range.last, pipeline.scan.last)};
        }
        co_return seen;
    }
    const std::unique_ptr<SeriesCursor> cursor = make_pipeline(context, series, pipeline);
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return seen;
        }
        widen_range(seen, {batch.keys.front(), batch.keys.back()});
    }
}

Task<Result<Summary>> summarize(ExecutionContext& context, const Series& series,
                                const Pipeline& pipeline) {
    if (pipeline.scan.empty()) {
        co_return Summary();
    }
    if (pipeline.steps.empty()) {
        // Chunks with a summary tell without being read.
        if (context.cancelled.load(std::memory_order_relaxed)) {
            co_return Error(ErrorCode::kCancelled, "the query was cancelled");
        }
        Result<Summary> stored = co_await context.source.summarize(
            context.bound.runs[series.run].view(), series.metric, pipeline.scan);
        if (!stored) {
            co_return name_series(stored.error(), context, series);
        }
        co_await context.turns.after(kSummaryWork);
        co_return stored;
    }
    const std::unique_ptr<SeriesCursor> cursor = make_pipeline(context, series, pipeline);
    Summary summary;
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return summary;
        }
        summary.append(stepdb::summarize(batch.keys, batch.times, batch.values));
    }
}

void widen_range(std::optional<KeyRange>& range, const KeyRange& by) {
    if (!range) {
        range = by;
    }
    range->first = std::min(range->first, by.first);
    range->last = std::max(range->last, by.last);
}

}  // namespace stepdb
