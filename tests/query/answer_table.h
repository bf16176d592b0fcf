// An answer as text, for comparison: a header line and a CSV line a row, values as format_value
// prints them, times as ISO 8601, nothing for what is null; then a line "note ..." for each note.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "query/executor.h"

namespace stepdb {

using AnswerLines = std::vector<std::string>;

// The rows of a block, one line each.
void append_lines(AnswerLines& lines, const ResultBlock& block);

// Runs an execution to its end. Checks that blocks are complete, not empty and within their limit.
Task<Result<AnswerLines>> collect_lines(QueryExecution& execution);

}  // namespace stepdb
