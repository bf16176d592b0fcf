#include "query/lexer.h"

#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_quote(char c) {
    return c == '"' || c == '\'';
}

bool ends_word(char c) {
    return is_blank(c) || is_quote(c) || c == ',' || c == '|' || c == '(' || c == ')';
}

Status check_characters(std::string_view text) {
    if (text.size() > kQueryTextBytesMax) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the query has {} bytes; at most {} are allowed", text.size(),
                          kQueryTextBytesMax);
    }
    if (!is_valid_utf8(text)) {
        return make_error(ErrorCode::kInvalidArgument, "the query is not valid UTF-8: '{}'",
                          printable(text));
    }
    for (size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (!is_blank(text[at]) && (byte < 0x20 || byte == 0x7F)) {
            return query_error(text, {at, 1},
                               fmt::format("control character 0x{:02x} in the query", byte));
        }
    }
    return {};
}

// Reads the quoted text that opens at `at`; `token.span.offset` is set, the rest is filled in.
Result<size_t> read_quoted(std::string_view text, size_t at, Token& token) {
    const char quote = text[at];
    for (++at; at < text.size(); ++at) {
        if (text[at] != quote) {
            token.text += text[at];
        } else if (at + 1 < text.size() && text[at + 1] == quote) {
            token.text += quote;
            ++at;
        } else {
            token.span.bytes = at + 1 - token.span.offset;
            return at + 1;
        }
    }
    token.span.bytes = text.size() - token.span.offset;
    return query_error(
        text, token.span,
        fmt::format("expected a closing {} of what is opened here, found the end", quote));
}

TokenKind punctuation(char c) {
    switch (c) {
        case ',':
            return TokenKind::kComma;
        case '|':
            return TokenKind::kPipe;
        case '(':
            return TokenKind::kOpenParenthesis;
        case ')':
            return TokenKind::kCloseParenthesis;
        default:
            return TokenKind::kWord;
    }
}

// If the word is a parameter it becomes its value, and so do the ends of a range that are.
Status fill_parameters(ParameterReader& parameters, Token& token) {
    if (const auto name = parameter_name(token.text)) {
        token.parameter = *name;
        TRY_ASSIGN(token.text, parameters.read(token.parameter, token.span));
        token.kind = TokenKind::kLiteral;
        return {};
    }
    const size_t dots = token.text.find("..");
    if (dots == std::string::npos) {
        return {};
    }
    const std::string_view word = token.text;
    if (const auto name = parameter_name(word.substr(0, dots))) {
        TRY_ASSIGN(token.range_values[0], parameters.read(*name, {token.span.offset, dots}));
    }
    if (const auto name = parameter_name(word.substr(dots + 2))) {
        const SourceSpan span = {token.span.offset + dots + 2, word.size() - dots - 2};
        TRY_ASSIGN(token.range_values[1], parameters.read(*name, span));
    }
    return {};
}

}  // namespace

std::string describe(const Token& token) {
    switch (token.kind) {
        case TokenKind::kWord:
            return fmt::format("'{}'", printable(token.text, 80));
        case TokenKind::kLiteral:
            if (token.is_parameter()) {
                return fmt::format("parameter ${} ('{}')", printable(token.parameter, 80),
                                   printable(token.text, 80));
            }
            return fmt::format("the literal \"{}\"", printable(token.text, 80));
        case TokenKind::kRegex:
            return fmt::format("the regex ~\"{}\"", printable(token.text, 80));
        case TokenKind::kComma:
            return "','";
        case TokenKind::kPipe:
            return "'|'";
        case TokenKind::kOpenParenthesis:
            return "'('";
        case TokenKind::kCloseParenthesis:
            return "')'";
        case TokenKind::kEnd:
            return "the end of the query";
    }
    return "an unknown token";
}

Result<std::vector<Token>> tokenize(std::string_view text, const QueryParameters& parameters) {
    TRY(check_characters(text));
    ParameterReader reader(text, parameters);
    std::vector<Token> tokens;
    size_t at = 0;
    while (true) {
        while (at < text.size() && is_blank(text[at])) {
            ++at;
        }
        Token token;
        token.span = {at, 0};
        if (at == text.size()) {
            tokens.push_back(std::move(token));
            TRY(reader.check_all_read());
            return tokens;
        }
        const bool regex = text[at] == '~' && at + 1 < text.size() && is_quote(text[at + 1]);
        if (regex || is_quote(text[at])) {
            token.kind = regex ? TokenKind::kRegex : TokenKind::kLiteral;
            TRY_ASSIGN(at, read_quoted(text, at + (regex ? 1 : 0), token));
        } else if (ends_word(text[at])) {
            token.kind = punctuation(text[at]);
            token.span.bytes = 1;
            ++at;
        } else {
            token.kind = TokenKind::kWord;
            while (at < text.size() && !ends_word(text[at])) {
                ++at;
            }
            token.span.bytes = at - token.span.offset;
            token.text = text.substr(token.span.offset, token.span.bytes);
            TRY(fill_parameters(reader, token));
        }
        tokens.push_back(std::move(token));
    }
}

}  // namespace stepdb
