// A query as it was written: nothing in it is resolved against a store, a clock or a run. The
// parser makes it, bind (bind.h) gives it meaning. docs/query-language.md is the specification.
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

// `project/run` or `project/run#K`, or `parent(...)` or `own(...)` of it.
struct RunPattern {
    enum class Of : uint8_t {
        kRun,
        kParent,  // what the run was forked from
        kOwn,     // the run without what it inherits from the runs it was forked from
    };

    Pattern path;                     // without the attempt
    std::optional<uint32_t> attempt;  // unset: the newest
    Of of = Of::kRun;
};

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

struct WhenStage {
    Expression condition;  // on points
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

struct BucketsStage {
    uint32_t buckets = 0;
    std::vector<Statistic> statistics;  // as named, all if none is
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

struct SummaryStage {
    std::vector<SummaryField> fields;  // as named, all if none is
};

// Points with the times of their rows beside their steps.
struct StampedStage {};

struct Stage {
    SourceSpan span;  // its name
    std::variant<StepsStage, TimeStage, FirstStage, LastStage, WhenStage, BucketsStage,
                 SummaryStage, StampedStage>
        what;
};

// A column of `show`.
struct ShowColumn {
    std::string name;  // given with `as`, else the expression as it was written
    Expression expression;
};

struct SortKey {
    std::string text;  // as it was written, to be found among the names of columns
    Expression expression;
    bool descending = false;
};

// `| show ... | sort ... | limit N`: what tables of runs and series show, in which order, and how
// many rows of it.
struct TableStages {
    std::vector<ShowColumn> show;  // none: the usual columns
    std::vector<SortKey> sort;     // none: natural order of names
    std::optional<uint64_t> limit;
};

// `metrics @ runs where condition | stage | stage`
struct SeriesQuery {
    std::vector<Pattern> metrics;
    std::vector<RunPattern> runs;
    std::optional<Expression> where;  // of runs
    std::vector<Stage> stages;
};

// `runs PATTERN, ... where condition | show ...`
struct RunsQuery {
    std::vector<RunPattern> runs;
    std::optional<Expression> where;
    TableStages table;
};

// `attributes PATTERN, ... where condition`
struct AttributesQuery {
    std::vector<RunPattern> runs;
    std::optional<Expression> where;
};

// `metrics PATTERN, ... @ runs where condition | show ...`
struct MetricsQuery {
    std::vector<Pattern> metrics;
    std::vector<RunPattern> runs;
    std::optional<Expression> where;  // of series
    TableStages table;
};

// `projects`
struct ProjectsQuery {
    std::vector<RunPattern> runs;  // none
};

// `stats`
struct StatsQuery {
    std::vector<RunPattern> runs;  // none
};

struct Query {
    std::string text;      // as given, for messages
    bool explain = false;  // tell how it is answered instead of answering
    std::variant<SeriesQuery, RunsQuery, AttributesQuery, MetricsQuery, ProjectsQuery, StatsQuery>
        what;
};

}  // namespace stepdb
