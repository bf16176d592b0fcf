// Stages of series queries as they were written. docs/query-language.md, "Stages", says what each
// means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "query/diagnostic.h"
#include "query/expression_ast.h"
#include "query/pattern.h"

namespace stepdb {

// One end of a range.
struct RangeEnd {
    enum class Anchor : uint8_t { kOpen, kValue, kStart, kEnd, kNow, kFork };

    Anchor anchor = Anchor::kOpen;
    // The value itself, or the offset from the anchor: `step` in a `steps` stage, `time_us`
    // (microseconds) in a `time` stage.
    double step = 0;
    int64_t time_us = 0;
    SourceSpan span;
};

struct Range {
    RangeEnd from;
    RangeEnd to;
};

struct StepsStage {
    Range range;
};

struct TimeStage {
    Range range;
};

struct FirstStage {
    uint64_t points = 0;  // of each series
};

struct LastStage {
    uint64_t points = 0;  // of each series
};

// Expressions on points have numbers, by which their bound forms are found.
struct WhenStage {
    Expression condition;
    size_t number = 0;
};

// What a bucket can tell, in the order of an answer's columns.
enum class Statistic : uint8_t {
    kCount,
    kNan,
    kPositiveInfinity,
    kNegativeInfinity,
    kMin,
    kMinX,
    kMax,
    kMaxX,
    kSum,
    kMean,
    kFirst,
    kFirstX,
    kLast,
    kLastX,
};

// What is made of each finite point and those before it.
enum class Smoothing : uint8_t {
    kEma,
    kMovingMean,
    kMovingMedian,
    kMovingMin,
    kMovingMax,
    kMovingStd,
    kDiff,
    kRatePerSecond,
    kRatePerStep,
    kZscore,
};

struct SmoothStage {
    Smoothing smoothing = Smoothing::kEma;
    double weight = 0;    // of kEma, of what was before: [0, 1)
    uint64_t points = 0;  // of moving windows and kZscore
};

// One point for each window of `width` steps, or of `width_us` microseconds if that is not 0.
struct EveryStage {
    double width = 0;
    int64_t width_us = 0;
    Statistic statistic = Statistic::kMean;  // none of those that are places
    SourceSpan span;                         // of the width
};

struct XStage {
    enum class X : uint8_t { kStep, kTime, kElapsed, kExpression };

    X x = X::kStep;
    Expression expression;  // of kExpression
    size_t number = 0;      // as of WhenStage
};

// `top N by EXPRESSION`, `bottom N by EXPRESSION`
struct RankStage {
    bool is_top = true;
    uint64_t series = 0;
    Expression by;
};

// What is done with points and series, one stage after the other.
struct Stage {
    SourceSpan span;  // its name
    std::variant<StepsStage, TimeStage, FirstStage, LastStage, WhenStage, SmoothStage, EveryStage,
                 XStage, RankStage>
        what;
};

// The points themselves; `stamped` ones with the times of their rows beside their steps.
struct PointsShape {
    bool is_stamped = false;
};

struct BucketsShape {
    uint32_t buckets = 0;
    bool is_log = false;                // edges in equal ratios
    std::vector<Statistic> statistics;  // as named, all if none is
    bool is_all = false;                // none was named
};

// What `summary` can tell, in the order of an answer's columns.
enum class SummaryField : uint8_t {
    kCount,
    kNan,
    kPositiveInfinity,
    kNegativeInfinity,
    kMin,
    kMinStep,
    kMinTime,
    kMax,
    kMaxStep,
    kMaxTime,
    kSum,
    kMean,
    kVariance,
    kFirst,
    kFirstStep,
    kFirstTime,
    kLast,
    kLastStep,
    kLastTime,
};

struct SummaryShape {
    std::vector<SummaryField> fields;  // as named, all if none is
};

using AnswerShape = std::variant<PointsShape, BucketsShape, SummaryShape>;

// What is told of the values that several series have at one place.
struct Combination {
    enum class Kind : uint8_t {
        kCount,
        kMean,
        kStd,
        kVar,
        kMin,
        kMax,
        kSum,
        kPercentile,
    };

    Kind kind = Kind::kCount;
    double percentile = 0;
    std::string name;  // of its column
};

// What series have in common that are combined: a field, capture or attribute, or attributes by a
// glob of which some are taken out.
struct GroupKey {
    Pattern what;
    std::vector<Pattern> except;
};

// `across` has no keys.
struct CombineStage {
    SourceSpan span;
    std::vector<GroupKey> keys;
    std::vector<Combination> combinations;  // `count` is among them
};

struct ColumnKey {
    std::string column;
    SourceSpan span;
    bool descending = false;
};

// What is done with the rows of an answer.
struct RowStages {
    std::optional<SourceSpan> pivot;
    bool is_pivot_x = false;  // a row for each series, not for each x
    std::vector<ColumnKey> sort;
    std::optional<uint64_t> limit;
};

// Everything behind the first `|`.
struct SeriesStages {
    std::vector<Stage> stages;
    AnswerShape shape;
    SourceSpan shape_span;
    std::optional<CombineStage> combine;
    RowStages rows;
};

}  // namespace stepdb
