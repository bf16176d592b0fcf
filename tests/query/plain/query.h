// A query as the exactness test makes it: what is printed for the engine, and what the evaluator
// evaluates. No parser stands between them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace stepdb::plain {

// What `buckets` and `summary` tell.
inline constexpr std::array<const char*, 14> kBucketFields = {
    "count", "nan", "pinf", "ninf",  "min",     "min_x", "max",
    "max_x", "sum", "mean", "first", "first_x", "last",  "last_x"};
inline constexpr std::array<const char*, 19> kSummaryFields = {
    "count",      "nan",        "pinf",     "ninf",      "min",      "min_step", "min_time",
    "max",        "max_step",   "max_time", "sum",       "mean",     "variance", "first",
    "first_step", "first_time", "last",     "last_step", "last_time"};

// A value or a condition.
struct Expression {
    enum class Kind : uint8_t {
        kNumber,     // `number`
        kMoment,     // `number` microseconds
        kText,       // NAME itself, beside an attribute
        kName,       // step, time, value, elapsed; a metric; an attribute
        kHold,       // hold(NAME)
        kStatistic,  // NAME of the series
        kOfMetric,   // NAME(METRIC)
        kCalculate,  // OPERATOR of two
        kCompare,    // likewise
        kIs,         // of one; NAME is the class, `negated`
        kAnd,
        kOr,
        kNot,
    };
    Kind kind = Kind::kNumber;
    double number = 0;
    std::string name;
    std::string metric;
    bool negated = false;
    std::vector<Expression> operands;

    std::string print() const;
};

struct Stage {
    enum class Kind : uint8_t {
        kSteps,
        kTime,
        kFirst,
        kLast,
        kWhen,
        kEma,
        kMoving,
        kDiff,
        kRate,
        kZscore,
        kEvery,
        kX,
        kTop,
        kBottom,
    };
    Kind kind = Kind::kSteps;
    std::optional<double> from;  // a step, or microseconds
    std::optional<double> to;
    double number = 0;  // a count, weight or width (of `every`, microseconds if `is_duration`)
    bool is_duration = false;  // of `every`
    std::string word;          // statistic, or the axis of `rate`
    Expression expression;

    bool is_smoothing() const { return kind >= Kind::kEma && kind <= Kind::kZscore; }
    std::string print() const;
};

struct Query;

// Metrics, or what is calculated from them.
struct Term {
    enum class Kind : uint8_t { kPattern, kNumber, kHold, kOperator, kQuery };
    Kind kind = Kind::kPattern;
    std::string text;  // pattern or operator
    double number = 0;
    std::vector<Term> operands;  // of hold one, of an operator two
    std::shared_ptr<const Query> query;
    std::string as;  // of the whole term

    std::string print() const;
};

struct GroupKey {
    std::string word;  // run, metric, a capture, an attribute, or a glob of attributes
    std::vector<std::string> except;
};

struct SortKey {
    std::string column;
    bool descending = false;
};

struct Query {
    enum class Shape : uint8_t { kPoints, kBuckets, kSummary, kStamped };
    std::vector<Term> terms;
    std::vector<std::string> runs;  // patterns
    std::optional<Expression> where;
    std::vector<Stage> stages;
    Shape shape = Shape::kPoints;
    bool is_log = false;  // log-x
    uint32_t buckets = 0;
    std::vector<std::string> statistics;  // of buckets or summary; none: all
    bool is_across = false;
    std::vector<GroupKey> group_by;
    std::vector<std::string> combinations;
    bool is_pivot = false;
    std::vector<SortKey> sort;
    std::optional<uint64_t> limit;

    bool is_combined() const { return is_across || !group_by.empty(); }
    std::string print() const;
};

}  // namespace stepdb::plain
