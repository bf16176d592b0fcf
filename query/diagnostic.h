// What a wrong query gets to read: where it is wrong, what was expected there, what was found, and
// the nearest valid spelling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

// A piece of a query's text, in bytes.
struct SourceSpan {
    size_t offset = 0;
    size_t bytes = 0;
};

// The error of code `code` for `span` of `text`. Its message has three lines: line (if there are
// several), column (in characters, from 1) and byte (from 0) with `message`; the line of the query;
// carets under the span.
Error query_error(std::string_view text, SourceSpan span, std::string_view message,
                  ErrorCode code = ErrorCode::kInvalidArgument);

// The span that an error shows whose message came of query_error for `text`; of one that goes
// beyond its line only the part in that. Nothing for any other message.
std::optional<SourceSpan> span_of_query_error(std::string_view text, std::string_view message);

// The candidate that is `word` but for upper and lower case; else the nearest to it by edit
// distance (a swap of neighbours counts one), if it is near enough to be a slip of the pen; ties go
// to the first. Looks at a bounded number of candidates.
std::optional<std::string> nearest_spelling(std::string_view word,
                                            std::span<const std::string> candidates);

// "1 point", "2 points".
std::string counted(uint64_t count, std::string_view one);

// "; did you mean 'X'?" or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace stepdb
