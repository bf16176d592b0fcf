#include "tests/query/plain/numbers.h"

#include <algorithm>
#include <cmath>

namespace stepdb::plain {

namespace {

// Never exact, for even the sign of a zero is open.
Number rounded(double value, double error, double magnitude) {
    return {value, std::isfinite(value) ? error + kSlack * magnitude + 1e-300 : 0};
}

// -1, 0 or 1; neither is NaN.
int order(const Number& a, const Number& b) {
    if (!is_exact(a) || !is_exact(b)) {
        const double apart = std::fabs(a.value - b.value);
        const double near =
            2 * (a.error + b.error) + 1e-9 * std::max(std::fabs(a.value), std::fabs(b.value));
        if (std::isfinite(a.value) && std::isfinite(b.value) && apart <= near) {
            throw Undecidable{"a comparison within rounding"};
        }
    }
    return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

double max_error(std::span<const Number> numbers) {
    double error = 0;
    for (const Number& number : numbers) {
        error = std::max(error, number.error);
    }
    return error;
}

double max_magnitude(std::span<const Number> numbers) {
    double magnitude = 0;
    for (const Number& number : numbers) {
        magnitude = std::max(magnitude, std::fabs(number.value));
    }
    return magnitude;
}

}  // namespace

bool is_exact(const Number& number) {
    return number.error == 0;
}

bool is_less(const Number& a, const Number& b) {
    return !std::isnan(a.value) && !std::isnan(b.value) && order(a, b) < 0;
}

bool is_equal(const Number& a, const Number& b) {
    return !std::isnan(a.value) && !std::isnan(b.value) && order(a, b) == 0;
}

bool compare(const Number& a, const std::string& op, const Number& b) {
    if (std::isnan(a.value) || std::isnan(b.value)) {
        return op == "!=";
    }
    const int o = order(a, b);
    return op == "="    ? o == 0
           : op == "!=" ? o != 0
           : op == "<"  ? o < 0
           : op == "<=" ? o <= 0
           : op == ">"  ? o > 0
                        : o >= 0;
}

Number calculate(const Number& a, const std::string& op, const Number& b) {
    const bool exact = is_exact(a) && is_exact(b);
    const double x = a.value;
    const double y = b.value;
    const auto made = [&](double value, double error) {
        return exact ? Number{value, 0} : rounded(value, error, std::fabs(value));
    };
    if (op == "+") {
        return made(x + y, a.error + b.error);
    }
    if (op == "-") {
        return made(x - y, a.error + b.error);
    }
    if (op == "*") {
        return made(x * y, std::fabs(x) * b.error + std::fabs(y) * a.error + a.error * b.error);
    }
    if (op == "%") {
        if (!exact) {
            throw Undecidable{"a remainder of what is rounded"};
        }
        return {std::fmod(x, y), 0};
    }
    if (exact) {
        return {x / y, 0};
    }
    if (std::fabs(y) <= 4 * b.error) {
        throw Undecidable{"a division by nothing"};
    }
    return made(x / y, (a.error + std::fabs(x / y) * b.error) / (std::fabs(y) - b.error));
}

std::vector<Number> finite(std::span<const Point> points) {
    std::vector<Number> numbers;
    for (const Point& point : points) {
        if (std::isfinite(point.value.value)) {
            numbers.push_back(point.value);
        }
    }
    return numbers;
}

Number sum_of(std::span<const Number> numbers) {
    long double sum = 0;
    double magnitude = 0;
    double error = 0;
    for (const Number& number : numbers) {
        sum += static_cast<long double>(number.value);
        magnitude += std::fabs(number.value);
        error += number.error;
    }
    return rounded(static_cast<double>(sum), error, magnitude);
}

Number mean_of(std::span<const Number> numbers) {
    const Number sum = sum_of(numbers);
    const auto count = static_cast<double>(numbers.size());
    return {sum.value / count, sum.error / count};
}

Number variance_of(std::span<const Number> numbers) {
    const auto count = static_cast<long double>(numbers.size());
    const bool same = std::ranges::all_of(
        numbers, [&](const Number& number) { return number.value == numbers.front().value; });
    if (same && max_error(numbers) == 0) {
        return {0, 0};
    }
    long double sum = 0;
    for (const Number& number : numbers) {
        sum += static_cast<long double>(number.value);
    }
    long double squares = 0;
    for (const Number& number : numbers) {
        const long double off = static_cast<long double>(number.value) - sum / count;
        squares += off * off;
    }
    const auto variance = static_cast<double>(squares / count);
    const double deviation = std::sqrt(variance);
    const double error = max_error(numbers) + 1e-14 * max_magnitude(numbers);
    return {variance, 1e-9 * variance + 4 * deviation * error + 4 * error * error};
}

Number deviation_of(std::span<const Number> numbers) {
    const Number variance = variance_of(numbers);
    if (variance.value == 0 && variance.error == 0) {
        return {0, 0};
    }
    const double deviation = std::sqrt(variance.value);
    return {deviation, variance.error < variance.value / 2
                           ? variance.error / deviation + kSlack * deviation
                           : 2 * std::sqrt(variance.error)};
}

Number percentile_of(std::vector<Number> numbers, double percent) {
    std::ranges::sort(numbers, {}, &Number::value);  // errors move both alike
    const double error = max_error(numbers);
    const double at = static_cast<double>(numbers.size() - 1) * percent / 100;
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, numbers.size() - 1);
    const double part = at - static_cast<double>(below);
    if (part == 0 && numbers[below].value != 0) {  // which zero is open
        return {numbers[below].value, error};
    }
    const double value =
        numbers[below].value + (numbers[above].value - numbers[below].value) * part;
    return rounded(value, error, max_magnitude(numbers));
}

Number extreme_of(std::span<const Number> numbers, bool min) {
    Number best = numbers.front();
    for (const Number& number : numbers) {
        const double a = min ? number.value : best.value;
        const double b = min ? best.value : number.value;
        if (a < b || (a == b && std::signbit(a) && !std::signbit(b))) {
            best = number;
        }
    }
    best.error = max_error(numbers);
    return best;
}

const Point* extreme_point(std::span<const Point> points, bool min) {
    const Point* best = nullptr;
    for (const Point& point : points) {
        if (!std::isfinite(point.value.value)) {
            continue;
        }
        if (best == nullptr) {
            best = &point;
            continue;
        }
        const Number& a = min ? point.value : best->value;
        const Number& b = min ? best->value : point.value;
        const bool zeros = a.value == 0 && b.value == 0 && is_exact(a) && is_exact(b);
        if (zeros ? std::signbit(a.value) && !std::signbit(b.value) : is_less(a, b)) {
            best = &point;
        }
    }
    return best;
}

std::optional<Number> statistic_of(std::span<const Point> points, const std::string& name) {
    const auto count = [&](auto is_one) {
        const auto found = std::ranges::count_if(
            points, [&](const Point& point) { return is_one(point.value.value); });
        return Number{static_cast<double>(found), 0};
    };
    if (name == "count") {
        return count([](double value) { return std::isfinite(value); });
    }
    if (name == "nan") {
        return count([](double value) { return std::isnan(value); });
    }
    if (name == "pinf" || name == "ninf") {
        const bool positive = name == "pinf";
        return count([=](double value) { return std::isinf(value) && (value > 0) == positive; });
    }
    if (name == "first" || name == "last") {
        return points.empty()    ? std::nullopt
               : name == "first" ? std::optional(points.front().value)
                                 : std::optional(points.back().value);
    }
    const std::vector<Number> numbers = finite(points);
    if (numbers.empty()) {
        return std::nullopt;
    }
    return name == "min"    ? extreme_of(numbers, true)
           : name == "max"  ? extreme_of(numbers, false)
           : name == "sum"  ? sum_of(numbers)
           : name == "mean" ? mean_of(numbers)
           : name == "std"  ? deviation_of(numbers)
                            : variance_of(numbers);
}

}  // namespace stepdb::plain
