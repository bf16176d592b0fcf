// `across` and `group by`. docs/query-language.md holds the grammar.
#pragma once

#include "engine/base/result.h"
#include "query/stage_ast.h"
#include "query/token_reader.h"

namespace stepdb {

// Reads what follows `name`, which is `across` or `group` and was taken.
Result<CombineStage> parse_combine_stage(TokenReader& reader, const Token& name);

}  // namespace stepdb
