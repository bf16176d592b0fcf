// `where`, `show`, `sort` and `limit` of runs against a full scan written as plainly as the
// language is specified, over random series with late and replaced points, NaN and infinities, on a
// map and on an engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "engine/base/float_bits.h"
#include "query/literals.h"
#include "tests/query/engine_store.h"
#include "tests/query/map_store.h"
#include "tests/support/sim_executor.h"

namespace stepdb::expressions_exactness_test {

constexpr int kRuns = 12;

struct PlainPoint {
    double step = 0;
    int64_t time_us = 0;
    double value = 0;
};
// By key, as read.
using PlainSeries = std::map<double, PlainPoint>;

struct PlainRun {
    std::string name;
    std::map<std::string, PlainSeries> stepped;
    std::map<std::string, PlainSeries> timed;
    std::optional<int64_t> seed;

    const PlainSeries* find(const std::string& metric) const {
        for (const auto* series : {&stepped, &timed}) {
            if (const auto at = series->find(metric); at != series->end()) {
                return &at->second;
            }
        }
        return nullptr;
    }
    bool is_timed(const std::string& metric) const { return timed.contains(metric); }
};

// A cell: its text, or nothing.
using Cell = std::optional<std::string>;

double random_value(SimRandom& random) {
    switch (random.below(12)) {
        case 0:
            return std::numeric_limits<double>::quiet_NaN();
        case 1:
            return std::numeric_limits<double>::infinity();
        case 2:
            return -std::numeric_limits<double>::infinity();
        case 3:
            return -0.0;
        default:
            return (static_cast<double>(random.below(17)) - 8) / 4;
    }
}

std::vector<PlainRun> make_runs(SimRandom& random, ScriptStore& store) {
    std::vector<PlainRun> runs(kRuns);
    for (int number = 0; number < kRuns; ++number) {
        PlainRun& run = runs[static_cast<size_t>(number)];
        run.name = fmt::format("r{}", number);
        for (uint64_t left = 1 + random.below(60); left > 0; --left) {
            ScriptRow row;
            row.project = "p";
            row.run = run.name;
            row.time_us = static_cast<int64_t>(random.below(50)) * 1'000'000;
            const bool timed = random.below(4) == 0;
            if (!timed) {
                row.step = static_cast<double>(random.below(40));
            }
            for (const std::string metric : {"a", "b", "c"}) {
                if (random.below(3) == 0) {
                    continue;
                }
                const std::string name = (timed ? "t/" : "s/") + metric;
                const double value = random_value(random);
                row.values.emplace_back(name, value);
                const double key = timed ? static_cast<double>(row.time_us) : *row.step;
                PlainSeries& series = timed ? run.timed[name] : run.stepped[name];
                series[key] = {row.step.value_or(0), row.time_us, value};
            }
            if (!row.values.empty()) {
                EXPECT_TRUE(store.add_row(row).has_value());
            }
            if (random.below(40) == 0) {
                EXPECT_TRUE(store.flush().has_value());
            }
        }
        ScriptRow last;  // so that every run is there, and every metric in a run
        last.project = "p";
        last.run = run.name;
        last.step = 1000;
        last.values = {{"s/all", static_cast<double>(number)}};
        EXPECT_TRUE(store.add_row(last).has_value());
        run.stepped["s/all"][1000] = {1000, 0, static_cast<double>(number)};
        if (random.below(3) != 0) {
            run.seed = static_cast<int64_t>(random.below(3));
            std::vector<AttributeChange> changes(1);
            changes[0].name = "seed";
            changes[0].value.emplace<int64_t>(*run.seed);
            EXPECT_TRUE(store.set_attributes("p", run.name, changes).has_value());
        }
    }
    return runs;
}

// A condition on points, as text and as a function.
struct PlainCondition {
    std::string text;
    std::function<bool(const PlainRun&, bool timed, const PlainPoint&)> holds;
};

PlainCondition random_condition(SimRandom& random, int depth) {
    const uint64_t kind = random.below(depth == 0 ? 6 : 9);
    const double bound = (static_cast<double>(random.below(17)) - 8) / 4;
    const auto step = static_cast<double>(random.below(40));
    switch (kind) {
        case 0:
            return {fmt::format("value > {}", bound),
                    [=](const PlainRun&, bool, const PlainPoint& p) { return p.value > bound; }};
        case 1:
            return {fmt::format("value != {}", bound),
                    [=](const PlainRun&, bool, const PlainPoint& p) { return p.value != bound; }};
        case 2:
            return {"value is not finite", [](const PlainRun&, bool, const PlainPoint& p) {
                        return !std::isfinite(p.value);
                    }};
        case 3:
            return {fmt::format("step <= {}", step),
                    [=](const PlainRun&, bool timed, const PlainPoint& p) {
                        return !timed && p.step <= step;
                    }};
        case 4:
            return {fmt::format("time >= {}s", step),
                    [=](const PlainRun&, bool, const PlainPoint& p) {
                        return static_cast<double>(p.time_us) >= step * 1e6;
                    }};
        case 5:
            return {"value * 4 >= seed", [](const PlainRun& run, bool, const PlainPoint& p) {
                        return run.seed && p.value * 4 >= static_cast<double>(*run.seed);
                    }};
        case 6: {
            const PlainCondition inner = random_condition(random, depth - 1);
            return {"not (" + inner.text + ")",
                    [=](const PlainRun& run, bool timed, const PlainPoint& p) {
                        return !inner.holds(run, timed, p);
                    }};
        }
        default: {
            const PlainCondition a = random_condition(random, depth - 1);
            const PlainCondition b = random_condition(random, depth - 1);
            const bool both = kind == 7;
            return {fmt::format("({} {} {})", a.text, both ? "and" : "or", b.text),
                    [=](const PlainRun& run, bool timed, const PlainPoint& p) {
                        return both ? a.holds(run, timed, p) && b.holds(run, timed, p)
                                    : a.holds(run, timed, p) || b.holds(run, timed, p);
                    }};
        }
    }
}

// A statistic or `at`, as text and as what it is of a run; a number unset is missing.
struct PlainExpression {
    std::string text;
    bool is_time = false;
    bool is_exact = true;
    std::function<std::optional<double>(const PlainRun&)> value;
};

std::optional<double> part_of(const PlainPoint* point, bool timed, int part) {
    if (point == nullptr || (part == 1 && timed)) {
        return std::nullopt;
    }
    return part == 0 ? point->value : part == 1 ? point->step : static_cast<double>(point->time_us);
}

bool is_below(double a, double b) {
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}

const PlainPoint* extreme(const std::vector<PlainPoint>& points, bool min) {
    const PlainPoint* best = nullptr;
    for (const PlainPoint& point : points) {
        if (std::isfinite(point.value) &&
            (best == nullptr ||
             (min ? is_below(point.value, best->value) : is_below(best->value, point.value)))) {
            best = &point;
        }
    }
    return best;
}

std::optional<double> moment_of(const std::vector<PlainPoint>& points, const std::string& name) {
    long double sum = 0;
    long double count = 0;
    for (const PlainPoint& point : points) {
        if (std::isfinite(point.value)) {
            sum += static_cast<long double>(point.value);
            ++count;
        }
    }
    if (count == 0) {
        return std::nullopt;
    }
    long double squares = 0;
    for (const PlainPoint& point : points) {
        if (std::isfinite(point.value)) {
            const long double off = static_cast<long double>(point.value) - sum / count;
            squares += off * off;
        }
    }
    const long double variance = squares / count;
    return static_cast<double>(name == "sum"    ? sum
                               : name == "mean" ? sum / count
                               : name == "var"  ? variance
                                                : std::sqrt(variance));
}

double count_of(const std::vector<PlainPoint>& points, const std::string& name) {
    return static_cast<double>(std::ranges::count_if(points, [&](const PlainPoint& point) {
        return name == "count" || (name == "nan" && std::isnan(point.value)) ||
               (name == "pinf" && std::isinf(point.value) && point.value > 0) ||
               (name == "ninf" && std::isinf(point.value) && point.value < 0);
    }));
}

std::optional<double> statistic_of(const std::vector<PlainPoint>& points, const std::string& name,
                                   bool timed, int part) {
    if (name == "min" || name == "max") {
        return part_of(extreme(points, name == "min"), timed, part);
    }
    if (name == "first" || name == "last") {
        const PlainPoint* point = points.empty()    ? nullptr
                                  : name == "first" ? &points.front()
                                                    : &points.back();
        return part_of(point, timed, part);
    }
    if (name == "count" || name == "nan" || name == "pinf" || name == "ninf") {
        return count_of(points, name);
    }
    return moment_of(points, name);
}

std::string random_metric(SimRandom& random) {
    constexpr const char* kMetrics[] = {"s/a", "s/b", "s/c", "s/all", "t/a", "t/b", "t/c"};
    return kMetrics[random.below(std::size(kMetrics))];
}

PlainExpression random_statistic(SimRandom& random) {
    constexpr const char* kNames[] = {"count", "nan",  "pinf", "ninf", "min", "max",
                                      "first", "last", "mean", "sum",  "std", "var"};
    const std::string name = kNames[random.below(std::size(kNames))];
    const std::string metric = random_metric(random);
    const bool has_parts = name == "min" || name == "max" || name == "first" || name == "last";
    const int part = has_parts ? static_cast<int>(random.below(3)) : 0;
    const bool all = random.below(2) == 0;
    const PlainCondition when = random_condition(random, 2);
    PlainExpression made;
    made.text = fmt::format("{}({}{}){}", name, metric, all ? "" : " when " + when.text,
                            part == 0   ? ""
                            : part == 1 ? ".step"
                                        : ".time");
    made.is_time = part == 2;
    made.is_exact = name != "mean" && name != "sum" && name != "std" && name != "var";
    made.value = [=](const PlainRun& run) {
        std::vector<PlainPoint> points;
        const bool timed = run.is_timed(metric);
        if (const PlainSeries* series = run.find(metric)) {
            for (const auto& [key, point] : *series) {
                if (all || when.holds(run, timed, point)) {
                    points.push_back(point);
                }
            }
        }
        return statistic_of(points, name, timed, part);
    };
    return made;
}

// The first point of a series at or behind a key, of those from a time on.
const PlainPoint* first_from(const PlainSeries& series, double key, double time_us) {
    for (const auto& [at, point] : series) {
        if (at >= key && static_cast<double>(point.time_us) >= time_us) {
            return &point;
        }
    }
    return nullptr;
}

const PlainPoint* find_at(const PlainRun& run, const std::string& metric, const std::string& axis,
                          double place) {
    constexpr double kAny = -std::numeric_limits<double>::infinity();
    const PlainSeries* series = run.find(metric);
    if (series == nullptr) {
        return nullptr;
    }
    if (axis == "step") {
        return run.is_timed(metric) ? nullptr : first_from(*series, place, kAny);
    }
    if (axis == "time") {
        return first_from(*series, kAny, place * 1e6);
    }
    const PlainSeries* steps = run.find(axis);
    if (steps == nullptr) {
        return nullptr;
    }
    for (const auto& [key, point] : *steps) {
        if (point.value >= place) {
            return run.is_timed(metric) == run.is_timed(axis)
                       ? first_from(*series, key, kAny)
                       : first_from(*series, kAny, static_cast<double>(point.time_us));
        }
    }
    return nullptr;
}

PlainExpression random_at(SimRandom& random) {
    const std::string metric = random_metric(random);
    const uint64_t kind = random.below(3);
    const std::string axis = kind == 0 ? "step" : kind == 1 ? "time" : random_metric(random);
    const double place = kind < 2 ? static_cast<double>(random.below(45))
                                  : (static_cast<double>(random.below(17)) - 8) / 4;
    const int part = static_cast<int>(random.below(3));
    PlainExpression made;
    made.text = fmt::format("at({}, {} = {}{}){}", metric, axis, place, kind == 1 ? "s" : "",
                            part == 0   ? ".value"
                            : part == 1 ? ".step"
                                        : ".time");
    made.is_time = part == 2;
    made.value = [=](const PlainRun& run) {
        return part_of(find_at(run, metric, axis, place), run.is_timed(metric), part);
    };
    return made;
}

PlainExpression random_expression(SimRandom& random) {
    return random.below(4) == 0 ? random_at(random) : random_statistic(random);
}

// Whether the comparison of a statistic with a number holds.
bool compares(std::optional<double> value, const std::string& op, double bound) {
    if (!value) {
        return false;
    }
    return op == "="    ? *value == bound
           : op == "!=" ? *value != bound
           : op == "<"  ? *value < bound
           : op == "<=" ? *value <= bound
           : op == ">"  ? *value > bound
                        : *value >= bound;
}

struct PlainWhere {
    std::string text;
    std::function<bool(const PlainRun&)> holds;
};

PlainWhere random_where(SimRandom& random) {
    constexpr const char* kOps[] = {"=", "!=", "<", "<=", ">", ">="};
    const auto seed = static_cast<int64_t>(random.below(3));
    PlainExpression left = random_expression(random);
    while (!left.is_exact || left.is_time) {
        left = random_expression(random);
    }
    const std::string op = kOps[random.below(std::size(kOps))];
    const double bound = (static_cast<double>(random.below(17)) - 8) / 4;
    const std::string compared = fmt::format("{} {} {}", left.text, op, bound);
    const auto holds = [=](const PlainRun& run) { return compares(left.value(run), op, bound); };
    switch (random.below(5)) {
        case 0:
            return {fmt::format("seed = {} or {}", seed, compared),
                    [=](const PlainRun& run) { return run.seed == seed || holds(run); }};
        case 1:
            return {fmt::format("not {} and seed exists", compared),
                    [=](const PlainRun& run) { return !holds(run) && run.seed.has_value(); }};
        case 2:
            return {fmt::format("{} is missing or name in (r1, r2, \"r1*\")", left.text),
                    [=](const PlainRun& run) {
                        return !left.value(run) || run.name == "r1" || run.name == "r2";
                    }};
        case 3:
            return {fmt::format("seed != {} and name = r?*", seed), [](const PlainRun&) {
                        return false;  // `?` is no glob
                    }};
        default:
            return {compared, holds};
    }
}

std::vector<Cell> split_cells(const std::string& line) {
    std::vector<Cell> cells;
    std::istringstream stream(line + ",");
    for (std::string cell; std::getline(stream, cell, ',');) {
        cells.push_back(cell.empty() ? Cell() : Cell(cell));
    }
    return cells;
}

void check_cell(const Cell& got, const PlainExpression& expression, const PlainRun& run) {
    const std::optional<double> want = expression.value(run);
    ASSERT_EQ(got.has_value(), want.has_value()) << expression.text << " of " << run.name;
    if (!want) {
        return;
    }
    if (expression.is_time) {
        EXPECT_EQ(*got, format_moment(static_cast<int64_t>(*want)))
            << expression.text << " of " << run.name;
    } else if (expression.is_exact) {
        EXPECT_EQ(*got, format_value(*want)) << expression.text << " of " << run.name;
    } else {
        const std::optional<double> number = parse_value(*got);
        ASSERT_TRUE(number.has_value());
        EXPECT_NEAR(*number, *want, 1e-9) << expression.text << " of " << run.name;
    }
}

// What is there before NaN before what is missing.
int sort_class(std::optional<double> value) {
    return !value ? 2 : std::isnan(*value) ? 1 : 0;
}

void sort_runs(std::vector<const PlainRun*>& runs, const PlainExpression& by, bool descending) {
    std::ranges::stable_sort(runs, [&](const PlainRun* a, const PlainRun* b) {
        const std::optional<double> x = by.value(*a);
        const std::optional<double> y = by.value(*b);
        if (sort_class(x) != sort_class(y)) {
            return sort_class(x) < sort_class(y);
        }
        return sort_class(x) == 0 && (descending ? *x > *y : *x < *y);
    });
}

void check_query(SimRandom& random, ScriptStore& store, const std::vector<PlainRun>& runs) {
    std::vector<PlainExpression> shown;
    std::string show;
    for (uint64_t left = 1 + random.below(3); left > 0; --left) {
        shown.push_back(random_expression(random));
        show +=
            fmt::format("{}{} as c{}", show.empty() ? "" : ", ", shown.back().text, shown.size());
    }
    PlainExpression by = random_expression(random);
    while (!by.is_exact) {
        by = random_expression(random);
    }
    const bool by_column = random.below(3) == 0 && shown[0].is_exact;
    const bool descending = random.below(2) == 0;
    const PlainWhere where = random_where(random);
    const uint64_t limit = 1 + random.below(kRuns + 2);
    const std::string text =
        fmt::format("runs p/* where {} | show {} | sort {}{} | limit {}", where.text, show,
                    by_column ? "c1" : by.text, descending ? " desc" : "", limit);
    SCOPED_TRACE(text);
    std::vector<const PlainRun*> want;
    for (const PlainRun& run : runs) {
        if (where.holds(run)) {
            want.push_back(&run);
        }
    }
    sort_runs(want, by_column ? shown[0] : by, descending);
    want.resize(std::min<size_t>(want.size(), limit));
    const Result<AnswerLines> got = store.query(text, 0);
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    const size_t notes = want.empty() && got->size() == 2 ? 1 : 0;
    ASSERT_EQ(got->size(), want.size() + 1 + notes);
    for (size_t row = 0; row < want.size(); ++row) {
        const std::vector<Cell> cells = split_cells((*got)[row + 1]);
        ASSERT_EQ(cells.size(), shown.size() + 1);
        ASSERT_EQ(cells[0], "p/" + want[row]->name) << "row " << row;
        for (size_t i = 0; i < shown.size(); ++i) {
            ASSERT_NO_FATAL_FAILURE(check_cell(cells[i + 1], shown[i], *want[row]));
        }
    }
}

void check_store(uint64_t seed, ScriptStore& store, uint64_t queries) {
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    SimRandom random(seed);
    const std::vector<PlainRun> runs = make_runs(random, store);
    // Every metric has to be somewhere, or naming it is an error.
    for (const std::string metric : {"s/a", "s/b", "s/c", "t/a", "t/b", "t/c"}) {
        ASSERT_TRUE(std::ranges::any_of(
            runs, [&](const PlainRun& run) { return run.find(metric) != nullptr; }));
    }
    for (uint64_t query = 0; query < queries; ++query) {
        ASSERT_NO_FATAL_FAILURE(check_query(random, store, runs));
    }
}

TEST(ExpressionsExactness, AgreeWithAFullScanOfAMap) {
    const uint64_t first = test_seed(1);
    for (uint64_t seed = first; seed < first + 20; ++seed) {
        MapStore store(1 + seed % 7);
        ASSERT_NO_FATAL_FAILURE(check_store(seed, store, scaled(1000)));
    }
}

TEST(ExpressionsExactness, AgreeWithAFullScanOfAnEngine) {
    const uint64_t first = test_seed(100);
    for (uint64_t seed = first; seed < first + 6; ++seed) {
        EngineStore store(seed % 2 == 0 ? Reopening::kMerge : Reopening::kClose);
        ASSERT_NO_FATAL_FAILURE(check_store(seed, store, scaled(150)));
    }
}

}  // namespace stepdb::expressions_exactness_test
