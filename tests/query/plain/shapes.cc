#include "tests/query/plain/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/query/plain/numbers.h"

namespace stepdb::plain {

namespace {

template <size_t kCount>
std::vector<std::string> named_or_all(const std::vector<std::string>& named,
                                      const std::array<const char*, kCount>& all) {
    return named.empty() ? std::vector<std::string>(all.begin(), all.end()) : named;
}

// The point that a statistic is of: min, max, first, last.
const Point* point_of(const std::vector<Point>& points, const std::string& name) {
    if (points.empty()) {
        return nullptr;
    }
    return name == "first"  ? &points.front()
           : name == "last" ? &points.back()
                            : extreme_point(points, name == "min");
}

Cell bucket_cell(const SeriesSet& set, const Series& series, const Bucket& bucket,
                 const std::string& name) {
    if (name.ends_with("_x")) {
        const Point* point = point_of(bucket.points, name.substr(0, name.size() - 2));
        return point == nullptr ? Cell() : place_cell(set, place_of(series, *point, set.x));
    }
    return Cell::of(statistic_of(bucket.points, name));
}

Cell summary_cell(const Series& series, const std::string& name) {
    const size_t line = name.find('_');
    if (line == std::string::npos) {
        return Cell::of(statistic_of(series.points, name == "variance" ? "var" : name));
    }
    const Point* point = point_of(series.points, name.substr(0, line));
    if (point == nullptr) {
        return Cell();
    }
    if (name.ends_with("_time")) {
        return Cell::of_time(static_cast<double>(point->time_us));
    }
    return series.timed ? Cell() : Cell::of_number({point->step, 0});
}

std::vector<double> edges_of(const Query& query, double lo, double hi) {
    std::vector<double> edges;
    for (uint32_t i = 0; i < query.buckets; ++i) {
        const double part = static_cast<double>(i) / query.buckets;
        edges.push_back(i == 0 || lo == hi ? lo
                        : query.is_log
                            ? std::exp(std::log(lo) + (std::log(hi) - std::log(lo)) * part)
                            : lo + (hi - lo) * part);
    }
    edges.push_back(hi);
    return edges;
}

// Exact on a plain grid. On a logarithmic one an edge may be off by rounding.
size_t bucket_of(const std::vector<double>& edges, double at, bool is_log) {
    for (size_t i = 1; is_log && i + 1 < edges.size(); ++i) {
        if (std::fabs(at - edges[i]) <= 1e-9 * edges[i]) {
            throw Undecidable{"a point on the edge of a logarithmic bucket"};
        }
    }
    for (size_t i = 0; i + 2 < edges.size(); ++i) {
        if (edges[i] <= at && at < edges[i + 1]) {
            return i;
        }
    }
    return edges.size() - 2;
}

Table show_points(const Query& query, const SeriesSet& set) {
    Table table;
    table.columns = {"run", "metric"};
    const bool own = set.x == XKind::kOwn;
    const bool steps = own && set.had_stepped;
    const bool times = own && (set.had_timed || query.shape == Query::Shape::kStamped);
    if (steps) {
        table.columns.emplace_back("step");
    }
    if (times) {
        table.columns.emplace_back("time");
    }
    if (!own) {
        table.columns.push_back(place_name(set));
    }
    table.columns.emplace_back("value");
    for (const Series& series : set.series) {
        for (const Point& point : series.points) {
            std::vector<Cell> row = {Cell::of_text(series.run), Cell::of_text(series.metric)};
            if (steps) {
                row.push_back(series.timed ? Cell() : Cell::of_number({point.step, 0}));
            }
            if (times) {
                const bool is_there = series.timed || query.shape == Query::Shape::kStamped;
                row.push_back(is_there ? Cell::of_time(static_cast<double>(point.time_us))
                                       : Cell());
            }
            if (!own) {
                row.push_back(place_cell(set, place_of(series, point, set.x)));
            }
            row.push_back(Cell::of_number(point.value));
            table.rows.push_back(std::move(row));
        }
    }
    return table;
}

Table show_buckets(const Query& query, SeriesSet& set) {
    Table table;
    table.columns = {"run", "metric", "lo", "hi"};
    const std::vector<std::string> names = named_or_all(query.statistics, kBucketFields);
    table.columns.insert(table.columns.end(), names.begin(), names.end());
    const auto divided = divide(query, set);
    for (size_t i = 0; i < divided.size(); ++i) {
        for (const Bucket& bucket : divided[i]) {
            std::vector<Cell> row = {Cell::of_text(set.series[i].run),
                                     Cell::of_text(set.series[i].metric),
                                     place_cell(set, bucket.lo), place_cell(set, bucket.hi)};
            if (query.is_log) {
                row[2].number.error = kSlack * bucket.lo;
                row[3].number.error = kSlack * bucket.hi;
            }
            for (const std::string& name : names) {
                row.push_back(bucket_cell(set, set.series[i], bucket, name));
            }
            table.rows.push_back(std::move(row));
        }
    }
    return table;
}

Table show_summaries(const Query& query, const SeriesSet& set) {
    Table table;
    table.columns = {"run", "metric"};
    const std::vector<std::string> names = named_or_all(query.statistics, kSummaryFields);
    table.columns.insert(table.columns.end(), names.begin(), names.end());
    for (const Series& series : set.series) {
        std::vector<Cell> row = {Cell::of_text(series.run), Cell::of_text(series.metric)};
        for (const std::string& name : names) {
            row.push_back(summary_cell(series, name));
        }
        table.rows.push_back(std::move(row));
    }
    return table;
}

}  // namespace

bool places_are_times(const SeriesSet& set) {
    return set.x == XKind::kTime || (set.x == XKind::kOwn && set.had_timed);
}

std::string place_name(const SeriesSet& set) {
    return places_are_times(set) ? "time" : set.x == XKind::kNumber ? "x" : "step";
}

Cell place_cell(const SeriesSet& set, double at) {
    return places_are_times(set) ? Cell::of_time(std::ceil(at)) : Cell::of_number({at + 0.0, 0});
}

std::vector<std::vector<Bucket>> divide(const Query& query, SeriesSet& set) {
    if (set.x == XKind::kOwn && set.had_stepped && set.had_timed) {
        throw Undecidable{"buckets of two axes"};
    }
    std::optional<double> lo = set.lo;
    std::optional<double> hi = set.hi;
    if (query.is_log) {
        lo = lo && *lo <= 0 ? std::nullopt : lo;
        hi = hi && *hi <= 0 ? std::nullopt : hi;
    }
    std::optional<double> first;
    std::optional<double> last;
    for (Series& series : set.series) {
        if (query.is_log) {
            std::erase_if(series.points,
                          [&](const Point& point) { return place_of(series, point, set.x) <= 0; });
        }
        for (const Point& point : series.points) {
            const double at = place_of(series, point, set.x);
            first = std::min(first.value_or(at), at);
            last = std::max(last.value_or(at), at);
            if ((lo && at < *lo) || (hi && at > *hi)) {
                throw Undecidable{"a window that begins outside of the stated range"};
            }
        }
    }
    lo = lo ? lo : first;
    hi = hi ? hi : last;
    if (!lo || !hi || *lo > *hi) {
        return {};
    }
    const std::vector<double> edges = edges_of(query, *lo, *hi);
    std::vector<std::vector<Bucket>> divided;
    for (const Series& series : set.series) {
        auto& buckets = divided.emplace_back(query.buckets);
        for (size_t i = 0; i < buckets.size(); ++i) {
            buckets[i].lo = edges[i];
            buckets[i].hi = edges[i + 1];
        }
        for (const Point& point : series.points) {
            const double at = place_of(series, point, set.x);
            buckets[*lo == *hi ? buckets.size() - 1 : bucket_of(edges, at, query.is_log)]
                .points.push_back(point);
        }
    }
    return divided;
}

Table show_series(const Query& query, SeriesSet& set) {
    if (set.series.empty()) {
        throw Undecidable{"columns of nothing"};
    }
    switch (query.shape) {
        case Query::Shape::kBuckets:
            return show_buckets(query, set);
        case Query::Shape::kSummary:
            return show_summaries(query, set);
        default:
            return show_points(query, set);
    }
}

}  // namespace stepdb::plain
