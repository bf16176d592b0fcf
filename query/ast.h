// A query as it was written: nothing in it is resolved against a store, a clock or a run. The
// parser makes it, bind (bind.h) gives it meaning. docs/query-language.md is the specification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "query/diagnostic.h"

namespace stepdb {

enum class PatternKind : uint8_t {
    kExact,  // a quoted literal, or a word without `*` and braces
    kGlob,   // a word with `*`, `**` or `{name}`
    kRegex,  // RE2, found anywhere in the name
};

struct Pattern {
    PatternKind kind = PatternKind::kExact;
    std::string text;
    SourceSpan span;
};

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

struct Stage {
    SourceSpan span;  // its name
    std::variant<StepsStage, TimeStage, FirstStage, LastStage, BucketsStage, SummaryStage> what;
};

// `metrics @ runs | stage | stage`
struct SeriesQuery {
    std::vector<Pattern> metrics;
    std::vector<RunPattern> runs;
    std::vector<Stage> stages;
};

// `runs PATTERN, ...`
struct RunsQuery {
    std::vector<RunPattern> runs;
};

// `attributes PATTERN, ...`
struct AttributesQuery {
    std::vector<RunPattern> runs;
};

// `metrics PATTERN, ... @ runs`
struct MetricsQuery {
    std::vector<Pattern> metrics;
    std::vector<RunPattern> runs;
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
