// What of an answer's columns a chart draws, and as what.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

// Columns before those of x name the series; of what is behind them one is the line, and two are
// the ends of the band, or one its half width. There is a line, a band or both.
struct ChartColumns {
    ChartColumns() = default;

    // kInvalidArgument, which says what to ask for instead, if there is nothing to draw.
    static Result<ChartColumns> find(std::span<const ResultColumn> columns);

    bool has_band() const { return low.has_value() || deviation.has_value(); }
    // What the values are of is buckets, not points.
    bool in_buckets() const { return lo != hi; }

    std::vector<size_t> labels;
    std::vector<std::string> label_names;
    size_t lo = 0;
    size_t hi = 0;             // of points lo again
    bool is_timed = false;     // x is a time
    bool is_combined = false;  // each value is of several series, and `count` tells of how many
    std::optional<size_t> line;
    std::optional<size_t> low, high;  // of the band
    std::optional<size_t> deviation;  // the band is the line plus and minus this
    std::optional<size_t> count, nan, pinf, ninf;
    std::string x_name;  // "step", "UTC" or "x"
    // What line and band are, as in "median, p10 to p90". Empty if the band is from minimum to
    // maximum of the points, or the line their values, so that what is drawn ends at those.
    std::string shows;

  private:
    Status find_x(std::span<const ResultColumn> columns);
    void find_values(std::span<const ResultColumn> columns);
    void describe(std::span<const ResultColumn> columns);
};

}  // namespace stepdb
