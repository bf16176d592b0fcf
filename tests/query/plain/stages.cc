#include "tests/query/plain/stages.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "tests/query/plain/expressions.h"
#include "tests/query/plain/numbers.h"

namespace stepdb::plain {

namespace {

using StageKind = Stage::Kind;

bool is_finite(const Point& point) {
    return std::isfinite(point.value.value);
}

// --- Smoothing, of the finite points in their order ---

std::vector<Point> ema(const std::vector<Point>& points, double weight) {
    double accumulated = 0;
    double total = 0;
    double error = 0;
    std::vector<Point> made = points;
    for (Point& point : made) {
        if (!is_finite(point)) {
            continue;
        }
        accumulated = weight * accumulated + (1 - weight) * point.value.value;
        total = weight * total + (1 - weight);
        error = std::max(error, point.value.error + kSlack * std::fabs(point.value.value));
        point.value = {accumulated / total, error};
    }
    return made;
}

std::vector<Point> moving(const std::vector<Point>& points, const std::string& name, size_t count) {
    std::deque<Number> window;
    std::vector<Point> made = points;
    for (Point& point : made) {
        if (!is_finite(point)) {
            continue;
        }
        window.push_back(point.value);
        if (window.size() > count) {
            window.pop_front();
        }
        const std::vector<Number> numbers(window.begin(), window.end());
        point.value = name == "mean"     ? mean_of(numbers)
                      : name == "median" ? percentile_of(numbers, 50)
                      : name == "std"    ? deviation_of(numbers)
                                         : extreme_of(numbers, name == "min");
    }
    return made;
}

// `axis` empty: the difference alone.
std::vector<Point> differences(const std::vector<Point>& points, const std::string& axis) {
    const Point* before = nullptr;
    std::vector<Point> made;
    for (const Point& point : points) {
        if (!is_finite(point)) {
            made.push_back(point);
            continue;
        }
        if (before != nullptr) {
            Point next = point;
            next.value = calculate(point.value, "-", before->value);
            if (axis == "step") {
                next.value = calculate(next.value, "/", {point.step - before->step, 0});
            } else if (axis == "time") {
                const auto apart = static_cast<double>(point.time_us - before->time_us);
                next.value = calculate(next.value, "/", {apart / 1e6, 0});
                next.value.error += is_finite(next) ? kSlack * std::fabs(next.value.value) : 0;
            }
            made.push_back(next);
        }
        before = &point;
    }
    return made;
}

Number zscore_of(const Number& value, const std::vector<Number>& before) {
    const bool same = std::ranges::all_of(
        before, [&](const Number& each) { return each.value == before.front().value; });
    const bool exact = std::ranges::all_of(before, is_exact);
    if (same && exact) {
        if (value.value == before.front().value && is_exact(value)) {
            return {0, 0};
        }
        const double infinity = std::numeric_limits<double>::infinity();
        return {is_less(value, before.front()) ? -infinity : infinity, 0};
    }
    const Number mean = mean_of(before);
    const Number deviation = deviation_of(before);
    if (deviation.error >= deviation.value / 100) {
        throw Undecidable{"a deviation of rounding"};
    }
    const double off = value.value - mean.value;
    const double error = value.error + mean.error + kSlack * std::fabs(value.value);
    const double z = off / deviation.value;
    return {z, error / deviation.value + std::fabs(z) * deviation.error / deviation.value +
                   kSlack * std::fabs(z)};
}

std::vector<Point> zscore(const std::vector<Point>& points, size_t count) {
    std::deque<Number> window;
    std::vector<Point> made;
    for (const Point& point : points) {
        if (!is_finite(point)) {
            made.push_back(point);
            continue;
        }
        if (window.size() == count) {
            Point next = point;
            next.value = zscore_of(point.value, {window.begin(), window.end()});
            made.push_back(next);
            window.pop_front();
        }
        window.push_back(point.value);
    }
    return made;
}

std::vector<Point> smooth(const std::vector<Point>& points, const Stage& stage) {
    const auto count = static_cast<size_t>(stage.number);
    switch (stage.kind) {
        case StageKind::kEma:
            return ema(points, stage.number);
        case StageKind::kMoving:
            return moving(points, stage.word, count);
        case StageKind::kDiff:
            return differences(points, "");
        case StageKind::kRate:
            return differences(points, stage.word.empty() ? "time" : stage.word);
        default:
            return zscore(points, count);
    }
}

// --- All stages of one query ---

struct Ends {
    std::optional<double> from;
    std::optional<double> to;
};

class StageRunner {
  public:
    StageRunner(const World& world, std::vector<Series> series) : world_(world) {
        set_.series = std::move(series);
        for (const Series& each : set_.series) {
            (each.timed ? set_.had_timed : set_.had_stepped) = true;
            for (const Point& point : each.points) {
                const auto at = static_cast<double>(point.time_us);
                const auto [earliest, is_new] = earliest_.try_emplace(each.run, at);
                earliest->second = std::min(earliest->second, at);
            }
        }
    }

