// The series of a query, behind its stages of points.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/query/plain/query.h"
#include "tests/query/plain/world.h"

namespace stepdb::plain {

// What the points of an answer are laid out by.
enum class XKind : uint8_t { kOwn, kTime, kNumber };

struct SeriesSet {
    std::vector<Series> series;  // in the order of the answer
    XKind x = XKind::kOwn;
    bool had_stepped = false;  // before `top` and `bottom`
    bool had_timed = false;
    // What ranges state of the axis that the points have.
    std::optional<double> lo;
    std::optional<double> hi;
};

// Its step or time, in microseconds, or x.
double place_of(const Series& series, const Point& point, XKind x);

bool comes_before(const Series& a, const Series& b);

std::vector<const Run*> select_runs(const World& world, const Query& query,
                                    std::vector<std::map<std::string, std::string>>* captures);

// Whether `name` matches the glob, in which `{l}` captures.
bool matches(const std::string& glob, const std::string& name,
             std::map<std::string, std::string>& captures);

// Terms and stages.
SeriesSet evaluate_series(const World& world, const Query& query);

// Terms alone. stages.cc and terms.cc need each other for queries in parentheses.
std::vector<Series> evaluate_terms(const World& world, const Query& query);

}  // namespace stepdb::plain
