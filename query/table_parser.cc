// `where`, `| show`, `| sort` and `| limit` of expression_parser.h.
#include <array>

#include "engine/base/text.h"
#include "query/expression_parser.h"
#include "query/literals.h"
#include "query/vocabulary.h"

namespace stepdb {

namespace {

constexpr uint64_t kLimitRowsMax = uint64_t{1} << 53U;
constexpr size_t kColumnsMax = 1000;

// A query's piece as one line with single blanks, as columns are called.
std::string flatten(std::string_view written) {
    std::string text;
    for (const char c : written) {
        const bool is_blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!is_blank) {
            text += c;
        } else if (!text.empty() && text.back() != ' ') {
            text += ' ';
        }
    }
    return text;
}

class TableParser {
  public:
    TableParser(TokenReader& reader, ExpressionScope scope) : reader_(reader), scope_(scope) {}

    Result<TableStages> parse();

  private:
    Status parse_stage(size_t stage);
    Status parse_show();
    Status parse_sort();
    Result<Expression> parse_expression(std::string& written);
    Status name_column(ShowColumn& column);
    Error unknown_stage() const;
    std::string missing_word(size_t stage) const;

    TokenReader& reader_;
    ExpressionScope scope_;
    TableStages stages_;
};

Error TableParser::unknown_stage() const {
    const Token& token = reader_.peek();
    const std::string what = "a stage of this table (show, sort, limit)";
    if (token.kind == TokenKind::kWord &&
        std::ranges::find(stage_names(), token.text) != stage_names().end()) {
        return reader_.expected(
            what,
            fmt::format("; `{}` works on points, as in train/loss @ gpt/* | last 1", token.text));
    }
    if (token.is_word("where")) {
        return reader_.expected(what, "; `where` stands before the first '|'");
    }
    if (token.kind == TokenKind::kPipe) {
        return reader_.expected(what, "; did you mean 'or'?");
    }
    const bool is_order = token.is_word("order");
    return reader_.expected(what, is_order ? "; did you mean 'sort'?"
                                  : token.kind == TokenKind::kWord
                                      ? did_you_mean(token.text, table_stage_names())
                                      : std::string());
}

// What could have been left out before a word behind a stage.
std::string TableParser::missing_word(size_t stage) const {
    const Token& token = reader_.peek();
    if (token.kind != TokenKind::kWord) {
        return {};
    }
    if (std::ranges::find(table_stage_names(), token.text) != table_stage_names().end()) {
        return fmt::format("; did you mean '| {}'?", token.text);
    }
    const bool is_name = stage == 0 && !is_operator(token);
    return is_name ? fmt::format("; did you mean 'as {}'?", printable(token.text, 80))
                   : std::string();
}

Result<TableStages> TableParser::parse() {
    size_t next = 0;
    while (reader_.peek().kind == TokenKind::kPipe) {
        reader_.take();
        const Token& name = reader_.peek();
        const auto at = std::ranges::find(table_stage_names(), name.text);
        if (name.kind != TokenKind::kWord || at == table_stage_names().end()) {
            return unknown_stage();
        }
        const auto stage = static_cast<size_t>(at - table_stage_names().begin());
        if (stage < next) {
            return reader_.error_at(
                name.span, fmt::format("`{}` stands once, and before what is there; the order is "
                                       "show, sort, limit",
                                       name.text));
        }
        reader_.take();
        TRY(parse_stage(stage));
        next = stage + 1;
        const Token& after = reader_.peek();
        if (after.kind != TokenKind::kPipe && after.kind != TokenKind::kEnd) {
            return reader_.expected("',', '|' or the end of the query", missing_word(stage));
        }
    }
    return std::move(stages_);
}

Status TableParser::parse_stage(size_t stage) {
    if (stage == 0) {
        return parse_show();
    }
    if (stage == 1) {
        return parse_sort();
    }
    TRY_ASSIGN(stages_.limit, reader_.take_count("a number of rows", kLimitRowsMax));
    return {};
}

Result<Expression> TableParser::parse_expression(std::string& written) {
    TRY_ASSIGN(Expression expression, parse_value_expression(reader_, scope_));
    written = flatten(reader_.text().substr(expression.span.offset, expression.span.bytes));
    // A literal by itself is called what is between its quotes.
    const char quote = written.front();
    if ((quote == '"' || quote == '\'') && written.find(quote, 1) == written.size() - 1) {
        written = written.substr(1, written.size() - 2);
    }
    // And a parameter what it stands for.
    const Token& last = reader_.taken_before();
    if (last.is_parameter() && last.span.offset == expression.span.offset) {
        written = last.text;
    }
    return expression;
}

Status TableParser::parse_show() {
    while (true) {
        ShowColumn column;
        TRY_ASSIGN(column.expression, parse_expression(column.name));
        TRY(name_column(column));
        stages_.show.push_back(std::move(column));
        if (stages_.show.size() > kColumnsMax) {
            return reader_.expected(fmt::format("at most {} columns", kColumnsMax));
        }
        if (reader_.peek().kind != TokenKind::kComma) {
            return {};
        }
        reader_.take();
    }
}

// As `as` says, and not like another.
Status TableParser::name_column(ShowColumn& column) {
    SourceSpan span = column.expression.span;
    if (reader_.peek().is_word("as")) {
        reader_.take();
        const Token& name = reader_.peek();
        const bool is_name = name.kind == TokenKind::kWord || name.kind == TokenKind::kLiteral;
        if (!is_name || name.text.empty()) {
            return reader_.expected("a name for the column behind `as`");
        }
        column.name = name.text;
        span = reader_.take().span;
    }
    const bool is_key =
        column.name == "run" || (column.name == "metric" && scope_ == ExpressionScope::kSeries);
    const auto same = [&](const ShowColumn& other) { return other.name == column.name; };
    if (is_key || std::ranges::any_of(stages_.show, same)) {
        return reader_.error_at(
            span, fmt::format("there is a column '{}' already{}; call this one something else "
                              "with `as`",
                              printable(column.name, 80), is_key ? ", the first" : ""));
    }
    return {};
}

Status TableParser::parse_sort() {
    while (true) {
        SortKey key;
        TRY_ASSIGN(key.expression, parse_expression(key.text));
        TRY_ASSIGN(key.descending, take_order(reader_));
        stages_.sort.push_back(std::move(key));
        if (stages_.sort.size() > kColumnsMax) {
            return reader_.expected(fmt::format("at most {} keys", kColumnsMax));
        }
        if (reader_.peek().kind != TokenKind::kComma) {
            return {};
        }
        reader_.take();
    }
}

}  // namespace

Result<bool> take_order(TokenReader& reader) {
    const Token& order = reader.peek();
    if (order.is_word("desc") || order.is_word("asc")) {
        return reader.take().text == "desc";
    }
    if (order.kind == TokenKind::kWord) {
        static const std::vector<std::string> orders = {"desc", "asc"};
        const bool is_long = order.text == "descending" || order.text == "DESC";
        return reader.expected(
            "asc, desc, ',', '|' or the end of the query",
            is_long ? "; did you mean 'desc'?" : did_you_mean(order.text, orders));
    }
    return false;
}

Result<std::optional<Expression>> parse_where(TokenReader& reader, ExpressionScope scope) {
    if (!reader.peek().is_word("where")) {
        return std::optional<Expression>();
    }
    reader.take();
    TRY_ASSIGN(Expression condition, parse_condition(reader, scope));
    return std::optional<Expression>(std::move(condition));
}

Result<TableStages> parse_table_stages(TokenReader& reader, ExpressionScope scope) {
    return TableParser(reader, scope).parse();
}

}  // namespace stepdb
