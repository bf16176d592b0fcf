// The stages of series queries. docs/query-language.md, "Grammar" and "Stages".
#pragma once

#include "engine/base/result.h"
#include "query/stage_ast.h"
#include "query/token_reader.h"

namespace stepdb {

// Reads `| stage | stage ...`, if a `|` stands next, up to the end of the query or, of one in
// parentheses, up to its `)`. `expressions` counts the expressions on points of the whole text.
Result<SeriesStages> parse_series_stages(TokenReader& reader, bool is_in_parentheses,
                                         size_t& expressions);

// "; did you mean '| buckets'?" if a stage stands where none can without a `|`.
std::string missing_pipe(const TokenReader& reader);

}  // namespace stepdb
