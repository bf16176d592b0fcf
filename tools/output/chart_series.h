// What a chart keeps of each series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace stepdb {

// A bucket as it is drawn, or a point, or points that lie so close together that they are drawn as
// one. x is a step, another number, or microseconds since the epoch.
struct ChartBucket {
    double lo = 0;
    double hi = 0;
    double min = 0;
    double max = 0;
    double mean = 0;
    uint64_t count = 0;       // what the mean weighs; without it the three above say nothing
    bool non_finite = false;  // has NaN or infinities

    double middle() const { return lo / 2 + hi / 2; }
    // Takes in the values of another one, not its place.
    void add_values(const ChartBucket& other);
};

struct ChartSeries {
    std::string name;
    std::vector<ChartBucket> buckets;
    uint64_t points = 0;  // finite ones; 0: not known
    uint64_t nan = 0;
    uint64_t pinf = 0;
    uint64_t ninf = 0;
    // Of what is drawn.
    double min = std::numeric_limits<double>::infinity();
    double max = -std::numeric_limits<double>::infinity();
    // Where values are of several series: of how many, where there are any.
    uint64_t combined_min = std::numeric_limits<uint64_t>::max();
    uint64_t combined_max = 0;

    bool has_finite() const { return min <= max; }
    void add(const ChartBucket& bucket);
    // Merges buckets of which the middles share one of `cells` parts of the series' range, so that
    // at most that many are left, in the order of x. Extremes and counts stay what they were.
    void merge_neighbours(size_t cells);
};

// Where `value` lies between the ends, as 0 to 1; the middle if they are one.
double part_of(double value, double lo, double hi);

}  // namespace stepdb
