// Expressions as they were written: conditions of `where` and `when`, columns of `show`, keys of
// `sort`. What a name stands for depends on what the expression is about, and is decided in
// expression.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "query/diagnostic.h"
#include "query/pattern.h"

namespace stepdb {

// Of the tree of an expression, which is read and evaluated recursively.
inline constexpr uint32_t kExpressionDepthMax = 100;

// What the names of an expression can stand for.
enum class ExpressionScope : uint8_t {
    kRun,     // fields and attributes of a run, statistics of its series by name
    kSeries,  // besides statistics of the one series
    kPoint,   // step, time and value of a point, fields and attributes of its run
};

enum class PointStatistic : uint8_t {
    kCount,
    kNan,
    kPositiveInfinity,
    kNegativeInfinity,
    kMin,
    kMax,
    kMean,
    kSum,
    kStd,
    kVar,
    kFirst,
    kLast,
};

enum class PointPart : uint8_t { kValue, kStep, kTime };

enum class ValueClass : uint8_t {
    kMissing,
    kNull,
    kNan,
    kPositiveInfinity,
    kNegativeInfinity,
    kFinite,
};

// What compares, combines or calculates.
enum class Operator : uint8_t {
    kOr,   // of one or more
    kAnd,  // of one or more
    kNot,
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kContains,
    kNotContains,
    kMatches,     // the pattern
    kNotMatches,  // the pattern
    kTag,         // no operand: the run has a tag that matches the pattern
    kIs,          // of the class
    kIsNot,       // of the class
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kRemainder,
};

// A value as it was written.
struct LiteralTerm {
    std::string text;
    bool quoted = false;
};

struct NameTerm {
    std::string text;
    bool is_attribute = false;  // quoted, or in attr(): an attribute whatever it is called
    bool is_quoted = false;     // of a point it can be a metric
    bool is_held = false;       // in hold(): a metric, whose last value stands
};

// `min(METRIC when CONDITION).step`
struct StatisticTerm {
    PointStatistic statistic = PointStatistic::kCount;
    Pattern metric;
    std::optional<uint32_t> when;  // a node
    PointPart part = PointPart::kValue;
};

// `at(METRIC, AXIS = PLACE).step`
struct AtTerm {
    enum class Axis : uint8_t { kStep, kTime, kMetric };

    Pattern metric;
    Axis axis = Axis::kStep;
    Pattern axis_metric;  // of kMetric
    LiteralTerm place;
    SourceSpan place_span;
    PointPart part = PointPart::kValue;
};

struct OperatorTerm {
    Operator op = Operator::kOr;
    std::vector<uint32_t> operands;  // nodes
    Pattern pattern;
    ValueClass value_class = ValueClass::kMissing;
};

struct ExpressionNode {
    SourceSpan span;
    uint32_t depth = 1;  // of the tree under it
    std::variant<LiteralTerm, NameTerm, StatisticTerm, AtTerm, OperatorTerm> what;
};

struct Expression {
    std::vector<ExpressionNode> nodes;  // operands before what they are operands of
    uint32_t root = 0;
    SourceSpan span;
};

// Whether it is true or false, and not a value.
inline bool is_condition(const ExpressionNode& node) {
    const auto* term = std::get_if<OperatorTerm>(&node.what);
    return term != nullptr && term->op < Operator::kAdd;
}

}  // namespace stepdb
