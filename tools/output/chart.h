// An answer as a chart in the terminal, in braille characters: for each series a line (solid), a
// band around it (dotted), or both. Of buckets the line is that of the means and the band goes from
// minimum to maximum; of what several series were combined to it may go from percentile to
// percentile, or a deviation up and down; of points the line is that of their values. Of what an
// answer left out nothing is drawn.
//
// Nothing is left out by drawing: where several buckets or points share a dot column their extremes
// are drawn as a band, so a spike of one point stands out; NaN and infinities are marked by a cross
// on the axis, and the legend counts them. Several series are told apart by colour and by a number
// at the right end of their line.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/result_columns.h"
#include "tools/output/chart_columns.h"
#include "tools/output/chart_series.h"

namespace stepdb {

struct ChartOptions {
    int width = 100;     // columns in all; at least 40 are taken
    int height = 20;     // rows of the drawing itself, without axis and legend; at least 4
    bool color = false;  // ANSI colours
    std::string
        x_name;  // of numbers along x; empty: what the columns say, which of buckets is a guess
};

// Collects the blocks of one answer, then draws it. Of buckets it keeps all; of points, which may
// be millions, about kPointsKept a series, and less where there are very many series: neighbours
// are merged, which moves what is drawn by a fraction of a dot. Single-threaded.
class Chart {
  public:
    static constexpr size_t kPointsKept = 1024;

    // Whether these are the columns of an answer in buckets that can be drawn.
    static bool is_of_buckets(std::span<const ResultColumn> columns);

    // kInvalidArgument, which says what to ask for instead, if such an answer cannot be drawn.
    Status begin(std::span<const ResultColumn> columns);
    // A complete block of those columns.
    void block(const ResultBlock& block);

    // Legend, drawing and axes, each line ended by a newline.
    std::string render(const ChartOptions& options) const;

  private:
    using Texts = std::vector<std::vector<std::string_view>>;  // by label, by row

    ChartSeries& series_of(const ResultBlock& block, const Texts& texts, uint32_t row);
    std::string name_of(const ResultBlock& block, const Texts& texts, uint32_t row) const;
    void add_row(ChartSeries& series, const ResultBlock& block, uint32_t row);
    void count_points(ChartSeries& series, ChartBucket& bucket, const ResultBlock& block,
                      uint32_t row) const;
    void keep_within_bounds(ChartSeries& series);
    void see_edges(const ChartBucket& bucket);
    bool is_logarithmic() const;

    ChartColumns columns_;
    std::vector<ChartSeries> series_;
    std::unordered_map<std::string, size_t> numbers_;  // of series, by what their labels say
    std::string key_;                                  // of the series of the row before
    size_t series_number_ = 0;                         // of it
    size_t cells_ = kPointsKept;                       // to which the points of a series are merged
    size_t points_ = 0;                                // kept of all series
    // Of buckets: the least and greatest ratio of their edges, as logarithms, and the whole range.
    double ratio_min_ = std::numeric_limits<double>::infinity();
    double ratio_max_ = -std::numeric_limits<double>::infinity();
    double x_lo_ = std::numeric_limits<double>::infinity();
    double x_hi_ = -std::numeric_limits<double>::infinity();
};

}  // namespace stepdb
