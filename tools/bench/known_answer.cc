#include "tools/bench/known_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/base/float_bits.h"
#include "engine/model/cell_text.h"
#include "tools/output/result_writer.h"

namespace stepdb {

namespace {

// Sums and means lie within so much of the sum (mean) of absolute values.
constexpr double kSumTolerance = 1e-12;

constexpr std::array<std::string_view, 14> kAllStatistics = {
    "count", "nan", "pinf", "ninf",  "min",     "min_x", "max",
    "max_x", "sum", "mean", "first", "first_x", "last",  "last_x"};

// Some room also where all are zeros, whose sum may have either sign.
double tolerance_of(long double absolute_sum) {
    return std::max(kSumTolerance * static_cast<double>(absolute_sum),
                    std::numeric_limits<double>::min());
}

std::vector<std::string> bucket_columns(const std::vector<std::string>& statistics) {
    std::vector<std::string> columns = {"run", "metric", "lo", "hi"};
    if (statistics.empty()) {
        columns.insert(columns.end(), kAllStatistics.begin(), kAllStatistics.end());
    } else {
        columns.insert(columns.end(), statistics.begin(), statistics.end());
    }
    return columns;
}

void expect_finite(const KnownBucket& bucket, std::string_view name, Expected& cell) {
    if (bucket.count == 0) {
        cell.set_nothing();
    } else if (name == "sum") {
        cell.set_about(static_cast<double>(bucket.sum), bucket.sum_tolerance());
    } else if (name == "mean") {
        cell.set_about(bucket.mean(), bucket.mean_tolerance());
    } else {
        cell.set_number(name == "min"     ? bucket.min
                        : name == "min_x" ? bucket.min_x
                        : name == "max"   ? bucket.max
                                          : bucket.max_x);
    }
}

void expect_statistic(const KnownBucket& bucket, std::string_view name, Expected& cell) {
    if (name == "count" || name == "nan" || name == "pinf" || name == "ninf") {
        cell.set_number(static_cast<double>(name == "count"  ? bucket.count
                                            : name == "nan"  ? bucket.nan
                                            : name == "pinf" ? bucket.pinf
                                                             : bucket.ninf));
    } else if (name.starts_with("first") || name.starts_with("last")) {
        if (bucket.points() == 0) {
            cell.set_nothing();
            return;
        }
        cell.set_number(name == "first"     ? bucket.first
                        : name == "first_x" ? bucket.first_x
                        : name == "last"    ? bucket.last
                                            : bucket.last_x);
    } else {
        expect_finite(bucket, name, cell);
    }
}

// Series by series, so that what is known of one is all that is in memory.
class BucketsCheck final : public AnswerCheck {
  public:
    BucketsCheck(std::vector<KnownSeries> series, const KnownGrid& grid,
                 const std::vector<std::string>& statistics)
        : AnswerCheck(bucket_columns(statistics), series.size() * grid.buckets),
          series_(std::move(series)),
          grid_(grid) {}

  private:
    void expect(uint64_t row, std::span<Expected> cells) override {
        const KnownSeries& series = series_[row / grid_.buckets];
        const auto at = static_cast<uint32_t>(row % grid_.buckets);
        if (at == 0) {
            buckets_ = known_buckets(series, grid_);
        }
        cells[0].set_text(series.run);
        cells[1].set_text(series.metric);
        cells[2].set_number(grid_.edge(at));
        cells[3].set_number(grid_.edge(at + 1));
        for (size_t column = 4; column < cells.size(); ++column) {
            expect_statistic(buckets_[at], columns()[column], cells[column]);
        }
    }

    std::vector<KnownSeries> series_;
    KnownGrid grid_;
    std::vector<KnownBucket> buckets_;  // of the series whose rows are asked for
};

// The means of all series in one bucket.
struct KnownAcross {
    uint64_t count = 0;
    long double sum = 0;
    double tolerance_sum = 0;
    double max = -std::numeric_limits<double>::infinity();
    double tolerance_max = 0;

