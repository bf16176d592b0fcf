// Expressions of `where`, `when`, `x`, `top` and `bottom`.
#pragma once

#include <optional>

#include "tests/query/plain/query.h"
#include "tests/query/plain/world.h"

namespace stepdb::plain {

// What an expression is about; `series` and `point` may be null.
struct Subject {
    const World* world = nullptr;
    const Run* run = nullptr;  // null: of several runs
    const Series* series = nullptr;
    const Point* point = nullptr;
    double elapsed_from_us = 0;
    bool has_lost_key = false;  // of the point: its step and time are no row's
    // What statistics of metrics see of them.
    std::optional<double> step_from, step_to, time_from, time_to;
};

// Unset: missing.
std::optional<Number> value_of(const Expression& expression, const Subject& subject);
// Whether it looks up points of a metric by their key.
bool reads_metrics(const Expression& expression);
// Undecidable if it has a name that none of the runs knows, which is an error.
void check_names(const Expression& expression, const std::vector<const Run*>& runs);
bool holds(const Expression& expression, const Subject& subject);

}  // namespace stepdb::plain
