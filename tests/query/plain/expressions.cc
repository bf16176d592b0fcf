#include "tests/query/plain/expressions.h"

#include <algorithm>
#include <cmath>

#include "tests/query/plain/numbers.h"

namespace stepdb::plain {

namespace {

using Kind = Expression::Kind;

const Run& run_of(const Subject& subject) {
    if (subject.run == nullptr) {
        throw Undecidable{"an expression about several runs"};
    }
    return *subject.run;
}

// The value of a metric at the point's key, or at the last one before it.
std::optional<Number> metric_at(const std::string& metric, const Subject& subject, bool hold) {
    const auto* points = run_of(subject).find(metric);
    if (points == nullptr) {
        return std::nullopt;
    }
    const bool timed = subject.series->timed;
    const auto key_of = [&](const Point& point) {
        return timed ? static_cast<double>(point.time_us) : point.step;
    };
    std::optional<Number> found;
    for (const Point& point : *points) {
        const double key = key_of(point);
        if (key == key_of(*subject.point) || (hold && key < key_of(*subject.point))) {
            found = point.value;
        }
    }
    return found;
}

std::optional<Number> name_value(const std::string& name, const Subject& subject) {
    const bool needs_key = name == "step" || name == "time" || name == "elapsed";
    if (needs_key && subject.has_lost_key) {
        throw Undecidable{"the key of a window of another x"};
    }
    if (name == "step") {
        return subject.series->timed ? std::nullopt : std::optional(Number{subject.point->step, 0});
    }
    if (name == "time") {
        return Number{static_cast<double>(subject.point->time_us), 0};
    }
    if (name == "elapsed") {
        return Number{(static_cast<double>(subject.point->time_us) - subject.elapsed_from_us) / 1e6,
                      0};
    }
    if (name == "value") {
        return subject.point->value;
    }
    if (name.starts_with("c/")) {
        const Run& run = run_of(subject);
        const auto at = run.numbers.find(name);
        return at == run.numbers.end() ? std::nullopt : std::optional(Number{at->second, 0});
    }
    return metric_at(name, subject, false);
}

std::string fill_captures(std::string name, const std::map<std::string, std::string>& captures) {
    for (const auto& [capture, value] : captures) {
        const std::string written = "{" + capture + "}";
        if (const size_t at = name.find(written); at != std::string::npos) {
            name.replace(at, written.size(), value);
        }
    }
    return name;
}

// In expressions `count` is of points of every class.
std::optional<Number> statistic_in_expression(const std::vector<Point>& points,
                                              const std::string& name) {
    return name == "count" ? Number{static_cast<double>(points.size()), 0}
                           : statistic_of(points, name);
}

std::optional<Number> metric_statistic(const Expression& expression, const Subject& subject) {
    const std::string metric = fill_captures(expression.metric, subject.series->captures);
    if (metric.find('{') != std::string::npos) {
        throw Undecidable{"a capture that is not there"};
    }
    const auto* all = run_of(subject).find(metric);
    std::vector<Point> points;  // none if there is no such metric: counts are 0
    for (const Point& point : all == nullptr ? std::vector<Point>() : *all) {
        const bool timed = std::isnan(point.step);
        const auto time = static_cast<double>(point.time_us);
        const bool is_in = (!subject.step_from || point.step >= *subject.step_from) &&
                           (!subject.step_to || point.step <= *subject.step_to);
        if ((timed || is_in) && (!subject.time_from || time >= *subject.time_from) &&
            (!subject.time_to || time <= *subject.time_to)) {
            points.push_back(point);
        }
    }
    return statistic_in_expression(points, expression.name);
}

std::optional<Number> series_statistic(const Expression& expression, const Subject& subject) {
    std::vector<Point> visible;
    for (const Point& point : subject.series->points) {
        if (!point.hidden) {
            visible.push_back(point);
        }
    }
    return statistic_in_expression(visible, expression.name);
}

bool is_of_class(const std::optional<Number>& value, const std::string& name, bool negated) {
    if (name == "missing") {
        return value.has_value() == negated;
    }
    if (!value) {
        return false;
    }
    const double v = value->value;
    const bool is_so = name == "nan"    ? std::isnan(v)
                       : name == "pinf" ? std::isinf(v) && v > 0
                       : name == "ninf" ? std::isinf(v) && v < 0
                                        : std::isfinite(v);
    return is_so != negated;
}

bool compares(const Expression& expression, const Subject& subject) {
    const Expression& left = expression.operands[0];
    const Expression& right = expression.operands[1];
    if (right.kind == Kind::kText) {
        const Run& run = run_of(subject);
        const auto at = run.texts.find(left.name);
        return at != run.texts.end() && (at->second == right.name) == (expression.name == "=");
    }
    const std::optional<Number> a = value_of(left, subject);
    const std::optional<Number> b = value_of(right, subject);
    return a && b && compare(*a, expression.name, *b);
}

}  // namespace

std::optional<Number> value_of(const Expression& expression, const Subject& subject) {
    switch (expression.kind) {
        case Kind::kNumber:
        case Kind::kMoment:
            return Number{expression.number, 0};
        case Kind::kName:
            return name_value(expression.name, subject);
        case Kind::kHold:
            return metric_at(expression.name, subject, true);
        case Kind::kStatistic:
            return series_statistic(expression, subject);
        case Kind::kOfMetric:
            return metric_statistic(expression, subject);
        case Kind::kCalculate: {
            const auto a = value_of(expression.operands[0], subject);
            const auto b = value_of(expression.operands[1], subject);
            return a && b ? std::optional(calculate(*a, expression.name, *b)) : std::nullopt;
        }
        default:
            throw Undecidable{"a condition is no value"};
    }
}

bool reads_metrics(const Expression& expression) {
    const std::string& name = expression.name;
    const bool is_of_point =
        name == "step" || name == "time" || name == "value" || name == "elapsed";
    return expression.kind == Kind::kHold ||
           (expression.kind == Kind::kName && !is_of_point && !name.starts_with("c/")) ||
           std::ranges::any_of(expression.operands, reads_metrics);
}

void check_names(const Expression& expression, const std::vector<const Run*>& runs) {
    for (const Expression& operand : expression.operands) {
        check_names(operand, runs);
    }
    const std::string& name =
        expression.kind == Kind::kOfMetric ? expression.metric : expression.name;
    const bool is_of_point =
        name == "step" || name == "time" || name == "value" || name == "elapsed";
    const bool is_name = expression.kind == Kind::kName || expression.kind == Kind::kHold ||
                         expression.kind == Kind::kOfMetric;
    if (!is_name || is_of_point || name.find('{') != std::string::npos) {
        return;
    }
    if (std::ranges::none_of(
            runs, [&](const Run* run) { return run->has(name) || run->find(name) != nullptr; })) {
        throw Undecidable{"a name that nobody knows is an error"};
    }
}

bool holds(const Expression& expression, const Subject& subject) {
    switch (expression.kind) {
        case Kind::kCompare:
            return compares(expression, subject);
        case Kind::kIs:
            return is_of_class(value_of(expression.operands[0], subject), expression.name,
                               expression.negated);
        case Kind::kAnd: {
            const bool first = holds(expression.operands[0], subject);
            return holds(expression.operands[1], subject) && first;
        }
        case Kind::kOr: {
            const bool first = holds(expression.operands[0], subject);
            return holds(expression.operands[1], subject) || first;
        }
        case Kind::kNot:
            return !holds(expression.operands[0], subject);
        default:
            throw Undecidable{"a value is no condition"};
    }
}

}  // namespace stepdb::plain
