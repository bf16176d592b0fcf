// The intermediate form of what a query does with the points of each series: ranges of keys that
// are read at all, and steps through which the points go one after the other. Pure: anchors come in
// resolved. A pipeline without steps is a range of a series and nothing else, which is what an
// index can answer from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/key.h"
#include "query/ast.h"

namespace stepdb {

struct KeyRangeStep {
    KeyRange range;
};

struct TimeRangeStep {
    KeyRange range;  // microseconds
};

struct FirstStep {
    uint64_t points = 0;
};

struct LastStep {
    uint64_t points = 0;
};

// The earliest time of the series of each bound run, in microseconds: where `elapsed` begins.
using RunStarts = std::shared_ptr<const std::unordered_map<size_t, int64_t>>;

struct WhenStep {
    size_t number = 0;  // of the condition among the query's expressions on points
    RunStarts run_starts;
};

// What x is from here on, beside times in how it is shown and laid out.
enum class XColumn : uint8_t { kStep, kTime, kNumber };

// From here on the points have other keys: x, a number as the key of a step, or a time. They come
// in its order, equal ones in the order in which they were.
struct ReindexStep {
    XStage::X x = XStage::X::kStep;
    XColumn column = XColumn::kStep;
    size_t number = 0;  // of the expression
    RunStarts run_starts;
};

// Only points whose x is above 0: those that logarithmic buckets have a place for.
struct PositiveStep {};

using PipelineStep = std::variant<KeyRangeStep, TimeRangeStep, FirstStep, LastStep, WhenStep,
                                  SmoothStage, EveryStage, ReindexStep, PositiveStep>;

// The way of the points of one series from the store to the answer.
struct Pipeline {
    KeyRange scan;  // what is read at all
    std::vector<PipelineStep> steps;
};

// The ends that a query states for an axis; open ones are unset.
struct StatedRange {
    std::optional<Key> lo;
    std::optional<Key> hi;
};

struct AxisPlan {
    Pipeline pipeline;
    StatedRange stated;  // of what x is in the end
    XColumn column = XColumn::kStep;
    // An end is `start`, `end` or `now`: it is elsewhere when there are more points, or later.
    bool has_moving_range = false;
    // A width of `every` that is none of this axis.
    const EveryStage* mismatch = nullptr;
};

struct Plan {
    AxisPlan stepped;
    AxisPlan timed;

    const AxisPlan& of(Axis axis) const { return axis == Axis::kStepped ? stepped : timed; }
};

// `start` and `end` over all selected series, and `now`. Ranges unset: no point, or nobody asked.
struct Anchors {
    std::optional<KeyRange> steps;
    std::optional<KeyRange> times;
    int64_t now_us = 0;
    double fork_step = 0;  // where a query asks for it
    RunStarts run_starts;
};

// Which of them a query needs.
struct AnchorNeeds {
    bool steps = false;
    bool times = false;
    bool run_starts = false;
};

AnchorNeeds anchor_needs(std::span<const Stage> stages);

// kInvalidArgument at the place of an end that leaves the numbers or times there are, and of a
// stage that comes too late. Anchors that are needed and unset stand for an empty range. `stages`
// outlive the plan. RankStages are passed over: they choose series, and do nothing to their points.
Result<Plan> make_plan(std::span<const Stage> stages, const Anchors& anchors,
                       std::string_view query_text);

// The plan of the ranges among the stages alone.
Result<Plan> make_range_plan(std::span<const Stage> stages, const Anchors& anchors,
                             std::string_view query_text);

}  // namespace stepdb
