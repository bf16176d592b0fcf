#include "tools/output/chart_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/base/float_bits.h"
#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

using Columns = std::span<const ResultColumn>;

struct Percentile {
    double rank = 0;
    size_t column = 0;
};

bool is_x(const ResultColumn& column) {
    return column.type == ColumnType::kStep || column.type == ColumnType::kTime;
}

// The column of that name among those from `from` on.
std::optional<size_t> find_from(Columns columns, size_t from, std::string_view name,
                                ColumnType type) {
    for (size_t i = from; i < columns.size(); ++i) {
        if (columns[i].name == name && columns[i].type == type) {
            return i;
        }
    }
    return std::nullopt;
}

// Columns such as `p95`, by rank.
std::vector<Percentile> percentiles_from(Columns columns, size_t from) {
    std::vector<Percentile> found;
    for (size_t i = from; i < columns.size(); ++i) {
        const std::string& name = columns[i].name;
        if (columns[i].type != ColumnType::kFloat64 || !name.starts_with('p')) {
            continue;
        }
        const std::optional<double> rank = parse_value(std::string_view(name).substr(1));
        if (rank && *rank >= 0 && *rank <= 100) {
            found.push_back({*rank, i});
        }
    }
    std::ranges::sort(found, {}, &Percentile::rank);
    return found;
}

// That which stands for the middle: of several never an end, and none of two.
std::optional<size_t> middle_of(const std::vector<Percentile>& percentiles) {
    if (percentiles.size() == 1) {
        return percentiles.front().column;
    }
    std::optional<Percentile> best;
    for (size_t i = 0; i < percentiles.size(); ++i) {
        const Percentile& one = percentiles[i];
        const bool is_end = i == 0 || i + 1 == percentiles.size();
        const bool is_nearer = !best || std::fabs(one.rank - 50) < std::fabs(best->rank - 50);
        if (one.rank == 50 || (!is_end && is_nearer)) {
            best = one;
        }
    }
    return best ? std::optional<size_t>(best->column) : std::nullopt;
}

}  // namespace

Result<ChartColumns> ChartColumns::find(Columns columns) {
    ChartColumns found;
    TRY(found.find_x(columns));
    found.find_values(columns);
    if (!found.line && !found.has_band()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "there is nothing to draw behind the column `{}`; name mean, min or max "
                          "at `buckets`, `across` or `group by`, and leave `pivot` out",
                          safe_text(columns[found.hi].name));
    }
    found.describe(columns);
    return found;
}

Status ChartColumns::find_x(Columns columns) {
    // From the back: what series are named by may be called the same.
    for (size_t i = columns.size(); i-- > 0;) {
        const std::string& name = columns[i].name;
        const bool is_edge = name == "hi" && i > 0 && columns[i - 1].name == "lo";
        const bool is_point = name == "step" || name == "time" || name == "x";
        if (!is_x(columns[i]) || (!is_edge && !is_point)) {
            continue;
        }
        lo = is_edge ? i - 1 : i;
        hi = i;
        is_timed = columns[i].type == ColumnType::kTime;
        x_name = is_timed ? "UTC" : name == "x" ? "x" : "step";
        for (size_t label = 0; label < lo; ++label) {
            labels.push_back(label);
            label_names.push_back(columns[label].name);
        }
        const bool is_mixed = is_point && name == "time" && i > 0 &&
                              columns[i - 1].type == ColumnType::kStep &&
                              (columns[i - 1].name == "step" || columns[i - 1].name == "x");
        if (is_mixed) {
            return make_error(ErrorCode::kInvalidArgument,
                              "a chart has one x, and this answer has both {} and time; add "
                              "`| x time` to lay all series out by time (and leave `stamped` out)",
                              columns[i - 1].name);
        }
        return {};
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "this answer is a table without an x to draw along; what can be drawn are "
                      "points and buckets of series, as of `METRICS @ RUNS | buckets 200`");
}

void ChartColumns::find_values(Columns columns) {
    const size_t from = hi + 1;
    const auto value = [&](std::string_view name) {
        return find_from(columns, from, name, ColumnType::kFloat64);
    };
    const auto first_of = [&](std::initializer_list<std::string_view> names) {
        std::optional<size_t> found;
        for (const std::string_view name : names) {
            found = found ? found : value(name);
        }
        return found;
    };
    count = find_from(columns, from, "count", ColumnType::kUint64);
    nan = find_from(columns, from, "nan", ColumnType::kUint64);
    pinf = find_from(columns, from, "pinf", ColumnType::kUint64);
    ninf = find_from(columns, from, "ninf", ColumnType::kUint64);
    const bool is_of_series = label_names == std::vector<std::string>{"run", "metric"};
    is_combined = count && !is_of_series;
    const std::vector<Percentile> percentiles = percentiles_from(columns, from);
    line = first_of({"value", "mean", "median"});
    line = line ? line : middle_of(percentiles);
    line = line ? line : first_of({"last", "first"});
    if (value("min") && value("max")) {
        low = value("min");
        high = value("max");
    } else if (line && line == value("mean") && value("std")) {
        deviation = value("std");
    } else if (percentiles.size() > 1) {
        low = percentiles.front().column;
        high = percentiles.back().column;
    }
    if (!line && !low) {
        line = first_of({"min", "max", "sum", "std", "var"});
        line = line ? line : count;
    }
}

void ChartColumns::describe(Columns columns) {
    const auto name_of = [&](size_t column) { return columns[column].name; };
    const bool is_between = low && name_of(*low) == "min" && name_of(*high) == "max";
    const bool is_plain = !line || name_of(*line) == "mean" || name_of(*line) == "value";
    const bool are_values = line && name_of(*line) == "value";
    if (!is_combined && is_plain && (is_between || are_values)) {
        return;
    }
    shows = line ? name_of(*line) : "";
    if (deviation) {
        shows += " ± std";
    } else if (low) {
        shows += fmt::format("{}{} to {}", line ? ", " : "", name_of(*low), name_of(*high));
    }
}

}  // namespace stepdb
