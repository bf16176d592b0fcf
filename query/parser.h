// Query text to AST. docs/query-language.md holds the grammar.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "query/ast.h"
#include "query/parameters.h"

namespace stepdb {

// kInvalidArgument with the place, what was expected there, what was found and the nearest valid
// spelling (diagnostic.h). Never crashes, whatever the text. `parameters` are what words `$name` of
// the text stand for; each must be used.
Result<Query> parse_query(std::string_view text,
                          const QueryParameters& parameters = QueryParameters());

// The name of a statistic, which is also the name of its column: "count", "min_x", ...
std::string_view statistic_name(Statistic statistic);
// Likewise: "count", "min_step", ...
std::string_view summary_field_name(SummaryField field);

}  // namespace stepdb
