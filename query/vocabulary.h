// The words of the query language that stand where only certain ones can: for the parser, for its
// suggestions, and for whoever completes what is typed. Functions and operators of expressions are
// in expression_words.h.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stepdb {

// What a query can begin with, if not with metrics.
const std::vector<std::string>& query_keywords();

// Stages of points, and of tables of runs and series; these in the order in which they may stand.
const std::vector<std::string>& stage_names();
const std::vector<std::string>& table_stage_names();

// What `buckets` and `summary` can tell, in the order of Statistic and of SummaryField.
std::span<const std::string_view> bucket_field_names();
std::span<const std::string_view> summary_field_names();

}  // namespace stepdb
