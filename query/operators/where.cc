#include "query/where.h"

#include "query/operators/evaluator.h"
#include "query/operators/name_check.h"

namespace stepdb {

namespace {

// Which of the rows stay; go_on_to(row, i) makes it that of number i.
template <typename GoOnTo>
Task<Status> choose(ExecutionContext& context, const Expression& condition, ExpressionScope scope,
                    GoOnTo go_on_to, std::vector<bool>& stays) {
    ExpressionPlan plan(context.bound.query.text, context.now_us);
    const Result<uint32_t> root = plan.add(condition, scope);
    if (!root) {
        co_return root.error();
    }
    const Status named = check_names(plan, context);
    if (!named) {
        co_return named;
    }
    ExpressionEvaluator evaluator(context, plan);
    ExpressionRow row;
    for (size_t i = 0; i < stays.size(); ++i) {
        go_on_to(row, i);
        if (const std::optional<Value> known = evaluator.evaluate_at_once(*root, row)) {
            stays[i] = known->is_true();
            co_await context.turns.after(kRowWork);
            continue;
        }
        const Result<Value> holds = co_await evaluator.evaluate(*root, row);
        if (!holds) {
            co_return holds.error();
        }
        stays[i] = holds->is_true();
    }
    evaluator.append_notes();
    co_return Status();
}

void note_nothing(ExecutionContext& context, size_t before, size_t after, std::string_view what) {
    if (before > 0 && after == 0) {
        context.notes.push_back(
            fmt::format("`where` holds for none of the {} {} selected", before, what));
    }
}

}  // namespace

Task<Status> filter_runs(ExecutionContext& context, const Expression& condition, size_t scope) {
    BoundQuery& bound = context.bound;
    const RunScope before = bound.scopes[scope];
    std::vector<bool> stays(before.count);
    const auto go_on_to = [&](ExpressionRow& row, size_t at) { row.go_on_to(before.first + at); };
    Status chosen = co_await choose(context, condition, ExpressionScope::kRun, go_on_to, stays);
    if (!chosen) {
        co_return chosen;
    }
    std::vector<const SelectedRun*> kept;
    for (size_t i = 0; i < bound.runs.size(); ++i) {
        const bool is_out =
            i >= before.first && i < before.first + before.count && !stays[i - before.first];
        (is_out ? context.left_out : kept).push_back(bound.runs[i]);
    }
    const size_t gone = bound.runs.size() - kept.size();
    bound.runs = std::move(kept);
    bound.scopes[scope].count -= gone;
    for (RunScope& other : bound.scopes) {
        other.first -= other.first > before.first ? gone : 0;
    }
    note_nothing(context, before.count, bound.scopes[scope].count, "runs");
    co_return chosen;
}

Task<Status> filter_series(ExecutionContext& context, const Expression& condition) {
    std::vector<Series>& series = context.selection.series;
    std::vector<bool> stays(series.size());
    const auto go_on_to = [&series](ExpressionRow& row, size_t at) {
        row.go_on_to(series[at].run, &series[at]);
    };
    Status chosen = co_await choose(context, condition, ExpressionScope::kSeries, go_on_to, stays);
    if (!chosen) {
        co_return chosen;
    }
    size_t at = 0;
    std::erase_if(series, [&](const Series&) { return !stays[at++]; });
    note_nothing(context, stays.size(), series.size(), "series");
    co_return chosen;
}

}  // namespace stepdb
