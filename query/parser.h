// Query text to AST. docs/query-language.md holds the grammar.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "query/ast.h"

namespace stepdb {

// kInvalidArgument with the place, what was expected there, what was found and the nearest valid
// spelling (diagnostic.h). Never crashes, whatever the text.
Result<Query> parse_query(std::string_view text);

// The name of a statistic, which is also the name of its column: "count", "min_x", ...
std::string_view statistic_name(Statistic statistic);
// Likewise: "count", "min_step", ...
std::string_view summary_field_name(SummaryField field);

}  // namespace stepdb
