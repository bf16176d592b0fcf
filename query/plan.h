// What is done with the points of each series: ranges in keys, and what limits them, in order.
// Pure: anchors come in resolved.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/key.h"
#include "query/ast.h"

namespace stepdb {

struct PipelineStep {
    enum class Kind : uint8_t { kKeyRange, kTimeRange, kFirst, kLast, kWhen };

    Kind kind = Kind::kKeyRange;
    KeyRange range;        // of keys, or of times in microseconds
    uint64_t points = 0;   // of kFirst and kLast
    size_t condition = 0;  // of kWhen: its number among the query's
};

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
    StatedRange stated;
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
};

// Which of them a query needs.
struct AnchorNeeds {
    bool steps = false;
    bool times = false;
};

AnchorNeeds anchor_needs(const SeriesQuery& query);

// kInvalidArgument at the place of an end that leaves the numbers or times there are. Anchors that
// are needed and unset stand for an empty range.
Result<Plan> make_plan(const SeriesQuery& query, const Anchors& anchors,
                       std::string_view query_text);

}  // namespace stepdb
