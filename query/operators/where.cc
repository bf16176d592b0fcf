#include "query/where.h"

#include "query/operators/evaluator.h"
#include "query/operators/name_check.h"

namespace stepdb {

namespace {

// Which of the rows stay.
template <typename MakeRow>
Task<Status> choose(ExecutionContext& context, const Expression& condition, ExpressionScope scope,
                    MakeRow make_row, std::vector<bool>& stays) {
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
    for (size_t i = 0; i < stays.size(); ++i) {
        ExpressionRow row = make_row(i);
        const Result<Value> holds = co_await evaluator.evaluate(*root, row);
        if (!holds) {
            co_return holds.error();
        }
        stays[i] = holds->is_true();
    }
    evaluator.append_notes();
    co_return Status();
}

// The others go to `left_out`.
template <typename T>
void keep(std::vector<T>& all, const std::vector<bool>& stays, std::vector<T>& left_out) {
    std::vector<T> kept;
    for (size_t i = 0; i < all.size(); ++i) {
        (stays[i] ? kept : left_out).push_back(std::move(all[i]));
    }
    all = std::move(kept);
}

void note_nothing(ExecutionContext& context, size_t before, size_t after, std::string_view what) {
    if (before > 0 && after == 0) {
        context.notes.push_back(
            fmt::format("`where` holds for none of the {} {} selected", before, what));
    }
}

}  // namespace

Task<Status> filter_runs(ExecutionContext& context, const Expression& condition) {
    std::vector<SelectedRun>& runs = context.bound.runs;
    std::vector<bool> stays(runs.size());
    const auto make_row = [](size_t run) { return ExpressionRow(run); };
    Status chosen = co_await choose(context, condition, ExpressionScope::kRun, make_row, stays);
    if (!chosen) {
        co_return chosen;
    }
    keep(runs, stays, context.left_out);
    note_nothing(context, stays.size(), runs.size(), "runs");
    co_return chosen;
}

Status bind_conditions(ExecutionContext& context, const SeriesQuery& query) {
    for (const Stage& stage : query.stages) {
        const auto* when = std::get_if<WhenStage>(&stage.what);
        if (when == nullptr) {
            continue;
        }
        auto condition = std::make_unique<PointCondition>(context.bound.query.text, context.now_us);
        TRY_ASSIGN(condition->root, condition->plan.add(when->condition, ExpressionScope::kPoint));
        TRY(check_names(condition->plan, context));
        context.conditions.push_back(std::move(condition));
    }
    return {};
}

Task<Status> filter_series(ExecutionContext& context, const Expression& condition) {
    std::vector<Series>& series = context.selection.series;
    std::vector<bool> stays(series.size());
    const auto make_row = [&series](size_t at) {
        return ExpressionRow(series[at].run, &series[at]);
    };
    Status chosen = co_await choose(context, condition, ExpressionScope::kSeries, make_row, stays);
    if (!chosen) {
        co_return chosen;
    }
    std::vector<Series> left_out;
    keep(series, stays, left_out);
    note_nothing(context, stays.size(), series.size(), "series");
    co_return chosen;
}

}  // namespace stepdb
