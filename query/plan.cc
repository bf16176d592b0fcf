#include "query/plan.h"

#include <algorithm>
#include <cmath>

namespace stepdb {

namespace {

bool needs_range(const RangeEnd& end) {
    return end.anchor == RangeEnd::Anchor::kStart || end.anchor == RangeEnd::Anchor::kEnd;
}

bool needs_range(const Range& range) {
    return needs_range(range.from) || needs_range(range.to);
}

// One end as a key of its axis; unset if it is open. `seen` is what `start` and `end` stand for.
Result<std::optional<Key>> resolve_step(const RangeEnd& end, const Anchors& anchors,
                                        std::string_view text) {
    const std::optional<KeyRange>& seen = anchors.steps;
    if (end.anchor == RangeEnd::Anchor::kOpen) {
        return std::optional<Key>();
    }
    double step = end.step;
    if (end.anchor == RangeEnd::Anchor::kFork) {
        step += anchors.fork_step;
    }
    if (needs_range(end) && seen) {
        step += step_of_key(end.anchor == RangeEnd::Anchor::kStart ? seen->first : seen->last);
    }
    if (!std::isfinite(step)) {
        return query_error(text, end.span, "this step is too large for a number");
    }
    return std::optional<Key>(key_of_step(step));
}

Result<std::optional<Key>> resolve_time(const RangeEnd& end, const Anchors& anchors,
                                        std::string_view text) {
    if (end.anchor == RangeEnd::Anchor::kOpen) {
        return std::optional<Key>();
    }
    int64_t base = 0;
    if (end.anchor == RangeEnd::Anchor::kNow) {
        base = anchors.now_us;
    } else if (needs_range(end) && anchors.times) {
        base = end.anchor == RangeEnd::Anchor::kStart ? anchors.times->first : anchors.times->last;
    }
    int64_t time = 0;
    if (__builtin_add_overflow(base, end.time_us, &time)) {
        return query_error(text, end.span, "this time is beyond the times there are");
    }
    return std::optional<Key>(time);
}

KeyRange key_range_of(const StatedRange& stated) {
    return {stated.lo.value_or(kKeyMin), stated.hi.value_or(kKeyMax)};
}

void narrow_range(KeyRange& range, const KeyRange& by) {
    range.first = std::max(range.first, by.first);
    range.last = std::min(range.last, by.last);
}

void narrow_stated(StatedRange& stated, const StatedRange& by) {
    if (by.lo) {
        stated.lo = std::max(stated.lo.value_or(kKeyMin), *by.lo);
    }
    if (by.hi) {
        stated.hi = std::min(stated.hi.value_or(kKeyMax), *by.hi);
    }
}

// A range of keys: read no more than it, unless `first` or `last` counted points before.
void add_key_range(AxisPlan& plan, const StatedRange& stated) {
    const KeyRange range = key_range_of(stated);
    const auto& steps = plan.pipeline.steps;
    const bool counted = std::any_of(steps.begin(), steps.end(), [](const PipelineStep& step) {
        return step.kind == PipelineStep::Kind::kFirst || step.kind == PipelineStep::Kind::kLast;
    });
    narrow_stated(plan.stated, stated);
    if (counted) {
        plan.pipeline.steps.push_back({PipelineStep::Kind::kKeyRange, range, 0});
    } else {
        narrow_range(plan.pipeline.scan, range);
    }
}

void add_condition(Plan& plan, size_t condition) {
    PipelineStep step;
    step.kind = PipelineStep::Kind::kWhen;
    step.condition = condition;
    plan.stepped.pipeline.steps.push_back(step);
    plan.timed.pipeline.steps.push_back(step);
}

void add_count(Plan& plan, PipelineStep::Kind kind, uint64_t points) {
    plan.stepped.pipeline.steps.push_back({kind, {}, points});
    plan.timed.pipeline.steps.push_back({kind, {}, points});
}

// Nothing lies in it; what a range by `start` or `end` means where there are no points.
constexpr KeyRange kNothing = {kKeyMax, kKeyMin};

}  // namespace

AnchorNeeds anchor_needs(const SeriesQuery& query) {
    AnchorNeeds needs;
    for (const Stage& stage : query.stages) {
        if (const auto* steps = std::get_if<StepsStage>(&stage.what)) {
            needs.steps = needs.steps || needs_range(steps->range);
        } else if (const auto* time = std::get_if<TimeStage>(&stage.what)) {
            needs.times = needs.times || needs_range(time->range);
        }
    }
    return needs;
}

Result<Plan> make_plan(const SeriesQuery& query, const Anchors& anchors,
                       std::string_view query_text) {
    Plan plan;
    size_t conditions = 0;
    for (const Stage& stage : query.stages) {
        StatedRange stated;
        if (const auto* steps = std::get_if<StepsStage>(&stage.what)) {
            TRY_ASSIGN(stated.lo, resolve_step(steps->range.from, anchors, query_text));
            TRY_ASSIGN(stated.hi, resolve_step(steps->range.to, anchors, query_text));
            if (needs_range(steps->range) && !anchors.steps) {
                plan.stepped.pipeline.scan = kNothing;
            }
            add_key_range(plan.stepped, stated);
        } else if (const auto* time = std::get_if<TimeStage>(&stage.what)) {
            TRY_ASSIGN(stated.lo, resolve_time(time->range.from, anchors, query_text));
            TRY_ASSIGN(stated.hi, resolve_time(time->range.to, anchors, query_text));
            if (needs_range(time->range) && !anchors.times) {
                plan.stepped.pipeline.scan = kNothing;
                plan.timed.pipeline.scan = kNothing;
            }
            add_key_range(plan.timed, stated);
            plan.stepped.pipeline.steps.push_back(
                {PipelineStep::Kind::kTimeRange, key_range_of(stated), 0});
        } else if (const auto* first = std::get_if<FirstStage>(&stage.what)) {
            add_count(plan, PipelineStep::Kind::kFirst, first->points);
        } else if (const auto* last = std::get_if<LastStage>(&stage.what)) {
            add_count(plan, PipelineStep::Kind::kLast, last->points);
        } else if (std::holds_alternative<WhenStage>(stage.what)) {
            add_condition(plan, conditions++);
        }
    }
    return plan;
}

}  // namespace stepdb
