#include "engine/model/summary.h"

#include <algorithm>
#include <cmath>
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

// Values are summed up plainly in parts of this many, and the parts compensated: 128 roundings at
// most, 1.4e-14 of the sum of absolute values.
constexpr size_t kPlainValues = 128;

template <typename Visit>
void visit_parts(std::span<const double> values, const Visit& visit) {
    while (!values.empty()) {
        const std::span<const double> part = values.first(std::min(values.size(), kPlainValues));
        visit(part);
        values = values.subspan(part.size());
    }
}

CompensatedSum sum_of(std::span<const double> values) {
    CompensatedSum sum;
    visit_parts(values, [&](std::span<const double> part) {
        const double plain = plain_sum(part);
        if (std::isfinite(plain)) {
            sum.add(plain);
            return;
        }
        for (const double value : part) {
            sum.add(value);
        }
    });
    return sum;
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
Summary summarize_points(std::span<const double> values, const Point& point) {
    Summary summary;
    if (values.empty()) {
        return summary;
    }
    summary.first = point(0);
    summary.last = point(values.size() - 1);
    std::vector<double> kept;
    const ValueScan scan = scan_values(values);
    std::span<const double> finite = values;
    if (scan.finite) {
        summary.count = values.size();
    } else {
        finite = finite_values(values, summary, kept);
    }
    if (finite.empty()) {
        summary.min = {summary.first.key, summary.first.time, 0};
        summary.max = summary.min;
        return summary;
    }
    if (scan.finite) {
        summary.min = point(find_value(values, scan.min));
        summary.max = point(find_value(values, scan.max));
    } else {
        const auto [min, max] = find_extremes(values);
        summary.min = point(min);
        summary.max = point(max);
    }
    summary.sum = sum_of(finite);
    summary.deviations.add(finite, summary.mean());
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

void DeviationSum::add(std::span<const double> values, double mean) {
    visit_parts(values, [&](std::span<const double> part) {
        const double plain = plain_squares(part, mean);
        if (std::isfinite(plain)) {
            add(DeviationSum(plain));
            return;
        }
        for (const double value : part) {
            add(value, mean, 1);
        }
    });
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

Summary summarize(std::span<const Key> keys, std::span<const int64_t> times,
                  std::span<const double> values) {
    CHECK(keys.size() == times.size() && keys.size() == values.size(),
          "{} keys, {} times, {} values", keys.size(), times.size(), values.size());
    return summarize_points(values, [&](size_t row) {
        return SummaryPoint{keys[row], times[row], values[row]};
    });
}

}  // namespace stepdb
