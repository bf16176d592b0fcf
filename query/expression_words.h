// The words of expressions, and what other languages and tools call them.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "query/expression_ast.h"

namespace stepdb {

// "count", "nan", "pinf", ... in the order of PointStatistic.
std::span<const std::string_view> point_statistic_names();
// ".value", ".step", ".time", in the order of PointPart.
std::span<const std::string_view> point_part_names();
// "missing", "null", ... in the order of ValueClass.
std::span<const std::string_view> value_class_names();

// The place of a word among such names.
std::optional<size_t> find_word(std::span<const std::string_view> names, std::string_view word);

// Whether such a statistic is a point, which has a value, a step and a time.
bool has_place(PointStatistic statistic);

// "min.step" as its statistic and part; false if the name is none.
bool split_statistic(std::string_view name, PointStatistic& statistic, PointPart& part);

// Our word for a function or an operator that others call so: "mean" for "avg", "=" for "==".
std::optional<std::string_view> our_function(std::string_view word);
std::optional<std::string_view> our_operator(std::string_view word);

// Those that compare, that add and subtract, and that multiply and divide: words of their own.
std::optional<Operator> find_comparison(std::string_view word);
std::optional<Operator> find_sum(std::string_view word);
std::optional<Operator> find_product(std::string_view word);

// Whether the word is a number or a time, or seems to be meant as one.
bool may_be_number(std::string_view word);

}  // namespace stepdb
