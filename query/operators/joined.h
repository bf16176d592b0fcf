// The values that other metrics of a run have at the keys of a series: for conditions and x that
// name metrics.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "query/execution_context.h"
#include "query/expression.h"

namespace stepdb {

class JoinedMetrics {
  public:
    // Context and plan outlive it. Metrics that the run of `series` does not have, or on another
    // axis, have no values.
    JoinedMetrics(ExecutionContext& context, const ExpressionPlan& plan, const Series& series);

    // Reads the values at these keys, which ascend from call to call. Errors as of SeriesCursor.
    Task<Status> align(const std::vector<Key>& keys);

    // Of the metric with that number in ExpressionPlan::joined(), at the key with number `point` of
    // those aligned last.
    std::optional<double> value(size_t metric, size_t point) const {
        return metrics_[metric].values[point];
    }

  private:
    struct Metric {
        Series series;
        bool is_there = false;
        bool is_held = false;
        std::unique_ptr<SeriesCursor> cursor;
        Points batch;
        size_t at = 0;  // next of batch
        bool is_done = false;
        std::optional<double> last;  // of the points passed
        std::vector<std::optional<double>> values;
    };

    Task<Status> align(Metric& metric, const std::vector<Key>& keys);

    ExecutionContext& context_;
    std::vector<Metric> metrics_;
};

}  // namespace stepdb
