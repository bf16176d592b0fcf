#include "query/plan.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace stepdb {

namespace {

bool needs_range(const RangeEnd& end) {
    return end.anchor == RangeEnd::Anchor::kStart || end.anchor == RangeEnd::Anchor::kEnd;
}

bool needs_range(const Range& range) {
    return needs_range(range.from) || needs_range(range.to);
}

bool moves(const RangeEnd& end) {
    return needs_range(end) || end.anchor == RangeEnd::Anchor::kNow;
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

// Nothing lies in it; what a range by `start` or `end` means where there are no points.
constexpr KeyRange kNothing = {kKeyMax, kKeyMin};

// Stages whose outcome depends on which points there are and in which order: ranges are not moved
// over them.
bool counts_points(const Stage& stage) {
    return std::holds_alternative<FirstStage>(stage.what) ||
           std::holds_alternative<LastStage>(stage.what) ||
           std::holds_alternative<EveryStage>(stage.what);
}

bool uses_elapsed(const Expression& expression) {
    return std::ranges::any_of(expression.nodes, [](const ExpressionNode& node) {
        const auto* name = std::get_if<NameTerm>(&node.what);
        return name != nullptr && !name->is_attribute && name->text == "elapsed";
    });
}

bool is_smoothing(const Stage& stage) {
    return std::holds_alternative<SmoothStage>(stage.what);
}

// Plans one axis, stage by stage.
class AxisPlanner {
  public:
    AxisPlanner(Axis axis, std::span<const Stage> stages, const Anchors& anchors,
                std::string_view text)
        : axis_(axis), stages_(stages), anchors_(anchors), text_(text), hidden_(stages.size()) {
        plan_.column = axis == Axis::kStepped ? XColumn::kStep : XColumn::kTime;
    }

    Result<AxisPlan> plan();

  private:
    Status add(size_t at);
    Error no_steps(size_t at) const {
        return query_error(text_, stages_[at].span,
                           "behind `x` and a stage that counts points there are no steps any "
                           "more; put this stage before it");
    }
    Status add_range(size_t at, const Range& range, bool is_of_steps);
    void add_step(size_t at, PipelineStep step, bool is_of_keys);
    void add_every(const EveryStage& every);
    void take_x();
    std::optional<size_t> last_smoothing_behind(size_t at) const;

    Axis axis_;
    std::span<const Stage> stages_;
    const Anchors& anchors_;
    std::string_view text_;
    AxisPlan plan_;
    StatedRange stated_times_;
    std::vector<std::vector<PipelineStep>> hidden_;  // what comes behind a stage of smoothing
    const XStage* x_ = nullptr;                      // that has not taken effect yet
    bool is_counted_ = false;                        // a stage that counts points came before
    bool is_smoothed_ = false;                       // what is smoothed looks back beyond a range
    bool is_reindexed_ = false;  // keys are no steps or times of points any more
};

Result<AxisPlan> AxisPlanner::plan() {
    for (size_t at = 0; at < stages_.size(); ++at) {
        TRY(add(at));
        auto& steps = plan_.pipeline.steps;
        steps.insert(steps.end(), hidden_[at].begin(), hidden_[at].end());
    }
    take_x();
    return std::move(plan_);
}

Status AxisPlanner::add(size_t at) {
    const Stage& stage = stages_[at];
    auto& steps = plan_.pipeline.steps;
    if (const auto* range = std::get_if<StepsStage>(&stage.what)) {
        return add_range(at, range->range, true);
    }
    if (const auto* range = std::get_if<TimeStage>(&stage.what)) {
        return add_range(at, range->range, false);
    }
    if (const auto* when = std::get_if<WhenStage>(&stage.what)) {
        steps.emplace_back(WhenStep{when->number, anchors_.run_starts});
    } else if (const auto* smooth = std::get_if<SmoothStage>(&stage.what)) {
        if (is_reindexed_ && smooth->smoothing == Smoothing::kRatePerStep) {
            return no_steps(at);
        }
        steps.emplace_back(*smooth);
        is_smoothed_ = true;
    } else if (const auto* x = std::get_if<XStage>(&stage.what)) {
        x_ = x;
    } else if (counts_points(stage)) {
        take_x();
        if (const auto* first = std::get_if<FirstStage>(&stage.what)) {
            steps.emplace_back(FirstStep{first->points});
        } else if (const auto* last = std::get_if<LastStage>(&stage.what)) {
            steps.emplace_back(LastStep{last->points});
        } else {
            add_every(std::get<EveryStage>(stage.what));
        }
        is_counted_ = true;
    }
    return {};
}

// Smoothing that follows a range sees the points that the range hides: the range takes effect
// behind it.
std::optional<size_t> AxisPlanner::last_smoothing_behind(size_t at) const {
    std::optional<size_t> last;
    for (size_t i = at + 1; i < stages_.size() && !counts_points(stages_[i]); ++i) {
        last = is_smoothing(stages_[i]) ? i : last;
    }
    return last;
}

Status AxisPlanner::add_range(size_t at, const Range& range, bool is_of_steps) {
    if (is_reindexed_ && is_of_steps) {
        return no_steps(at);
    }
    StatedRange stated;
    const std::optional<KeyRange>& seen = is_of_steps ? anchors_.steps : anchors_.times;
    for (const bool is_from : {true, false}) {
        const RangeEnd& end = is_from ? range.from : range.to;
        TRY_ASSIGN((is_from ? stated.lo : stated.hi), is_of_steps
                                                          ? resolve_step(end, anchors_, text_)
                                                          : resolve_time(end, anchors_, text_));
    }
    plan_.has_moving_range = plan_.has_moving_range || moves(range.from) || moves(range.to);
    const bool is_nothing = needs_range(range) && !seen;
    if (is_of_steps && axis_ == Axis::kTimed) {
        return {};  // such series were left out
    }
    if (is_nothing) {
        plan_.pipeline.scan = kNothing;
    }
    const bool is_of_keys =
        is_of_steps || (axis_ == Axis::kTimed && plan_.column == XColumn::kTime);
    const KeyRange keys = key_range_of(stated);
    if (is_of_keys) {
        narrow_stated(plan_.stated, stated);
    }
    if (!is_of_steps) {
        narrow_stated(stated_times_, stated);
    }
    if (is_of_keys) {
        add_step(at, KeyRangeStep{keys}, true);
    } else {
        add_step(at, TimeRangeStep{keys}, false);
    }
    return {};
}

// A range of keys is not read at all where nobody looks beyond it.
void AxisPlanner::add_step(size_t at, PipelineStep step, bool is_of_keys) {
    const std::optional<size_t> smoothing = last_smoothing_behind(at);
    if (is_of_keys && !is_counted_ && !is_reindexed_) {
        const KeyRange range = std::get<KeyRangeStep>(step).range;
        if (!smoothing && !is_smoothed_) {
            narrow_range(plan_.pipeline.scan, range);
            return;
        }
        // Smoothing looks back, never ahead.
        narrow_range(plan_.pipeline.scan, {kKeyMin, range.last});
    }
    if (smoothing) {
        hidden_[*smoothing].push_back(std::move(step));
    } else {
        plan_.pipeline.steps.push_back(std::move(step));
    }
}

void AxisPlanner::add_every(const EveryStage& every) {
    if ((plan_.column == XColumn::kTime) != (every.width_us != 0)) {
        plan_.mismatch = plan_.mismatch == nullptr ? &every : plan_.mismatch;
        return;
    }
    plan_.pipeline.steps.emplace_back(every);
    // Windows begin before the points that are in them.
    plan_.stated = StatedRange();
    stated_times_ = StatedRange();
}

void AxisPlanner::take_x() {
    const XStage* x = std::exchange(x_, nullptr);
    if (x == nullptr) {
        return;
    }
    const XColumn column = x->x == XStage::X::kStep   ? XColumn::kStep
                           : x->x == XStage::X::kTime ? XColumn::kTime
                                                      : XColumn::kNumber;
    if (column == plan_.column && column != XColumn::kNumber) {
        return;
    }
    ReindexStep step;
    step.x = x->x;
    step.column = column;
    step.number = x->number;
    step.run_starts = anchors_.run_starts;
    plan_.pipeline.steps.emplace_back(std::move(step));
    plan_.column = column;
    plan_.stated = column == XColumn::kTime ? stated_times_ : StatedRange();
    is_reindexed_ = true;
}

}  // namespace

AnchorNeeds anchor_needs(std::span<const Stage> stages) {
    AnchorNeeds needs;
    for (const Stage& stage : stages) {
        if (const auto* steps = std::get_if<StepsStage>(&stage.what)) {
            needs.steps = needs.steps || needs_range(steps->range);
        } else if (const auto* time = std::get_if<TimeStage>(&stage.what)) {
            needs.times = needs.times || needs_range(time->range);
        } else if (const auto* x = std::get_if<XStage>(&stage.what)) {
            needs.run_starts =
                needs.run_starts || x->x == XStage::X::kElapsed || uses_elapsed(x->expression);
        } else if (const auto* when = std::get_if<WhenStage>(&stage.what)) {
            needs.run_starts = needs.run_starts || uses_elapsed(when->condition);
        }
    }
    return needs;
}

Result<Plan> make_plan(std::span<const Stage> stages, const Anchors& anchors,
                       std::string_view query_text) {
    Plan plan;
    TRY_ASSIGN(plan.stepped, AxisPlanner(Axis::kStepped, stages, anchors, query_text).plan());
    TRY_ASSIGN(plan.timed, AxisPlanner(Axis::kTimed, stages, anchors, query_text).plan());
    return plan;
}

Result<Plan> make_range_plan(std::span<const Stage> stages, const Anchors& anchors,
                             std::string_view query_text) {
    std::vector<Stage> ranges;
    std::ranges::copy_if(stages, std::back_inserter(ranges), [](const Stage& stage) {
        return std::holds_alternative<StepsStage>(stage.what) ||
               std::holds_alternative<TimeStage>(stage.what);
    });
    return make_plan(ranges, anchors, query_text);
}

}  // namespace stepdb
