#include "tools/output/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/model/cell_text.h"
#include "tools/output/chart_drawing.h"
#include "tools/output/result_writer.h"

namespace stepdb {

namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kCellsMin = 16;
// Of all series; some 60 MiB.
constexpr size_t kAllPointsMax = size_t{1} << 20U;

// The cell as a double, whatever number it is; kNothing if it is null.
double number_at(const ColumnCells& cells, uint32_t row) {
    if (cells.is_null(row)) {
        return kNothing;
    }
    switch (cells.type()) {
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            return cells.doubles()[row];
        case ColumnType::kTime:
            return static_cast<double>(cells.times()[row]);
        case ColumnType::kUint64:
            return static_cast<double>(cells.uint64s()[row]);
        case ColumnType::kText:
            break;
    }
    return kNothing;
}

double number_of(const ResultBlock& block, std::optional<size_t> column, uint32_t row) {
    return column ? number_at(block.column(*column), row) : kNothing;
}

uint64_t count_of(const ResultBlock& block, std::optional<size_t> column, uint32_t row) {
    if (!column || block.column(*column).is_null(row)) {
        return 0;
    }
    return block.column(*column).uint64s()[row];
}

// Names that say themselves what they are.
bool is_bare(std::string_view label) {
    return label == "run" || label == "metric";
}

}  // namespace

bool Chart::is_of_buckets(std::span<const ResultColumn> columns) {
    const Result<ChartColumns> found = ChartColumns::find(columns);
    return found && found->in_buckets();
}

Status Chart::begin(std::span<const ResultColumn> columns) {
    TRY_ASSIGN(columns_, ChartColumns::find(columns));
    return {};
}

void Chart::block(const ResultBlock& block) {
    Texts texts;
    for (const size_t label : columns_.labels) {
        texts.push_back(block.column(label).texts());
    }
    for (uint32_t row = 0; row < block.rows(); ++row) {
        add_row(series_of(block, texts, row), block, row);
    }
}

ChartSeries& Chart::series_of(const ResultBlock& block, const Texts& texts, uint32_t row) {
    std::string key;
    for (size_t i = 0; i < columns_.labels.size(); ++i) {
        const ColumnCells& cells = block.column(columns_.labels[i]);
        key += cells.is_null(row) ? '\0' : '\1';
        if (texts[i].empty()) {
            key += exact_cell(cells, row, {});
        } else {
            key += texts[i][row];
        }
    }
    // Answers come series by series, so the last one is nearly always meant.
    if (series_.empty() || key != key_) {
        const auto [found, is_new] = numbers_.try_emplace(key, series_.size());
        series_number_ = found->second;
        if (is_new) {
            series_.emplace_back().name = name_of(block, texts, row);
        }
        key_ = std::move(key);
    }
    return series_[series_number_];
}

std::string Chart::name_of(const ResultBlock& block, const Texts& texts, uint32_t row) const {
    std::string name;
    bool was_bare = false;
    for (size_t i = 0; i < columns_.labels.size(); ++i) {
        const ColumnCells& cells = block.column(columns_.labels[i]);
        const std::string& label = columns_.label_names[i];
        const bool bare = is_bare(label) && !cells.is_null(row);
        if (i > 0) {
            name += was_bare && bare ? " · " : ", ";
        }
        was_bare = bare;
        if (cells.is_null(row)) {
            name += "no " + label;
            continue;
        }
        name += bare ? "" : label + "=";
        name += exact_cell(cells, row, texts[i].empty() ? std::string_view() : texts[i][row]);
    }
    return columns_.labels.empty() ? "all series" : name;
}