    void add(const KnownBucket& bucket) {
        if (bucket.count == 0) {
            return;
        }
        ++count;
        sum += bucket.mean();
        // Once for the mean of the series, and once for the mean of these.
        tolerance_sum += 2 * bucket.mean_tolerance();
        max = std::max(max, bucket.mean());
        tolerance_max = std::max(tolerance_max, bucket.mean_tolerance());
    }
};

}  // namespace

// --- Cells ---

Expected Expected::of_text(std::string_view text) {
    Expected made;
    made.set_text(text);
    return made;
}

Expected Expected::of_number(double number) {
    Expected made;
    made.set_number(number);
    return made;
}

void Expected::set_text(std::string_view text) {
    kind_ = Kind::kText;
    text_ = text;
}

void Expected::set_number(double number) {
    kind_ = Kind::kNumber;
    number_ = number;
}

void Expected::set_about(double number, double tolerance) {
    kind_ = Kind::kAbout;
    number_ = number;
    tolerance_ = tolerance;
}

bool Expected::matches(const ColumnCells& cells, uint32_t row, std::string_view text) const {
    if (cells.is_null(row) || kind_ == Kind::kNothing) {
        return cells.is_null(row) && kind_ == Kind::kNothing;
    }
    switch (cells.type()) {
        case ColumnType::kText:
            return kind_ == Kind::kText && text == text_;
        case ColumnType::kUint64:
            return kind_ == Kind::kNumber && static_cast<double>(cells.uint64s()[row]) == number_;
        case ColumnType::kFloat64:
        case ColumnType::kStep: {
            const double found = cells.doubles()[row];
            return (kind_ == Kind::kNumber && same_bits(found, number_)) ||
                   (kind_ == Kind::kAbout && std::abs(found - number_) <= tolerance_);
        }
        case ColumnType::kTime:
            return false;  // nothing that is asked for has one
    }
    return false;
}

std::string Expected::shown() const {
    switch (kind_) {
        case Kind::kNothing:
            return "nothing";
        case Kind::kText:
            return text_;
        case Kind::kNumber:
            return fmt::format("{}", number_);
        case Kind::kAbout:
            return fmt::format("{} within {:.3g}", number_, tolerance_);
    }
    return {};
}

// --- Answers ---

void AnswerCheck::begin(std::span<const ResultColumn> columns) {
    cells_.resize(columns_.size());
    for (size_t at = 0; at < std::max(columns.size(), columns_.size()) && wrong_.empty(); ++at) {
        const std::string found = at < columns.size() ? columns[at].name : "nothing";
        const std::string& wanted = at < columns_.size() ? columns_[at] : "nothing";
        if (found != wanted) {
            wrong_ = fmt::format("column {} is {} instead of {}", at + 1, found, wanted);
        }
    }
}

void AnswerCheck::take(const ResultBlock& block) {
    std::vector<std::vector<std::string_view>> texts;
    for (size_t at = 0; at < block.width(); ++at) {
        texts.push_back(block.column(at).texts());
    }
    for (uint32_t row = 0; row < block.rows() && wrong_.empty(); ++row) {
        if (rows_taken_ == rows_) {
            wrong_ = fmt::format("there are more than {} rows", rows_);
            return;
        }
        compare_row(block, texts, row);
        ++rows_taken_;
    }
}

void AnswerCheck::compare_row(const ResultBlock& block,
                              std::span<const std::vector<std::string_view>> texts, uint32_t row) {
    expect(rows_taken_, cells_);
    for (size_t at = 0; at < cells_.size(); ++at) {
        const std::string_view text = texts[at].empty() ? std::string_view() : texts[at][row];
        if (!cells_[at].matches(block.column(at), row, text)) {
            const std::string found = exact_cell(block.column(at), row, text);
            wrong_ = fmt::format("row {}, {}: {} instead of {}", rows_taken_ + 1, columns_[at],
                                 found.empty() ? "nothing" : found, cells_[at].shown());
            return;
        }
    }
}

Status AnswerCheck::finish() const {
    if (!wrong_.empty()) {
        return Error(ErrorCode::kCorruption, wrong_);
    }
    if (rows_taken_ != rows_) {
        return make_error(ErrorCode::kCorruption, "there are {} rows instead of {}", rows_taken_,
                          rows_);
    }
    return {};
}

void RowsCheck::expect(uint64_t row, std::span<Expected> cells) {
    std::copy_n(known_[row].begin(), std::min(cells.size(), known_[row].size()), cells.begin());
}

// --- Buckets ---

double KnownGrid::edge(uint32_t at) const {
    const auto low = static_cast<double>(lo);
    const auto high = static_cast<double>(hi);
    return at == buckets
               ? high
               : low + (high - low) * (static_cast<double>(at) / static_cast<double>(buckets));
}

double KnownBucket::mean() const {
    return static_cast<double>(sum / static_cast<long double>(count));
}

double KnownBucket::sum_tolerance() const {
    return tolerance_of(absolute_sum);
}

double KnownBucket::mean_tolerance() const {
    return tolerance_of(absolute_sum / static_cast<long double>(count));
}

void KnownBucket::add(double x, double value) {
    if (points() == 0) {
        first = value;
        first_x = x;
    }
    last = value;
    last_x = x;
    if (std::isnan(value)) {
        ++nan;
        return;
    }
    if (std::isinf(value)) {
        ++(value > 0 ? pinf : ninf);
        return;
    }
    if (count == 0 || ordered_image(value) < ordered_image(min)) {
        min = value;
        min_x = x;
    }
    if (count == 0 || ordered_image(value) > ordered_image(max)) {
        max = value;
        max_x = x;
    }
    ++count;
    sum += value;
    absolute_sum += std::abs(value);
}

std::vector<KnownBucket> known_buckets(const KnownSeries& series, const KnownGrid& grid) {
    std::vector<KnownBucket> buckets(grid.buckets);
    uint32_t at = 0;
    for (uint64_t step = grid.lo; step <= grid.hi && step < series.steps; ++step) {
        const auto x = static_cast<double>(step);
        while (at + 1 < grid.buckets && x >= grid.edge(at + 1)) {
            ++at;
        }
        buckets[at].add(x, series.value(step));
    }
    return buckets;
}

std::unique_ptr<AnswerCheck> check_buckets(std::vector<KnownSeries> series, const KnownGrid& grid,
                                           const std::vector<std::string>& statistics) {
    return std::make_unique<BucketsCheck>(std::move(series), grid, statistics);
}

std::unique_ptr<AnswerCheck> check_across(const std::vector<KnownSeries>& series,
                                          const KnownGrid& grid) {
    std::vector<KnownAcross> across(grid.buckets);
    for (const KnownSeries& one : series) {
        const std::vector<KnownBucket> buckets = known_buckets(one, grid);
        for (size_t at = 0; at < buckets.size(); ++at) {
            across[at].add(buckets[at]);
        }
    }
    std::vector<std::vector<Expected>> rows;
    for (uint32_t at = 0; at < grid.buckets; ++at) {
        const KnownAcross& bucket = across[at];
        const auto count = static_cast<double>(bucket.count);
        std::vector<Expected>& row = rows.emplace_back(5);
        row[0].set_number(grid.edge(at));
        row[1].set_number(grid.edge(at + 1));
        row[2].set_number(count);
        if (bucket.count > 0) {
            row[3].set_about(static_cast<double>(bucket.sum) / count, bucket.tolerance_sum / count);
            row[4].set_about(bucket.max, bucket.tolerance_max);
        }
    }
    return std::make_unique<RowsCheck>(std::vector<std::string>{"lo", "hi", "count", "mean", "max"},
                                       std::move(rows));
}

std::unique_ptr<AnswerCheck> check_points(const KnownSeries& series, uint64_t lo, uint64_t hi) {
    std::vector<std::vector<Expected>> rows;
    for (uint64_t step = lo; step <= hi && step < series.steps; ++step) {
        std::vector<Expected>& row = rows.emplace_back();
        row.push_back(Expected::of_text(series.run));
        row.push_back(Expected::of_text(series.metric));
        row.push_back(Expected::of_number(static_cast<double>(step)));
        row.push_back(Expected::of_number(series.value(step)));
    }
    return std::make_unique<RowsCheck>(std::vector<std::string>{"run", "metric", "step", "value"},
                                       std::move(rows));
}

}  // namespace stepdb
