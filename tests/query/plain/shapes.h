// What an answer makes of series: points, buckets, summaries, and the combinations of groups.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/query/plain/evaluator.h"
#include "tests/query/plain/stages.h"

namespace stepdb::plain {

// One bucket of one series.
struct Bucket {
    double lo = 0;
    double hi = 0;
    std::vector<Point> points;
};

// The grid over all series and what lies in it; empty if there is no grid.
std::vector<std::vector<Bucket>> divide(const Query& query, SeriesSet& set);

// The place as the answer shows it: a time or a number.
Cell place_cell(const SeriesSet& set, double at);
// "step", "time" or "x".
std::string place_name(const SeriesSet& set);
bool places_are_times(const SeriesSet& set);

Table show_series(const Query& query, SeriesSet& set);
Table show_groups(const World& world, const Query& query, SeriesSet& set);
Table pivot(const Query& query, const Table& table);

}  // namespace stepdb::plain
