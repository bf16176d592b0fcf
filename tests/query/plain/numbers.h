// Arithmetic on numbers whose engine counterparts may be a little off, and statistics over points.
// What rounding would decide throws Undecidable.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/query/plain/world.h"

namespace stepdb::plain {

// What one operation that the language does not fix bit by bit may be off, of the magnitudes that
// went into it.
inline constexpr double kSlack = 1e-12;

bool is_exact(const Number& number);
// NaN is below nothing.
bool is_less(const Number& a, const Number& b);
bool is_equal(const Number& a, const Number& b);
bool compare(const Number& a, const std::string& op, const Number& b);
// + - * / %
Number calculate(const Number& a, const std::string& op, const Number& b);

std::vector<Number> finite(std::span<const Point> points);

// Of finite numbers; at least one.
Number sum_of(std::span<const Number> numbers);
Number mean_of(std::span<const Number> numbers);
Number variance_of(std::span<const Number> numbers);
Number deviation_of(std::span<const Number> numbers);
// Linear between the closest ranks; `percent` 50 is the median.
Number percentile_of(std::vector<Number> numbers, double percent);
// -0 is below +0.
Number extreme_of(std::span<const Number> numbers, bool min);

// The point with the least or greatest finite value, the earliest of equals; null if there is none.
const Point* extreme_point(std::span<const Point> points, bool min);

// "count", "nan", "pinf", "ninf", "min", "max", "sum", "mean", "std", "var", "first", "last"; unset
// if it does not exist.
std::optional<Number> statistic_of(std::span<const Point> points, const std::string& name);

}  // namespace stepdb::plain
