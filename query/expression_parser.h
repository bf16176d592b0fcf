// Expressions and what is made of them: `where`, `show`, `sort`, `limit`. docs/query-language.md,
// "Expressions", holds the grammar.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "query/ast.h"
#include "query/token_reader.h"

namespace stepdb {

// Reads a condition from the next token on, as far as it goes. The error has the place, what was
// expected there and the nearest valid spelling.
Result<Expression> parse_condition(TokenReader& reader, ExpressionScope scope);

// Reads a value, or a condition in parentheses.
Result<Expression> parse_value_expression(TokenReader& reader, ExpressionScope scope);

// Reads `where` and a condition if `where` stands next.
Result<std::optional<Expression>> parse_where(TokenReader& reader, ExpressionScope scope);

// Reads `asc` or `desc` behind a key of `sort`, if one stands next: whether it is `desc`.
Result<bool> take_order(TokenReader& reader);

// Reads any `| show`, `| sort` and `| limit`, in this order, up to the end of the query.
Result<TableStages> parse_table_stages(TokenReader& reader, ExpressionScope scope);

}  // namespace stepdb
