#include "query/resolve.h"

#include <algorithm>

#include "engine/base/text.h"
#include "query/operators/name_check.h"
#include "query/operators/pipeline.h"
#include "query/operators/terms.h"

namespace stepdb {

namespace {

// Times of a stepped series are in no order: all have to be seen.
Task<Result<std::optional<KeyRange>>> measure_times(ExecutionContext& context,
                                                    const Series& series) {
    const Pipeline everything;
    const std::unique_ptr<SeriesCursor> cursor = make_pipeline(context, series, everything);
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

// The earliest and latest time of a series.
Task<Result<std::optional<KeyRange>>> find_times(ExecutionContext& context, const Series& series) {
    const Pipeline everything;
    if (series.axis == Axis::kTimed) {
        co_return co_await measure_keys(context, series, everything);
    }
    co_return co_await measure_times(context, series);
}

Task<Result<Anchors>> find_anchors(ExecutionContext& context, const std::vector<Series>& all,
                                   std::span<const Stage> stages) {
    const AnchorNeeds needs = anchor_needs(stages);
    const Pipeline everything;
    Anchors anchors;
    anchors.now_us = context.now_us;
    anchors.fork_step = context.bound.fork_step.value_or(0);
    auto starts = std::make_shared<std::unordered_map<size_t, int64_t>>();
    for (const Series& series : all) {
        if (series.axis == Axis::kStepped && needs.steps) {
            const Result<std::optional<KeyRange>> keys =
                co_await measure_keys(context, series, everything);
            if (!keys) {
                co_return keys.error();
            }
            if (*keys) {
                widen_range(anchors.steps, **keys);
            }
        }
        if (!needs.times && !needs.run_starts) {
            continue;
        }
        const Result<std::optional<KeyRange>> times = co_await find_times(context, series);
        if (!times) {
            co_return times.error();
        }
        if (*times) {
            widen_range(anchors.times, **times);
            const auto [at, is_new] = starts->try_emplace(series.run, (*times)->first);
            at->second = std::min(at->second, (*times)->first);
        }
    }
    anchors.run_starts = std::move(starts);
    co_return anchors;
}

// A range of steps leaves out what has no steps, and says so; all of it, and it is a mistake.
Status drop_stepless(const SeriesQuery& query, ExecutionContext& context,
                     std::vector<Series>& series) {
    const auto steps = std::ranges::find_if(query.then.stages, [](const Stage& stage) {
        return std::holds_alternative<StepsStage>(stage.what);
    });
    const auto is_timed = [](const Series& each) { return each.axis == Axis::kTimed; };
    const auto timed = std::ranges::find_if(series, is_timed);
    if (steps == query.then.stages.end() || timed == series.end()) {
        return {};
    }
    if (std::ranges::all_of(series, is_timed)) {
        return query_error(
            context.bound.query.text, steps->span,
            fmt::format("the metric '{}' has times, no steps; use `time`", timed->shown_metric()));
    }
    const size_t dropped = std::erase_if(series, is_timed);
    context.notes.push_back(
        fmt::format("`steps` left out {} series that have times, no steps", dropped));
    return {};
}

// Binds the conditions and x of one query's stages.
class PointExpressionBinder {
  public:
    PointExpressionBinder(ExecutionContext& context, const SeriesQuery& query,
                          const std::vector<Series>& all)
        : context_(context), query_(query), all_(all) {}

    Status bind() {
        bool has_x = false;
        for (const Stage& stage : query_.then.stages) {
            if (const auto* when = std::get_if<WhenStage>(&stage.what)) {
                TRY(add(when->condition, when->number, stage.span));
            } else if (const auto* x = std::get_if<XStage>(&stage.what)) {
                has_x = true;
                if (x->x == XStage::X::kExpression) {
                    TRY(add(x->expression, x->number, stage.span));
                    TRY(check_number(*x));
                }
            } else if (std::holds_alternative<EveryStage>(stage.what)) {
                after_every_ = true;
                after_x_ = has_x;
            } else if (std::holds_alternative<FirstStage>(stage.what) ||
                       std::holds_alternative<LastStage>(stage.what)) {
                after_x_ = has_x;
            }
        }
        return {};
    }

  private:
    Status add(const Expression& written, size_t number, SourceSpan stage) {
        auto bound = std::make_unique<PointExpression>(context_.bound.query.text, context_.now_us);
        bound->plan.set_metric_test([this](const std::string& name) { return is_metric(name); });
        TRY_ASSIGN(bound->root, bound->plan.add(written, ExpressionScope::kPoint));
        TRY(check_names(bound->plan, context_));
        TRY(check_place(bound->plan, stage));
        TRY(check_axes(bound->plan));
        bound->plan.set_metric_test(nullptr);
        context_.expressions.resize(std::max(context_.expressions.size(), number + 1));
        context_.expressions[number] = std::move(bound);
        return {};
    }

    bool is_metric(const std::string& name) const {
        const RunScope scope = context_.bound.scopes[query_.scope];
        const auto has = [&](const SelectedRun* selected) {
            return context_.source.find_metric(selected->view(), name).has_value();
        };
        // Of a query without runs of its own those of its operands count.
        const std::span<const SelectedRun* const> all = context_.bound.runs;
        return std::ranges::any_of(
            query_.runs.empty() ? all : all.subspan(scope.first, scope.count), has);
    }

    // Once points have other keys, nothing is to be found at these any more.
    Status check_place(const ExpressionPlan& plan, SourceSpan stage) const {
        for (const BoundNode& node : plan.nodes()) {
            const bool is_step =
                node.kind == BoundNode::Kind::kPoint && node.part == PointPart::kStep;
            const bool is_joined = node.kind == BoundNode::Kind::kJoined;
            if ((is_step && after_x_) || (is_joined && (after_x_ || after_every_))) {
                return query_error(
                    context_.bound.query.text, stage,
                    fmt::format("behind {} points have no {} any more; put this stage before it",
                                after_every_ ? "`every`" : "`x` and a stage that counts points",
                                is_step ? "steps of their own" : "step to find metrics at"));
            }
        }
        return {};
    }

    // A metric is found at the keys of some series, or it can be at none.
    Status check_axes(const ExpressionPlan& plan) const {
        for (const JoinedMetric& joined : plan.joined()) {
            const Series* other = nullptr;  // of a run that has the metric, on the other axis
            bool is_found = false;
            for (const Series& series : all_) {
                const auto axis = context_.source.find_metric(
                    context_.bound.runs[series.run]->view(), joined.metric);
                is_found = is_found || axis == std::optional(series.axis);
                other = axis && *axis != series.axis ? &series : other;
            }
            if (!is_found && other != nullptr) {
                const bool is_stepped = other->axis == Axis::kStepped;
                return query_error(
                    context_.bound.query.text, joined.span,
                    fmt::format("'{}' has {} and '{}' has {}: they have no keys in common",
                                printable(joined.metric), is_stepped ? "only times" : "steps",
                                printable(other->shown_metric()),
                                is_stepped ? "steps" : "only times"));
            }
        }
        return {};
    }

    Status check_number(const XStage& x) const {
        const PointExpression& bound = *context_.expressions[x.number];
        const ValueType type = bound.plan.nodes()[bound.root].type;
        if (type == ValueType::kBool || type == ValueType::kText || type == ValueType::kTexts ||
            type == ValueType::kTime) {
            return query_error(context_.bound.query.text, x.expression.span,
                               "x is step, time, elapsed, a metric such as tokens, or a "
                               "calculation that gives a number");
        }
        return {};
    }

    ExecutionContext& context_;
    const SeriesQuery& query_;
    const std::vector<Series>& all_;
    bool after_every_ = false;
    bool after_x_ = false;  // which took effect
};

// A width of `every` must be one of the axis of all series.
Status check_widths(const ExecutionContext& context, const std::vector<Series>& all,
                    const Plan& plan) {
    for (const Series& series : all) {
        const EveryStage* every = plan.of(series.axis).mismatch;
        if (every != nullptr) {
            const std::string& text = context.bound.query.text;
            const std::string_view width =
                std::string_view(text).substr(every->span.offset, every->span.bytes);
            return query_error(
                text, every->span,
                every->width_us == 0
                    ? fmt::format("{} is a width of steps, and '{}' has times here; write a "
                                  "duration such as 10m",
                                  width, printable(series.shown_metric()))
                    : fmt::format("{} is a width of time, and '{}' has steps here; write a number "
                                  "such as 1k, or `x time` before it",
                                  width, printable(series.shown_metric())));
        }
    }
    return {};
}

}  // namespace

Task<Result<ResolvedSeries>> resolve_series(ExecutionContext& context, const SeriesQuery& query) {
    const std::string& text = context.bound.query.text;
    const std::span<const Stage> stages = query.then.stages;
    ResolvedSeries resolved;
    Result<std::vector<Series>> selected = co_await select_terms(context, query);
    if (!selected) {
        co_return selected.error();
    }
    resolved.series = *std::move(selected);
    PointExpressionBinder binder(context, query, resolved.series);
    Status done = binder.bind();
    if (done) {
        done = drop_stepless(query, context, resolved.series);
    }
    if (!done) {
        co_return done.error();
    }
    const Result<Anchors> anchors = co_await find_anchors(context, resolved.series, stages);
    if (!anchors) {
        co_return anchors.error();
    }
    for (size_t at = 0; at <= stages.size(); ++at) {
        const RankStage* rank =
            at == stages.size() ? nullptr : std::get_if<RankStage>(&stages[at].what);
        if (rank == nullptr && at < stages.size()) {
            continue;
        }
        const std::span<const Stage> before = stages.first(at);
        Result<Plan> plan = make_plan(before, *anchors, text);
        if (!plan) {
            co_return plan.error();
        }
        done = check_widths(context, resolved.series, *plan);
        if (done && rank != nullptr) {
            const Result<Plan> ranges = make_range_plan(before, *anchors, text);
            if (!ranges) {
                co_return ranges.error();
            }
            done = co_await rank_series(context, *rank, stages[at].span, *plan, *ranges,
                                        resolved.series);
        }
        if (!done) {
            co_return done.error();
        }
        resolved.plan = *std::move(plan);
    }
    // What was left out while series were ranked is not in the answer.
    context.left_out_points = LeftOutPoints();
    co_return resolved;
}

}  // namespace stepdb
