// Ranges: `A..B`, with ends that are values, anchors with an offset (`fork-500`, `now-1h`),
// parameters that are one of these, or nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "query/ast.h"
#include "query/lexer.h"

namespace stepdb {

enum class RangeAxis : uint8_t { kStep, kTime };

// The form of a range on that axis, for "expected ...".
std::string_view range_form(RangeAxis axis);

// Reads `token`, a word of `text`.
Result<Range> parse_range_word(std::string_view text, const Token& token, RangeAxis axis);

}  // namespace stepdb
