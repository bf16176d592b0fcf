// Walks over the tokens of one query: what all parts of the parser share.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "query/ast.h"
#include "query/lexer.h"

namespace stepdb {

class TokenReader {
  public:
    // `text` outlives the reader. The last token is kEnd.
    TokenReader(std::string_view text, std::vector<Token> tokens)
        : text_(text), tokens_(std::move(tokens)) {}

    std::string_view text() const { return text_; }
    // How many tokens were taken.
    size_t taken() const { return at_; }
    const Token& peek(size_t ahead = 0) const {
        return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
    }
    // The one taken `back` + 1 tokens ago; the first if there are not so many.
    const Token& taken_before(size_t back = 0) const {
        return tokens_[at_ > back ? at_ - 1 - back : 0];
    }
    const Token& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }

    Error error_at(SourceSpan span, std::string_view message) const {
        return query_error(text_, span, message);
    }
    // At the token, and naming the parameter if it is one.
    Error error_about(const Token& token, std::string_view message) const {
        return error_at(token.span, token.is_parameter()
                                        ? fmt::format("parameter ${}: {}", token.parameter, message)
                                        : std::string(message));
    }
    // "expected WHAT, found 'x'HINT", at the next token.
    Error expected(std::string_view what, std::string_view hint = "") const;

    // The operator that the next token is, by one of the find_ functions of expression_words.h.
    template <typename Find>
    auto peek_operator(Find find) const {
        return peek().kind == TokenKind::kWord ? find(peek().text) : decltype(find(""))();
    }

    // Takes `(` or `)`; `why` follows "'('" in the message: "'(' behind `count`".
    Status take_punctuation(TokenKind kind, std::string_view why);

    // Takes a whole number from 1 to `max`; `what` names it.
    Result<uint64_t> take_count(std::string_view what, uint64_t max);

    // The next token as a pattern; `what` says in the message what is expected.
    Result<Pattern> take_pattern(std::string_view what);

  private:
    std::string_view text_;
    std::vector<Token> tokens_;
    size_t at_ = 0;
};

// Whether it is a word that is an operator where one can stand. `*` is not among them, for it is
// also a pattern.
bool is_operator(const Token& token);

// Whether it can be a number, a count, a duration or a moment.
inline bool may_be_quantity(const Token& token) {
    return token.kind == TokenKind::kWord || token.is_parameter();
}

// Whether it is a word that is a glob where a pattern can stand.
bool is_glob(const Token& token);

// From the start of one span to the end of the other.
inline SourceSpan join_spans(SourceSpan from, SourceSpan to) {
    return {from.offset, to.offset + to.bytes - from.offset};
}

}  // namespace stepdb
