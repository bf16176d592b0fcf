// Columns of a window of rows on their way into one merged block.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/segment/block.h"

namespace stepdb {

// The points of one column in a window: values by ascending place.
struct ColumnPoints {
    std::vector<uint32_t> places;
    std::vector<double> values;

    size_t size() const { return places.size(); }
    void clear() {
        places.clear();
        values.clear();
    }
};

// Sorts by place. `rows` is the size of the window.
void sort_points(ColumnPoints& points, size_t rows);

// Leaves of equal keys the point with the highest sequence, and drops points with a sequence up to
// `dead_through`. Points are sorted.
void drop_replaced(ColumnPoints& points, const AxisColumns& axis, uint64_t dead_through);

class ColumnBatch {
  public:
    // Whether `points` can be added, or the batch has to be taken first.
    bool has_room(const ColumnPoints& points, size_t values_max) const;
    // Columns ascending, each with at least one point.
    void add(uint32_t column, ColumnPoints points);
    bool empty() const { return columns_.empty(); }

    // The block of what has been added, without the rows that have no value in it (of an empty
    // batch, all rows without values); the batch is empty again. `info` carries run, schema,
    // attempt, axis and columns.
    std::shared_ptr<const EncodedBlock> take(const BlockInfo& info, const AxisColumns& axis,
                                             size_t summary_values_min);

  private:
    struct Column {
        uint32_t column = 0;
        ColumnPoints points;
    };
    std::vector<Column> columns_;
    size_t values_ = 0;
};

}  // namespace stepdb
