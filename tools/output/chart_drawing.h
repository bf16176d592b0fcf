// The drawing half of a chart; see chart.h.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tools/output/axis.h"
#include "tools/output/canvas.h"
#include "tools/output/chart.h"

namespace stepdb {

// Lays out and draws once. The series outlive it.
class ChartDrawing {
  public:
    ChartDrawing(std::span<const ChartSeries> series, bool timed, const ChartOptions& options);

    std::string text() const;

  private:
    // What one dot column shows of a series.
    struct DotColumn {
        double min = 0;
        double max = 0;
        double mean = 0;
        uint64_t count = 0;
    };

    void find_ranges();
    void lay_out();
    int dot_x(double x) const;
    int dot_y(double y) const;
    std::vector<DotColumn> dot_columns(const ChartSeries& series) const;
    // Whether the band covers this dot.
    bool covers(const std::vector<DotColumn>& columns, int x, int y) const;
    void draw_series(size_t index);
    void draw_line(const std::vector<DotColumn>& columns, size_t index);
    // Gaps up to this many dot columns are bridged by the line: three times the usual distance of
    // the series' points, so that a sparse series is a line and a pause is a gap.
    int bridged_columns(const ChartSeries& series) const;
    void label_end(int y, uint8_t color, size_t index);
    void mark_non_finite(const ChartSeries& series);

    std::string legend() const;
    std::string legend_line(size_t index) const;
    std::string axis_line() const;
    std::string tick_labels() const;

    std::span<const ChartSeries> series_;
    bool timed_;
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
