#include "engine/model/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/float_bits.h"
#include "engine/model/row_summary.h"
#include "engine/model/value_loops.h"

namespace stepdb {

namespace {

// Once for a deviation, twice for its square: 2^-1200 itself is no double.
constexpr double kUp = 0x1p600;
constexpr double kDown = 0x1p-600;

// What is looked at in one go.
constexpr size_t kGoValues = kPlainValues * kPlainPartsMax;
using PartSums = std::array<double, kPlainPartsMax>;

double number_of(double value) {
    return value;
}
double number_of(uint32_t word) {
    return widen(word);
}

// T is double, or uint32_t for the bits of float32 values, here and below.
template <typename T, typename Visit>
void visit_pieces(std::span<const T> values, size_t piece_values, const Visit& visit) {
    while (!values.empty()) {
        const std::span<const T> piece = values.first(std::min(values.size(), piece_values));
        visit(piece);
        values = values.subspan(piece.size());
    }
}

// Adds the plain sums of the parts of `values`; where one is beyond float64, value by value.
template <typename T>
void add_sums(std::span<const T> values, const PartSums& sums, CompensatedSum& sum) {
    const double* plain = sums.data();
    visit_pieces(values, kPlainValues, [&](std::span<const T> part) {
        if (std::isfinite(*plain)) {
            sum.add(*plain);
        } else {
            for (const T value : part) {
                sum.add(number_of(value));
            }
        }
        ++plain;
    });
}

// Looks at at least one value; the sum is of all, if they are finite.
template <typename T>
ValueScan scan(std::span<const T> values, CompensatedSum& sum) {
    ValueScan all;
    bool is_first = true;
    visit_pieces(values, kGoValues, [&](std::span<const T> piece) {
        PartSums sums;
        const ValueScan here = scan_values(piece, sums);
        all.finite = all.finite && here.finite;
        if (!all.finite) {
            return;
        }
        add_sums(piece, sums, sum);
        if (is_first || ordered_image(here.min) < ordered_image(all.min)) {
            all.min = here.min;
        }
        if (is_first || ordered_image(here.max) > ordered_image(all.max)) {
            all.max = here.max;
        }
        is_first = false;
    });
    return all;
}

// Those that are finite, of values of which some are not, into `kept`.
std::span<const double> finite_values(std::span<const double> values, Summary& summary,
                                      std::vector<double>& kept) {
    kept.reserve(values.size());
    for (const double value : values) {
        if (std::isfinite(value)) {
            kept.push_back(value);
        } else if (std::isnan(value)) {
            ++summary.nan;
        } else {
            ++(value > 0 ? summary.positive_infinity : summary.negative_infinity);
        }
    }
    summary.count = kept.size();
    return kept;
}

// Row of the least and of the largest finite value, the earliest of equals; there is one.
std::pair<size_t, size_t> find_extremes(std::span<const double> values) {
    std::pair<size_t, size_t> rows;
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (size_t row = 0; row < values.size(); ++row) {
        if (!std::isfinite(values[row])) {
            continue;
        }
        const int64_t image = ordered_image(values[row]);
        if (image < min) {
            min = image;
            rows.first = row;
        }
        if (image > max) {
            max = image;
            rows.second = row;
        }
    }
    return rows;
}

// `point` makes the point of a row.
template <typename Point>
void summarize_finite(std::span<const double> values, std::span<const double> finite,
                      const Point& point, Summary& summary) {
    const auto [min, max] = find_extremes(values);
    summary.min = point(min);
    summary.max = point(max);
    scan(finite, summary.sum);
    summary.deviations.add(finite, summary.mean());
}

// Of values of which some are not finite.
template <typename Point>
void summarize_some(std::span<const double> values, const Point& point, Summary& summary) {
    std::vector<double> kept;
    const std::span<const double> finite = finite_values(values, summary, kept);
    if (finite.empty()) {
        summary.min = {summary.first.key, summary.first.time, 0};
        summary.max = summary.min;
        return;
    }
    summarize_finite(values, finite, point, summary);
}
template <typename Point>
void summarize_some(std::span<const uint32_t> words, const Point& point, Summary& summary) {
    std::vector<double> values;
    values.reserve(words.size());
    std::ranges::transform(words, std::back_inserter(values), widen);
    summarize_some(std::span<const double>(values), point, summary);
}

template <typename T, typename Point>
Summary summarize_points(std::span<const T> values, const Point& point) {
    Summary summary;
    if (values.empty()) {
        return summary;
    }
    summary.first = point(0);
    summary.last = point(values.size() - 1);
    CompensatedSum sum;
    const ValueScan found = scan(values, sum);
    if (!found.finite) {
        summarize_some(values, point, summary);
        return summary;
    }
    summary.count = values.size();
    summary.min = point(find_value(values, found.min));
    summary.max = point(find_value(values, found.max));
    summary.sum = sum;
    summary.deviations.add(values, summary.mean());
    return summary;
}

}  // namespace

void DeviationSum::add(double a, double b, double weight) {
    if (!scaled_) {
        const double before = sum_;
        sum_ += weight * (a - b) * (a - b);
        if (std::isfinite(sum_)) {
            return;
        }
        sum_ = before;
        scale();
    }
    const double deviation = a * kDown - b * kDown;
    sum_ += weight * deviation * deviation;
}

void DeviationSum::add(const DeviationSum& other) {
    if (!scaled_ && (other.scaled_ || !std::isfinite(sum_ + other.sum_))) {
        scale();
    }
    sum_ += scaled_ && !other.scaled_ ? other.sum_ * kDown * kDown : other.sum_;
}

template <typename T>
void DeviationSum::add_all(std::span<const T> values, double mean) {
    visit_pieces(values, kGoValues, [&](std::span<const T> piece) {
        PartSums sums;
        sum_squares(piece, mean, sums);
        const double* plain = sums.data();
        visit_pieces(piece, kPlainValues, [&](std::span<const T> part) {
            if (std::isfinite(*plain)) {
                add(DeviationSum(*plain));
            } else {
                for (const T value : part) {
                    add(number_of(value), mean, 1);
                }
            }
            ++plain;
        });
    });
}

void DeviationSum::add(std::span<const double> values, double mean) {
    add_all(values, mean);
}

void DeviationSum::add(std::span<const uint32_t> words, double mean) {
    add_all(words, mean);
}

double DeviationSum::variance(uint64_t count) const {
    const double mean = sum_ / static_cast<double>(count);
    return scaled_ ? mean * kUp * kUp : mean;
}

void DeviationSum::scale() {
    sum_ *= kDown;
    sum_ *= kDown;
    scaled_ = true;
}

double Summary::mean() const {
    return std::clamp(sum.mean(count), min.value, max.value);
}

void Summary::append(const Summary& later) {
    if (later.points() == 0) {
        return;
    }
    if (points() == 0) {
        *this = later;
        return;
    }
    DCHECK(last.key < later.first.key, "key {} before {}", last.key, later.first.key);
    last = later.last;
    nan += later.nan;
    positive_infinity += later.positive_infinity;
    negative_infinity += later.negative_infinity;
    if (later.count == 0) {
        return;
    }
    // By image, -0 is below +0; strictly, so that the earliest of equals stays.
    if (count == 0 || ordered_image(later.min.value) < ordered_image(min.value)) {
        min = later.min;
    }
    if (count == 0 || ordered_image(later.max.value) > ordered_image(max.value)) {
        max = later.max;
    }
    if (count != 0) {
        const auto ours = static_cast<double>(count);
        const auto theirs = static_cast<double>(later.count);
        deviations.add(mean(), later.mean(), ours / (ours + theirs) * theirs);
    }
    deviations.add(later.deviations);
    sum.add(later.sum);
    count += later.count;
}

Summary summarize_rows_from(Key first, std::span<const double> values) {
    return summarize_points(values, [&](size_t row) {
        const Key at = first + static_cast<Key>(row);
        return SummaryPoint{at, at, values[row]};
    });
}

namespace {

template <typename T>
Summary summarize_any(std::span<const Key> keys, std::span<const int64_t> times,
                      std::span<const T> values) {
    CHECK(keys.size() == times.size() && keys.size() == values.size(),
          "{} keys, {} times, {} values", keys.size(), times.size(), values.size());
    return summarize_points(values, [&](size_t row) {
        return SummaryPoint{keys[row], times[row], number_of(values[row])};
    });
}

}  // namespace

Summary summarize(std::span<const Key> keys, std::span<const int64_t> times,
                  std::span<const double> values) {
    return summarize_any(keys, times, values);
}

Summary summarize(std::span<const Key> keys, std::span<const int64_t> times,
                  std::span<const uint32_t> words) {
    return summarize_any(keys, times, words);
}

}  // namespace stepdb
