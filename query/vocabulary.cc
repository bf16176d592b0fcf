#include "query/vocabulary.h"

#include <array>

namespace stepdb {

namespace {

constexpr std::array<std::string_view, 14> kBucketFieldNames = {
    "count", "nan", "pinf", "ninf",  "min",     "min_x", "max",
    "max_x", "sum", "mean", "first", "first_x", "last",  "last_x"};

constexpr std::array<std::string_view, 19> kSummaryFieldNames = {
    "count",      "nan",        "pinf",     "ninf",      "min",      "min_step", "min_time",
    "max",        "max_step",   "max_time", "sum",       "mean",     "variance", "first",
    "first_step", "first_time", "last",     "last_step", "last_time"};

}  // namespace

const std::vector<std::string>& query_keywords() {
    static const std::vector<std::string> names = {"attributes", "explain", "metrics", "notes",
                                                   "projects",   "runs",    "stats"};
    return names;
}

const std::vector<std::string>& stage_names() {
    static const std::vector<std::string> names = {
        "across", "bottom",  "buckets", "diff",   "ema",   "every", "first", "group",
        "last",   "limit",   "log-x",   "moving", "pivot", "rate",  "sort",  "stamped",
        "steps",  "summary", "time",    "top",    "when",  "x",     "zscore"};
    return names;
}

const std::vector<std::string>& table_stage_names() {
    static const std::vector<std::string> names = {"show", "sort", "limit"};
    return names;
}

std::span<const std::string_view> bucket_field_names() {
    return kBucketFieldNames;
}

std::span<const std::string_view> summary_field_names() {
    return kSummaryFieldNames;
}

}  // namespace stepdb
