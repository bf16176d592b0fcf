// Query text to tokens. docs/query-language.md, "Lexis".
//
// There are no operator tokens: `@ + - * / % = < >` are operators only as words of their own, and
// whether such a word is one (`*` is also a pattern) is for the parser to say.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "query/diagnostic.h"
#include "query/parameters.h"

namespace stepdb {

enum class TokenKind : uint8_t {
    kWord,     // runs to the next blank, comma, pipe, parenthesis or quote
    kLiteral,  // "..." or '...', or the value of a parameter: stands for itself
    kRegex,    // ~"..." or ~'...'
    kComma,
    kPipe,
    kOpenParenthesis,
    kCloseParenthesis,
    kEnd,
};

struct Token {
    TokenKind kind = TokenKind::kEnd;
    std::string text;  // of literals and regexes: what is between the quotes, doubled ones undone
    SourceSpan span;   // as written, quotes included
    // Of a literal that is a parameter's value, the parameter's name.
    std::string parameter;
    // Of a word `A..B` the values of the parameters that A and B are.
    std::array<std::optional<std::string>, 2> range_values;

    bool is_parameter() const { return !parameter.empty(); }
    bool is_quoted() const { return kind == TokenKind::kLiteral && !is_parameter(); }
    bool is_word(std::string_view word) const { return kind == TokenKind::kWord && text == word; }
};

// What the token is, for an error message: "'buckets'", "the literal \"a b\"", "the end".
std::string describe(const Token& token);

// The tokens, with kEnd as the last, and the values of parameters in their places. Errors: text too
// long, not UTF-8, control characters, a quote that is not closed, a parameter that is not given or
// not used.
Result<std::vector<Token>> tokenize(std::string_view text,
                                    const QueryParameters& parameters = QueryParameters());

}  // namespace stepdb
