// How x is shown: a step, a time, or another number.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/model/key.h"
#include "engine/model/result_columns.h"
#include "query/execution_context.h"

namespace stepdb {

inline std::string_view x_name(XColumn column) {
    return column == XColumn::kStep ? "step" : column == XColumn::kTime ? "time" : "x";
}

inline ColumnType x_type(XColumn column) {
    return column == XColumn::kTime ? ColumnType::kTime : ColumnType::kStep;
}

inline void append_x(ColumnCells& cells, XColumn column, Key key) {
    if (column == XColumn::kTime) {
        cells.append_time(key);
    } else {
        cells.append_double(step_of_key(key));
    }
}

inline void append_xs(ColumnCells& cells, XColumn column, std::span<const Key> keys) {
    if (column == XColumn::kTime) {
        cells.append_times(keys);
        return;
    }
    std::vector<double> steps;
    steps.reserve(keys.size());
    for (const Key key : keys) {
        steps.push_back(step_of_key(key));
    }
    cells.append_doubles(steps);
}

// What x of a series is behind the query's stages.
inline XColumn x_column(const ExecutionContext& context, const Series& series) {
    return context.plan.of(series.axis).column;
}

// The one that all series have: kInvalidArgument, which names two of them, if there is none; `what`
// is the stage that needs it.
Result<XColumn> common_x(const ExecutionContext& context, std::string_view what);

}  // namespace stepdb
