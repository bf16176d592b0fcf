#include "query/operators/joined.h"

#include "query/operators/scan.h"

namespace stepdb {

JoinedMetrics::JoinedMetrics(ExecutionContext& context, const ExpressionPlan& plan,
                             const Series& series)
    : context_(context) {
    const SelectedRun& selected = *context.bound.runs[series.run];
    for (const JoinedMetric& joined : plan.joined()) {
        Metric& metric = metrics_.emplace_back();
        metric.series.run = series.run;
        metric.series.metric = joined.metric;
        metric.series.axis = series.axis;
        metric.is_held = joined.is_held;
        metric.is_there = context.source.find_metric(selected.view(), joined.metric) ==
                          std::optional(series.axis);
    }
}

Task<Status> JoinedMetrics::align(const std::vector<Key>& keys) {
    for (Metric& metric : metrics_) {
        Status aligned = co_await align(metric, keys);
        if (!aligned) {
            co_return aligned;
        }
    }
    co_return Status();
}

Task<Status> JoinedMetrics::align(Metric& metric, const std::vector<Key>& keys) {
    metric.values.assign(keys.size(), std::nullopt);
    if (!metric.is_there || keys.empty()) {
        co_return Status();
    }
    if (metric.cursor == nullptr) {
        const KeyRange range = {metric.is_held ? kKeyMin : keys.front(), kKeyMax};
        metric.cursor = make_scan(context_, metric.series, range);
    }
    for (size_t i = 0; i < keys.size(); ++i) {
        // Up to the last point at or before the key.
        while (!metric.is_done) {
            if (metric.at == metric.batch.size()) {
                const Result<bool> more = co_await metric.cursor->next(metric.batch);
                if (!more) {
                    co_return more.error();
                }
                metric.at = 0;
                metric.is_done = !*more;
                continue;
            }
            const Key key = metric.batch.keys[metric.at];
            if (key > keys[i]) {
                break;
            }
            if (key == keys[i]) {
                metric.values[i] = metric.batch.values[metric.at];
            }
            metric.last = metric.batch.values[metric.at];
            ++metric.at;
        }
        if (metric.is_held) {
            metric.values[i] = metric.last;
        }
    }
    co_return Status();
}

}  // namespace stepdb
