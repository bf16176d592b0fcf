#include "query/operators/pipeline.h"

#include <algorithm>

#include "query/operators/calculation.h"
#include "query/operators/every.h"
#include "query/operators/first_points.h"
#include "query/operators/last_points.h"
#include "query/operators/range_filter.h"
#include "query/operators/reindex.h"
#include "query/operators/scan.h"
#include "query/operators/smooth.h"
#include "query/operators/when_filter.h"

namespace stepdb {

namespace {

// What a summary costs where chunks tell theirs, in values looked at.
constexpr uint64_t kSummaryWork = 1024;

// Puts a step behind `input`.
struct AddStep {
    ExecutionContext& context;
    const Series& series;
    Axis axis;  // of the keys so far
    std::unique_ptr<SeriesCursor> input;

    std::unique_ptr<SeriesCursor> operator()(const KeyRangeStep& step) {
        return make_range_filter(std::move(input), FilterBy::kKey, step.range);
    }
    std::unique_ptr<SeriesCursor> operator()(const TimeRangeStep& step) {
        return make_range_filter(std::move(input), FilterBy::kTime, step.range);
    }
    std::unique_ptr<SeriesCursor> operator()(const FirstStep& step) {
        return make_first_points(std::move(input), step.points);
    }
    std::unique_ptr<SeriesCursor> operator()(const LastStep& step) {
        return make_last_points(std::move(input), step.points, context.memory);
    }
    std::unique_ptr<SeriesCursor> operator()(const WhenStep& step) {
        return make_when_filter(std::move(input), context, series, step);
    }
    std::unique_ptr<SeriesCursor> operator()(const SmoothStage& step) {
        return make_smooth(std::move(input), step, axis, context.memory);
    }
    std::unique_ptr<SeriesCursor> operator()(const EveryStage& step) {
        return make_every(std::move(input), step);
    }
    std::unique_ptr<SeriesCursor> operator()(const ReindexStep& step) {
        axis = step.column == XColumn::kTime ? Axis::kTimed : Axis::kStepped;
        return make_reindex(std::move(input), context, series, step);
    }
    std::unique_ptr<SeriesCursor> operator()(const PositiveStep& step) {
        static_cast<void>(step);
        return make_positive(std::move(input), context);
    }
};

}  // namespace

std::unique_ptr<SeriesCursor> make_pipeline(ExecutionContext& context, const Series& series,
                                            const Pipeline& pipeline) {
    AddStep add{context, series, series.axis, make_source(context, series, pipeline.scan)};
    for (const PipelineStep& step : pipeline.steps) {
        add.input = std::visit(add, step);
    }
    return std::move(add.input);
}

Task<Result<std::optional<KeyRange>>> measure_keys(ExecutionContext& context, const Series& series,
                                                   const Pipeline& pipeline,
                                                   std::optional<KeyRange> known) {
    std::optional<KeyRange> seen;
    if (pipeline.scan.empty()) {
        co_return seen;
    }
    if (pipeline.steps.empty() && series.calculation == nullptr) {
        // The ends of the series tell without reading it.
        const SelectedRun& selected = *context.bound.runs[series.run];
        if (pipeline.scan.first != kKeyMin || pipeline.scan.last != kKeyMax) {
            known.reset();
        }
        Result<std::optional<KeyRange>> whole =
            co_await context.source.key_range(selected.view(), series.metric, known);
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
    if (pipeline.steps.empty() && series.calculation == nullptr) {
        // Chunks with a summary tell without being read.
        const Status goes_on = context.check_goes_on();
        if (!goes_on) {
            co_return goes_on.error();
        }
        Result<Summary> stored = co_await context.source.summarize(
            context.bound.runs[series.run]->view(), series.metric, pipeline.scan);
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
