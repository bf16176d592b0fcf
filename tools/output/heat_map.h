// An answer of `pivot x` in the terminal: a line for each series, shaded along x. Where several
// values share a cell the greatest counts, so a spike of one bucket stands out; what is not finite
// is a cross, and where there is nothing nothing is drawn. The scale is logarithmic where all
// values are above zero and far apart, as norms of gradients are.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/result_columns.h"
#include "tools/output/chart.h"

namespace stepdb {

// Collects the blocks of one answer, then draws it. Single-threaded.
class HeatMap {
  public:
    // Whether these are the columns of such an answer: texts that say of what a row is, then
    // numbers called by an x that ascends.
    static bool is_of(std::span<const ResultColumn> columns);

    // is_of(columns) holds.
    explicit HeatMap(std::span<const ResultColumn> columns);
    // A complete block of those columns.
    void block(const ResultBlock& block);

    // Legend, lines and x, each ended by a newline. The height is that of the lines.
    std::string render(const ChartOptions& options) const;

  private:
    struct Line {
        std::vector<std::string> labels;
        std::vector<std::optional<double>> values;
    };
    struct Scale {
        double lo = 0;
        double hi = 0;
        bool is_logarithmic = false;
        bool has_finite = false;

        // Of a finite value, 0 to 1.
        double place_of(double value) const;
    };

    Scale find_scale() const;
    std::vector<std::string> line_names() const;
    // Of the values that share a cell.
    static std::optional<double> value_of(std::span<const std::optional<double>> shared);
    std::string cells_of(const Line& line, const Scale& scale, size_t cells,
                         const ChartOptions& options) const;
    std::string legend_of(const Scale& scale, const ChartOptions& options) const;

    std::vector<ResultColumn> columns_;
    size_t labels_ = 0;
    std::vector<Line> lines_;
};

}  // namespace stepdb