void Chart::add_row(ChartSeries& series, const ResultBlock& block, uint32_t row) {
    ChartBucket bucket;
    bucket.lo = number_of(block, columns_.lo, row);
    bucket.hi = number_of(block, columns_.hi, row);
    if (!std::isfinite(bucket.lo) || !std::isfinite(bucket.hi)) {
        return;
    }
    bucket.mean = number_of(block, columns_.line, row);
    if (columns_.deviation) {
        const double deviation = number_of(block, columns_.deviation, row);
        bucket.min = bucket.mean - deviation;
        bucket.max = bucket.mean + deviation;
    } else {
        bucket.min = number_of(block, columns_.low, row);
        bucket.max = number_of(block, columns_.high, row);
    }
    const bool has_band = std::isfinite(bucket.min) && std::isfinite(bucket.max);
    if (!columns_.line && has_band) {
        bucket.mean = bucket.min / 2 + bucket.max / 2;  // to place the label
    } else if (!has_band) {
        bucket.min = bucket.max = bucket.mean;  // a line alone takes no room above and below
    }
    count_points(series, bucket, block, row);
    series.add(bucket);
    see_edges(bucket);
    if (!columns_.in_buckets()) {
        ++points_;
        keep_within_bounds(series);
    }
}

void Chart::count_points(ChartSeries& series, ChartBucket& bucket, const ResultBlock& block,
                         uint32_t row) const {
    const uint64_t count = count_of(block, columns_.count, row);
    if (std::isfinite(bucket.mean)) {
        bucket.count = columns_.count ? count : 1;
    }
    if (columns_.is_combined && count > 0) {
        series.combined_min = std::min(series.combined_min, count);
        series.combined_max = std::max(series.combined_max, count);
    } else if (!columns_.in_buckets() || columns_.count) {
        series.points += bucket.count;
    }
    uint64_t nan = count_of(block, columns_.nan, row);
    uint64_t pinf = count_of(block, columns_.pinf, row);
    uint64_t ninf = count_of(block, columns_.ninf, row);
    // An answer that does not count them may still have them.
    if (!columns_.nan && !columns_.pinf && !columns_.ninf && columns_.line &&
        !block.column(*columns_.line).is_null(row) && !std::isfinite(bucket.mean)) {
        nan += std::isnan(bucket.mean) ? 1U : 0U;
        pinf += bucket.mean > 0 ? 1U : 0U;
        ninf += bucket.mean < 0 ? 1U : 0U;
    }
    bucket.non_finite = nan + pinf + ninf > 0;
    series.nan += nan;
    series.pinf += pinf;
    series.ninf += ninf;
}

void Chart::keep_within_bounds(ChartSeries& series) {
    if (series.buckets.size() > 2 * cells_) {
        points_ -= series.buckets.size();
        series.merge_neighbours(cells_);
        points_ += series.buckets.size();
    }
    while (points_ > kAllPointsMax && cells_ > kCellsMin) {
        cells_ /= 2;
        points_ = 0;
        for (ChartSeries& each : series_) {
            if (each.buckets.size() > cells_) {
                each.merge_neighbours(cells_);
                each.buckets.shrink_to_fit();
            }
            points_ += each.buckets.size();
        }
    }
}

void Chart::see_edges(const ChartBucket& bucket) {
    x_lo_ = std::min(x_lo_, bucket.lo);
    x_hi_ = std::max(x_hi_, bucket.hi);
    if (columns_.in_buckets() && bucket.lo > 0) {
        const double ratio = std::log(bucket.hi) - std::log(bucket.lo);
        ratio_min_ = std::min(ratio_min_, ratio);
        ratio_max_ = std::max(ratio_max_, ratio);
    }
}

bool Chart::is_logarithmic() const {
    // Below, the edges of equal widths are too nearly in equal ratios to tell, and to look
    // different.
    constexpr double kRangeMin = 1.5;
    constexpr double kTolerance = 1e-6;
    if (!columns_.in_buckets() || columns_.is_timed || !(x_lo_ > 0) ||
        !(x_hi_ / x_lo_ >= kRangeMin)) {
        return false;
    }
    const bool is_one_bucket = ratio_max_ > 0.999 * std::log(x_hi_ / x_lo_);
    return !is_one_bucket && ratio_max_ - ratio_min_ <= kTolerance * ratio_max_;
}

std::string Chart::render(const ChartOptions& options) const {
    ChartScale scale;
    scale.is_timed = columns_.is_timed;
    scale.is_logarithmic = is_logarithmic();
    scale.x_name = columns_.is_timed || options.x_name.empty() ? columns_.x_name : options.x_name;
    return ChartDrawing(series_, columns_, scale, options).text();
}

}  // namespace stepdb
