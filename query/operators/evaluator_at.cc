// `at(...)`: the one point of a series that a place on an axis, or a value of another metric,
// means.
#include <limits>
#include <span>

#include "query/operators/evaluator.h"
#include "query/operators/scan.h"

namespace stepdb {

// The summary of the one point that is meant, or of none.
Task<Result<Summary>> ExpressionEvaluator::find_at(const Series& series, const AtPlace& place) {
    constexpr int64_t kAnyTime = std::numeric_limits<int64_t>::min();
    KeyRange keys;
    if (place.axis == AtTerm::Axis::kStep) {
        keys.first = key_of_step(place.number);
        if (series.axis == Axis::kTimed) {
            co_return Summary();
        }
        co_return co_await first_point(series, keys, kAnyTime);
    }
    if (place.axis == AtTerm::Axis::kTime) {
        keys.first = series.axis == Axis::kTimed ? place.time_us : kKeyMin;
        co_return co_await first_point(series, keys, place.time_us);
    }
    Series axis;
    axis.run = series.run;
    axis.metric = place.metric;
    const SelectedRun& selected = *context_.bound.runs[series.run];
    const std::optional<Axis> kind = context_.source.find_metric(selected.view(), place.metric);
    if (!kind) {
        co_return Summary();
    }
    axis.axis = *kind;
    const Result<Summary> reached = co_await find_reached(axis, place.number);
    if (!reached || reached->points() == 0) {
        co_return reached;
    }
    if (axis.axis == series.axis) {
        keys.first = reached->first.key;
        co_return co_await first_point(series, keys, kAnyTime);
    }
    keys.first = series.axis == Axis::kTimed ? reached->first.time : kKeyMin;
    co_return co_await first_point(series, keys, reached->first.time);
}

// The first point whose value is at least `number`.
Task<Result<Summary>> ExpressionEvaluator::find_reached(const Series& series, double number) {
    const std::unique_ptr<SeriesCursor> cursor = make_scan(context_, series, KeyRange());
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return Summary();
        }
        for (size_t i = 0; i < batch.size(); ++i) {
            if (batch.values[i] >= number) {
                co_return stepdb::summarize(std::span(batch.keys).subspan(i, 1),
                                            std::span(batch.times).subspan(i, 1),
                                            std::span(batch.values).subspan(i, 1));
            }
        }
    }
}

Task<Result<Summary>> ExpressionEvaluator::first_point(const Series& series, KeyRange keys,
                                                       int64_t time_min) {
    const std::unique_ptr<SeriesCursor> cursor = make_scan(context_, series, keys);
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return Summary();
        }
        for (size_t i = 0; i < batch.size(); ++i) {
            if (batch.times[i] >= time_min) {
                co_return stepdb::summarize(std::span(batch.keys).subspan(i, 1),
                                            std::span(batch.times).subspan(i, 1),
                                            std::span(batch.values).subspan(i, 1));
            }
        }
    }
}

}  // namespace stepdb
