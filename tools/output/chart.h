// A bucketed answer as a chart in the terminal: for each series the band between minimum and
// maximum (dotted) and the line of the means (solid), in braille characters; of what an answer left
// out nothing is drawn, and of a minimum or maximum alone its line. Nothing is left out by
// drawing: where several buckets share a dot column their extremes are drawn, so a spike of one
// point stands out; buckets with NaN or infinities are marked by a cross on the axis, and the
// legend counts them. Several series are told apart by colour and by a number at the right end of
// their line.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

struct ChartOptions {
    int width = 100;     // columns in all; at least 40 are taken
    int height = 20;     // rows of the drawing itself, without axis and legend; at least 4
    bool color = false;  // ANSI colours
};

// One bucket as it is drawn. x is a step or microseconds since the epoch.
struct ChartBucket {
    double lo = 0;
    double hi = 0;
    double min = 0;
    double max = 0;
    double mean = 0;
    uint64_t count = 0;       // finite points; without them the three above say nothing
    bool non_finite = false;  // has NaN or infinities
};

struct ChartSeries {
    std::string run;
    std::string metric;
    bool has_band = true;      // min and max
    bool has_line = true;      // mean, or whatever stands for it
    std::string_view line_of;  // what the line shows, if it is not the mean
    std::vector<ChartBucket> buckets;
    uint64_t count = 0;
    uint64_t nan = 0;
    uint64_t pinf = 0;
    uint64_t ninf = 0;
    double min = std::numeric_limits<double>::infinity();
    double max = -std::numeric_limits<double>::infinity();

    bool has_finite() const { return min <= max; }
};

// Collects the blocks of one answer, then draws it. Single-threaded.
class Chart {
  public:
    // Whether the columns are those of a bucketed answer that can be drawn: lo and hi, and one of
    // mean, min and max.
    static bool can_draw(std::span<const ResultColumn> columns);

    // kInvalidArgument unless can_draw(columns).
    Status begin(std::span<const ResultColumn> columns);
    // A complete block of those columns.
    void block(const ResultBlock& block);

    // Legend, drawing and axes, each line ended by a newline.
    std::string render(const ChartOptions& options) const;

  private:
    // Where each column lies, if it is there.
    struct Columns {
        std::optional<size_t> run, metric, lo, hi, count, nan, pinf, ninf, min, max, mean;
    };
    static Columns find_columns(std::span<const ResultColumn> columns);

    ChartSeries& series_of(std::string_view run, std::string_view metric);
    void add_bucket(ChartSeries& series, const ResultBlock& block, uint32_t row) const;

    Columns columns_;
    bool timed_ = false;
    std::vector<ChartSeries> series_;
};

}  // namespace stepdb
