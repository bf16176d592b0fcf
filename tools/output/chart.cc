#include "tools/output/chart.h"

#include <algorithm>
#include <cmath>

#include "tools/output/chart_drawing.h"

namespace stepdb {

namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

std::string_view text_at(const std::vector<std::string_view>& texts, uint32_t row) {
    return texts.empty() ? std::string_view() : texts[row];
}

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

std::vector<std::string_view> texts_of(const ResultBlock& block, std::optional<size_t> column) {
    return column ? block.column(*column).texts() : std::vector<std::string_view>();
}

}  // namespace

Chart::Columns Chart::find_columns(std::span<const ResultColumn> columns) {
    const auto find = [&](std::string_view name, auto... types) -> std::optional<size_t> {
        for (size_t i = 0; i < columns.size(); ++i) {
            if (columns[i].name == name && ((columns[i].type == types) || ...)) {
                return i;
            }
        }
        return std::nullopt;
    };
    Columns found;
    found.run = find("run", ColumnType::kText);
    found.metric = find("metric", ColumnType::kText);
    found.lo = find("lo", ColumnType::kStep, ColumnType::kTime);
    found.hi = find("hi", ColumnType::kStep, ColumnType::kTime);
    found.count = find("count", ColumnType::kUint64);
    found.nan = find("nan", ColumnType::kUint64);
    found.pinf = find("pinf", ColumnType::kUint64);
    found.ninf = find("ninf", ColumnType::kUint64);
    found.min = find("min", ColumnType::kFloat64);
    found.max = find("max", ColumnType::kFloat64);
    found.mean = find("mean", ColumnType::kFloat64);
    return found;
}

bool Chart::can_draw(std::span<const ResultColumn> columns) {
    const Columns found = find_columns(columns);
    return found.lo && found.hi && (found.mean || found.min || found.max);
}

Status Chart::begin(std::span<const ResultColumn> columns) {
    if (!can_draw(columns)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "only an answer in buckets with mean, min or max can be drawn as a "
                          "chart: add `| buckets 200`");
    }
    columns_ = find_columns(columns);
    timed_ = columns[*columns_.lo].type == ColumnType::kTime;
    return {};
}

ChartSeries& Chart::series_of(std::string_view run, std::string_view metric) {
    // Answers come series by series, so the last one is nearly always meant.
    for (auto series = series_.rbegin(); series != series_.rend(); ++series) {
        if (series->run == run && series->metric == metric) {
            return *series;
        }
    }
    ChartSeries& added = series_.emplace_back();
    added.run = run;
    added.metric = metric;
    added.has_band = columns_.min && columns_.max;
    added.has_line = columns_.mean || !added.has_band;
    added.line_of = columns_.mean ? "mean" : columns_.min ? "min" : "max";
    return added;
}

void Chart::block(const ResultBlock& block) {
    const std::vector<std::string_view> runs = texts_of(block, columns_.run);
    const std::vector<std::string_view> metrics = texts_of(block, columns_.metric);
    for (uint32_t row = 0; row < block.rows(); ++row) {
        add_bucket(series_of(text_at(runs, row), text_at(metrics, row)), block, row);
    }
}

void Chart::add_bucket(ChartSeries& series, const ResultBlock& block, uint32_t row) const {
    ChartBucket bucket;
    bucket.lo = number_of(block, columns_.lo, row);
    bucket.hi = number_of(block, columns_.hi, row);
    if (!std::isfinite(bucket.lo) || !std::isfinite(bucket.hi)) {
        return;
    }
    bucket.min = number_of(block, columns_.min, row);
    bucket.max = number_of(block, columns_.max, row);
    bucket.mean = number_of(block, columns_.mean, row);
    // An answer may leave out what was not asked for. A line alone takes no room above and below;
    // where only a band is drawn, its middle stands for the line, to place the label.
    if (!series.has_band) {
        bucket.mean = columns_.mean ? bucket.mean : columns_.min ? bucket.min : bucket.max;
        bucket.min = bucket.max = bucket.mean;
    } else if (!series.has_line) {
        bucket.mean = bucket.min / 2 + bucket.max / 2;
    }
    const bool drawable =
        std::isfinite(bucket.min) && std::isfinite(bucket.max) && std::isfinite(bucket.mean);
    if (drawable) {
        bucket.count = columns_.count ? count_of(block, columns_.count, row) : 1;
        series.min = std::min(series.min, bucket.min);
        series.max = std::max(series.max, bucket.max);
    }
    const uint64_t nan = count_of(block, columns_.nan, row);
    const uint64_t pinf = count_of(block, columns_.pinf, row);
    const uint64_t ninf = count_of(block, columns_.ninf, row);
    bucket.non_finite = nan + pinf + ninf > 0;
    series.count += columns_.count ? bucket.count : 0;
    series.nan += nan;
    series.pinf += pinf;
    series.ninf += ninf;
    series.buckets.push_back(bucket);
}

std::string Chart::render(const ChartOptions& options) const {
    return ChartDrawing(series_, timed_, options).text();
}

}  // namespace stepdb
