// `top N by`, `bottom N by`: which series go on.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "query/operators/evaluator.h"
#include "query/operators/name_check.h"
#include "query/resolve.h"

namespace stepdb {

namespace {

// What series can be ranked by: numbers, and times.
bool is_rankable(const Value& value) {
    return value.kind == Value::Kind::kTime ||
           (value.is_numeric() && std::isfinite(value.as_double()));
}

Status check_type(const ExecutionContext& context, const BoundNode& node) {
    if (node.type != ValueType::kBool && node.type != ValueType::kText &&
        node.type != ValueType::kTexts) {
        return {};
    }
    return query_error(context.bound.query.text, node.span,
                       "series are ranked by a number, such as max, last or mean(val/loss)");
}

}  // namespace

Task<Status> rank_series(ExecutionContext& context, const RankStage& stage, SourceSpan span,
                         const Plan& own, const Plan& ranges, std::vector<Series>& series) {
    ExpressionPlan plan(context.bound.query.text, context.now_us);
    const Result<uint32_t> root = plan.add(stage.by, ExpressionScope::kSeries);
    if (!root) {
        co_return root.error();
    }
    Status done = check_names(plan, context);
    if (done) {
        done = check_type(context, plan.nodes()[*root]);
    }
    if (!done) {
        co_return done;
    }
    ExpressionEvaluator evaluator(context, plan);
    evaluator.set_plans(&own, &ranges);
    std::vector<Value> values(series.size());
    std::vector<size_t> order;
    for (size_t i = 0; i < series.size(); ++i) {
        ExpressionRow row(series[i].run, &series[i]);
        Result<Value> value = co_await evaluator.evaluate(*root, row);
        if (!value) {
            co_return value.error();
        }
        values[i] = *std::move(value);
        if (is_rankable(values[i])) {
            order.push_back(i);
        }
    }
    evaluator.append_notes();
    if (order.size() < series.size()) {
        const std::string_view text = context.bound.query.text;
        context.notes.push_back(
            fmt::format("`{}` left out {} series of which '{}' is not finite or not there",
                        text.substr(span.offset, span.bytes), series.size() - order.size(),
                        text.substr(stage.by.span.offset, stage.by.span.bytes)));
    }
    std::ranges::stable_sort(order, [&](size_t a, size_t b) {
        const bool differ = sorts_before(values[a], values[b], stage.is_top) ||
                            sorts_before(values[b], values[a], stage.is_top);
        return differ ? sorts_before(values[a], values[b], stage.is_top)
                      : stands_before(series[a], series[b]);
    });
    order.resize(std::min<uint64_t>(order.size(), stage.series));
    std::vector<Series> kept;
    kept.reserve(order.size());
    for (const size_t at : order) {
        kept.push_back(std::move(series[at]));
    }
    series = std::move(kept);
    co_return done;
}

}  // namespace stepdb
