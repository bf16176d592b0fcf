#include "engine/compaction/column_batch.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace stepdb {

namespace {

constexpr uint32_t kNowhere = std::numeric_limits<uint32_t>::max();

// Few points are sorted as they are; many are laid out over the window.
constexpr size_t kSparseShare = 16;

void sort_few(ColumnPoints& points) {
    std::vector<uint32_t> order(points.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, {}, [&](uint32_t i) { return points.places[i]; });
    ColumnPoints sorted;
    sorted.places.reserve(points.size());
    sorted.values.reserve(points.size());
    for (const uint32_t i : order) {
        sorted.places.push_back(points.places[i]);
        sorted.values.push_back(points.values[i]);
    }
    points = std::move(sorted);
}

template <typename T>
std::vector<T> picked(const std::vector<T>& values, const std::vector<uint32_t>& rows) {
    std::vector<T> out;
    out.reserve(rows.size());
    for (const uint32_t row : rows) {
        out.push_back(values[row]);
    }
    return out;
}

}  // namespace

void sort_points(ColumnPoints& points, size_t rows) {
    if (std::ranges::is_sorted(points.places)) {
        return;
    }
    if (points.size() < rows / kSparseShare) {
        sort_few(points);
        return;
    }
    std::vector<uint32_t> point_at(rows, kNowhere);
    for (uint32_t i = 0; i < points.size(); ++i) {
        point_at[points.places[i]] = i;
    }
    std::vector<double> values;
    values.reserve(points.size());
    points.places.clear();
    for (uint32_t place = 0; place < rows; ++place) {
        if (point_at[place] != kNowhere) {
            points.places.push_back(place);
            values.push_back(points.values[point_at[place]]);
        }
    }
    points.values = std::move(values);
}

void drop_replaced(ColumnPoints& points, const AxisColumns& axis, uint64_t dead_through) {
    size_t kept = 0;
    for (size_t i = 0; i < points.size(); ++i) {
        const uint32_t place = points.places[i];
        const bool replaced =
            i + 1 < points.size() && axis.keys[points.places[i + 1]] == axis.keys[place];
        if (!replaced && axis.sequences[place] > dead_through) {
            points.places[kept] = place;
            points.values[kept] = points.values[i];
            ++kept;
        }
    }
    points.places.resize(kept);
    points.values.resize(kept);
}

bool ColumnBatch::has_room(const ColumnPoints& points, size_t values_max) const {
    return columns_.empty() || values_ + points.size() <= values_max;
}

void ColumnBatch::add(uint32_t column, ColumnPoints points) {
    values_ += points.size();
    columns_.push_back({column, std::move(points)});
}

std::shared_ptr<const EncodedBlock> ColumnBatch::take(const BlockInfo& info,
                                                      const AxisColumns& axis,
                                                      size_t summary_values_min) {
    std::vector<uint32_t> row_at(axis.keys.size(), kNowhere);
    for (const Column& column : columns_) {
        for (const uint32_t place : column.points.places) {
            row_at[place] = 0;
        }
    }
    std::vector<uint32_t> rows;
    rows.reserve(row_at.size());
    for (uint32_t place = 0; place < row_at.size(); ++place) {
        if (row_at[place] != kNowhere) {
            row_at[place] = static_cast<uint32_t>(rows.size());
            rows.push_back(place);
        }
    }
    if (columns_.empty()) {
        rows.resize(row_at.size());
        std::iota(rows.begin(), rows.end(), 0U);
    }
    BlockBuilder builder(info, picked(axis.keys, rows), picked(axis.times, rows),
                         picked(axis.sequences, rows), summary_values_min);
    std::vector<int64_t> present;
    for (Column& column : columns_) {
        present.clear();
        present.reserve(column.points.size());
        for (const uint32_t place : column.points.places) {
            present.push_back(row_at[place]);
        }
        builder.add_present(column.column, present, column.points.values);
        column.points = ColumnPoints();
    }
    columns_.clear();
    values_ = 0;
    return builder.finish();
}

}  // namespace stepdb
