#include "query/token_reader.h"

#include <array>

#include "query/literals.h"

namespace stepdb {

namespace {

constexpr std::array<std::string_view, 11> kOperators = {"@", "+", "-",  "/",  "%", "=",
                                                         "<", ">", "!=", "<=", ">="};

bool starts_pattern(const Token& token) {
    return token.kind == TokenKind::kLiteral || token.kind == TokenKind::kRegex ||
           (token.kind == TokenKind::kWord && !is_operator(token));
}

}  // namespace

bool is_operator(const Token& token) {
    return token.kind == TokenKind::kWord &&
           std::ranges::find(kOperators, token.text) != kOperators.end();
}

bool is_glob(const Token& token) {
    return token.kind == TokenKind::kWord && token.text.find_first_of("*{}") != std::string::npos;
}

Error TokenReader::expected(std::string_view what, std::string_view hint) const {
    return error_at(peek().span,
                    fmt::format("expected {}, found {}{}", what, describe(peek()), hint));
}

Status TokenReader::take_punctuation(TokenKind kind, std::string_view why) {
    if (peek().kind != kind) {
        return expected(
            fmt::format("'{}'{}", kind == TokenKind::kOpenParenthesis ? '(' : ')', why));
    }
    take();
    return {};
}

Result<uint64_t> TokenReader::take_count(std::string_view what, uint64_t max) {
    if (!may_be_quantity(peek())) {
        return expected(what);
    }
    const Token& word = take();
    const Result<uint64_t> count = parse_count(what, word.text, max);
    return count ? count : Result<uint64_t>(error_about(word, count.error().message()));
}

Result<Pattern> TokenReader::take_pattern(std::string_view what) {
    if (!starts_pattern(peek())) {
        return expected(what);
    }
    const Token& token = take();
    Pattern pattern;
    pattern.text = token.text;
    pattern.span = token.span;
    if (pattern.text.empty()) {
        return error_about(token, fmt::format("expected {}, found an empty name", what));
    }
    if (token.kind == TokenKind::kRegex) {
        pattern.kind = PatternKind::kRegex;
    } else if (is_glob(token)) {
        pattern.kind = PatternKind::kGlob;
    }
    return pattern;
}

}  // namespace stepdb