    void run(const Stage& stage);
    SeriesSet finish();

  private:
    Subject subject_of(const Series& series) const;
    void limit(const Stage& stage);
    void keep(const Stage& stage);
    void cut(const Stage& stage);
    void window(const Stage& stage);
    void rank(const Stage& stage);
    void show_hidden_no_more();
    void take_x();
    std::vector<Point> windows_of(const Series& series, const Stage& stage) const;

    const World& world_;
    SeriesSet set_;
    std::map<std::string, double> earliest_;  // time of each run
    std::optional<Expression> pending_x_;
    Ends steps_, times_;                // of all ranges
    Ends stated_steps_, stated_times_;  // of those behind windows
    bool has_lost_key_ = false;
    bool was_windowed_ = false;
    bool had_x_ = false;
};

Subject StageRunner::subject_of(const Series& series) const {
    Subject subject;
    subject.world = &world_;
    subject.run = series.source == kNoSource ? nullptr : &world_.runs()[series.source];
    subject.series = &series;
    subject.has_lost_key = has_lost_key_;
    const auto earliest = earliest_.find(series.run);
    subject.elapsed_from_us = earliest == earliest_.end() ? 0 : earliest->second;
    subject.step_from = steps_.from;
    subject.step_to = steps_.to;
    subject.time_from = times_.from;
    subject.time_to = times_.to;
    return subject;
}

bool reads_step(const Expression& expression) {
    return (expression.kind == Expression::Kind::kName && expression.name == "step") ||
           std::ranges::any_of(expression.operands, reads_step);
}

void StageRunner::run(const Stage& stage) {
    const bool looks_up = stage.kind == StageKind::kWhen || stage.kind == StageKind::kX;
    const bool has_taken_x = had_x_ && !pending_x_;
    if (looks_up && reads_metrics(stage.expression) && (was_windowed_ || has_taken_x)) {
        throw Undecidable{"metrics behind windows or another x are an error"};
    }
    const bool is_per_step = stage.kind == StageKind::kRate && stage.word == "step";
    if (has_taken_x &&
        (stage.kind == StageKind::kSteps || is_per_step || reads_step(stage.expression))) {
        throw Undecidable{"steps behind another x are an error"};
    }
    switch (stage.kind) {
        case StageKind::kSteps:
        case StageKind::kTime:
            return limit(stage);
        case StageKind::kWhen:
            return keep(stage);
        case StageKind::kFirst:
        case StageKind::kLast:
            return cut(stage);
        case StageKind::kEvery:
            return window(stage);
        case StageKind::kTop:
        case StageKind::kBottom:
            return rank(stage);
        case StageKind::kX:
            if (had_x_) {
                throw Undecidable{"a second x is an error"};
            }
            had_x_ = true;
            pending_x_ = stage.expression;
            return;
        default:
            if (stage.kind == StageKind::kRate && has_lost_key_) {
                throw Undecidable{"the key of a window of another x"};
            }
            for (Series& series : set_.series) {
                series.points = smooth(series.points, stage);
            }
    }
}

void narrow(Ends& ends, const Stage& stage) {
    if (stage.from) {
        ends.from = std::max(ends.from.value_or(*stage.from), *stage.from);
    }
    if (stage.to) {
        ends.to = std::min(ends.to.value_or(*stage.to), *stage.to);
    }
}

void StageRunner::limit(const Stage& stage) {
    if (has_lost_key_) {
        throw Undecidable{"the key of a window of another x"};
    }
    if (was_windowed_) {
        throw Undecidable{"a range behind windows"};
    }
    const bool steps = stage.kind == StageKind::kSteps;
    for (Series& series : set_.series) {
        if (steps && series.timed) {
            throw Undecidable{"steps of telemetry"};
        }
        for (Point& point : series.points) {
            const double at = steps ? point.step : static_cast<double>(point.time_us);
            point.hidden =
                point.hidden || (stage.from && at < *stage.from) || (stage.to && at > *stage.to);
        }
    }
    narrow(steps ? steps_ : times_, stage);
    narrow(steps ? stated_steps_ : stated_times_, stage);
}

void StageRunner::keep(const Stage& stage) {
    for (Series& series : set_.series) {
        Subject subject = subject_of(series);
        std::erase_if(series.points, [&](const Point& point) {
            subject.point = &point;
            return !holds(stage.expression, subject);
        });
    }
}

void StageRunner::show_hidden_no_more() {
    for (Series& series : set_.series) {
        std::erase_if(series.points, [](const Point& point) { return point.hidden; });
    }
}

void StageRunner::take_x() {
    if (!pending_x_) {
        return;
    }
    const Expression x = *std::exchange(pending_x_, std::nullopt);
    const bool is_name = x.kind == Expression::Kind::kName;
    set_.x = is_name && x.name == "step"   ? XKind::kOwn
             : is_name && x.name == "time" ? XKind::kTime
                                           : XKind::kNumber;
    for (Series& series : set_.series) {
        Subject subject = subject_of(series);
        std::vector<Point> kept;
        for (Point& point : series.points) {
            subject.point = &point;
            const std::optional<Number> at = value_of(x, subject);
            if (at && std::isfinite(at->value)) {
                if (!is_exact(*at)) {
                    throw Undecidable{"an x that is rounded"};
                }
                point.x = at->value;
                kept.push_back(point);
            }
        }
        std::ranges::stable_sort(kept, {}, &Point::x);
        series.points = std::move(kept);
    }
}

void StageRunner::cut(const Stage& stage) {
    show_hidden_no_more();
    take_x();
    for (Series& series : set_.series) {
        std::vector<Point>& points = series.points;
        const auto count = std::min(points.size(), static_cast<size_t>(stage.number));
        const auto excess = static_cast<ptrdiff_t>(points.size() - count);
        if (stage.kind == StageKind::kFirst) {
            points.erase(points.end() - excess, points.end());
        } else {
            points.erase(points.begin(), points.begin() + excess);
        }
    }
}

std::vector<Point> StageRunner::windows_of(const Series& series, const Stage& stage) const {
    const auto number_of = [&](const Point& point) {
        return std::floor(place_of(series, point, set_.x) / stage.number);
    };
    std::vector<Point> windows;
    const std::vector<Point>& points = series.points;
    for (size_t begin = 0, end = 0; begin < points.size(); begin = end) {
        while (end < points.size() && number_of(points[end]) == number_of(points[begin])) {
            ++end;
        }
        const std::span<const Point> inside(points.data() + begin, end - begin);
        const double start = number_of(points[begin]) * stage.number + 0.0;
        Point window = inside.back();
        window.value = statistic_of(inside, stage.word.empty() ? "mean" : stage.word)
                           .value_or(Number{kNan, 0});
        window.x = start;
        if (series.timed && set_.x != XKind::kNumber) {
            window.time_us = static_cast<int64_t>(start);
        } else if (set_.x == XKind::kOwn) {
            window.step = start;
        }
        windows.push_back(window);
    }
    return windows;
}

void StageRunner::window(const Stage& stage) {
    show_hidden_no_more();
    take_x();
    for (Series& series : set_.series) {
        const bool by_time = set_.x == XKind::kTime || (set_.x == XKind::kOwn && series.timed);
        if (by_time != stage.is_duration) {
            throw Undecidable{"windows of another axis"};
        }
        series.points = windows_of(series, stage);
    }
    has_lost_key_ = had_x_;
    was_windowed_ = true;
    stated_steps_ = stated_times_ = Ends();  // windows begin before their points
}

void StageRunner::rank(const Stage& stage) {
    if (pending_x_) {
        throw Undecidable{"a ranking before x takes effect"};
    }
    std::vector<std::pair<Number, Series>> ranked;
    std::ranges::stable_sort(set_.series, comes_before);
    for (Series& series : set_.series) {
        const std::optional<Number> rank = value_of(stage.expression, subject_of(series));
        if (rank && std::isfinite(rank->value)) {
            ranked.emplace_back(*rank, std::move(series));
        }
    }
    const bool top = stage.kind == StageKind::kTop;
    std::ranges::stable_sort(ranked, [&](const auto& a, const auto& b) {
        return top ? is_less(b.first, a.first) : is_less(a.first, b.first);
    });
    ranked.resize(std::min(ranked.size(), static_cast<size_t>(stage.number)));
    set_.series.clear();
    for (auto& [rank, series] : ranked) {
        set_.series.push_back(std::move(series));
    }
}

SeriesSet StageRunner::finish() {
    show_hidden_no_more();
    take_x();
    const bool timed = set_.x == XKind::kTime || (set_.x == XKind::kOwn && set_.had_timed);
    if (set_.x != XKind::kNumber) {
        set_.lo = timed ? stated_times_.from : stated_steps_.from;
        set_.hi = timed ? stated_times_.to : stated_steps_.to;
    }
    return std::move(set_);
}

}  // namespace

double place_of(const Series& series, const Point& point, XKind x) {
    if (x == XKind::kOwn) {
        return series.timed ? static_cast<double>(point.time_us) : point.step;
    }
    return point.x;
}

SeriesSet evaluate_series(const World& world, const Query& query) {
    std::vector<Series> series = evaluate_terms(world, query);
    std::vector<std::map<std::string, std::string>> captures;
    std::vector<const Run*> runs = select_runs(world, query, &captures);
    for (const Series& each : series) {
        if (query.runs.empty() && each.source != kNoSource) {
            runs.push_back(&world.runs()[each.source]);
        }
    }
    StageRunner runner(world, std::move(series));
    for (const Stage& stage : query.stages) {
        check_names(stage.expression, runs);
        runner.run(stage);
    }
    return runner.finish();
}

}  // namespace stepdb::plain
