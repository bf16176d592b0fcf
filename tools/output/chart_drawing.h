// The drawing half of a chart; see chart.h.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/output/axis.h"
#include "tools/output/canvas.h"
#include "tools/output/chart.h"

namespace stepdb {

// The axis of x.
struct ChartScale {
    bool is_timed = false;
    bool is_logarithmic = false;  // everything is above 0
    std::string x_name;
};

// Lays out and draws once. The series and columns outlive it.
class ChartDrawing {
  public:
    ChartDrawing(std::span<const ChartSeries> series, const ChartColumns& columns, ChartScale scale,
                 const ChartOptions& options);

    std::string text() const;

  private:
    // What one dot column shows of a series: its values, no place.
    using DotColumn = ChartBucket;

    // A part of the legend.
    struct Fact {
        std::string text;
        bool is_warning = false;
    };

    void find_ranges();
    void lay_out();
    // Where x lies on the axis, from 0 to 1.
    double place_of(double x) const;
    int dot_at(double place) const;
    int dot_x(double x) const { return dot_at(place_of(x)); }
    // Of a bucket's middle.
    int dot_of(const ChartBucket& bucket) const;
    int dot_y(double y) const;
    std::vector<DotColumn> dot_columns(const ChartSeries& series) const;
    // Carries line and band on from point to point, over gaps of up to `bridged` dot columns.
    void fill_gaps(std::vector<DotColumn>& columns, int bridged) const;
    // Whether the band covers this dot.
    bool covers(const std::vector<DotColumn>& columns, int x, int y) const;
    void draw_series(size_t index);
    void draw_line(const std::vector<DotColumn>& columns, size_t index);
    // Gaps up to this many dot columns are bridged by the line: three times the usual distance of
    // the series' points, so that a sparse series is a line and a pause is a gap; any gap where
    // there is no usual distance.
    int bridged_columns(const ChartSeries& series) const;
    void connect(int from_x, int from_y, int to_x, int to_y, uint8_t color);
    void label_end(int y, uint8_t color, size_t index);
    void mark_non_finite(const ChartSeries& series);

    std::string legend() const;
    std::string legend_entry(size_t index) const;
    std::vector<Fact> facts_of(const ChartSeries& series) const;
    // As a line of its own for each width that is full.
    std::string wrapped(const std::vector<Fact>& facts) const;
    std::string warning(std::string_view text) const;
    std::string axis_line() const;
    std::string tick_labels() const;

    std::span<const ChartSeries> series_;
    const ChartColumns& columns_;
    ChartScale scale_;
    ChartOptions options_;
    double x_lo_ = 0;
    double x_hi_ = 0;
    double y_lo_ = 0;
    double y_hi_ = 0;
    bool any_finite_ = false;
    int label_width_ = 0;  // of the y axis
    int width_ = 0;        // of the canvas, in cells
    std::vector<Tick> y_ticks_;
    std::vector<Tick> x_ticks_;
    Canvas canvas_{1, 1};
    std::vector<bool> crosses_;            // by cell: non-finite points here
    std::vector<std::string> end_labels_;  // by row of cells
};

}  // namespace stepdb
