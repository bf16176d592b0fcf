#include "query/expression_parser.h"

#include "engine/base/text.h"
#include "query/expression_words.h"
#include "query/literals.h"

namespace stepdb {

namespace {

std::vector<std::string> to_strings(std::span<const std::string_view> names) {
    return {names.begin(), names.end()};
}

// One expression's parse. Each parse_* reads what it is named for and returns its node.
class ExpressionParser {
  public:
    ExpressionParser(TokenReader& reader, ExpressionScope scope) : reader_(reader), scope_(scope) {}

    Result<Expression> parse_condition() {
        const SourceSpan start = reader_.peek().span;
        TRY_ASSIGN(expression_.root, parse_or());
        TRY(require_condition(expression_.root));
        return finish(start);
    }
    Result<Expression> parse_value() {
        const SourceSpan start = reader_.peek().span;
        TRY_ASSIGN(expression_.root, parse_sum());
        return finish(start);
    }

  private:
    Expression finish(SourceSpan start) {
        expression_.span = join_spans(start, reader_.taken_before().span);
        return std::move(expression_);
    }

    Result<uint32_t> parse_or();
    Result<uint32_t> parse_and();
    Result<uint32_t> parse_not();
    Result<uint32_t> parse_comparison();
    Result<uint32_t> parse_in(uint32_t left, bool negated);
    Result<uint32_t> parse_is(uint32_t left);
    Result<uint32_t> parse_match(uint32_t left, bool negated);
    Result<uint32_t> compare(uint32_t left, Operator op);
    Result<uint32_t> parse_sum();
    Result<uint32_t> parse_product();
    Result<uint32_t> parse_factor();
    Result<uint32_t> parse_group();
    Result<uint32_t> parse_function();
    Result<uint32_t> parse_attribute(const Token& name);
    Result<uint32_t> parse_statistic(const Token& name, PointStatistic statistic);
    Result<uint32_t> parse_at(const Token& name);
    Result<PointPart> parse_part(bool is_allowed, std::string_view name);
    Result<Pattern> parse_metric(std::string_view function);
    // Metrics of the run of a series can be named by what its patterns captured.
    bool allows_captures() const { return scope_ == ExpressionScope::kSeries; }

    Status enter(SourceSpan span);
    bool next_is_right_word(uint32_t left) const;
    bool is_numeric(uint32_t node) const;
    bool names_number(std::string_view word) const;
    Status require_condition(uint32_t node) const;
    Status require_value(uint32_t node) const;
    std::string operator_hint(const Token& token) const;
    std::string written(SourceSpan span) const {
        return printable(reader_.text().substr(span.offset, span.bytes), 80);
    }

    Result<uint32_t> add(SourceSpan span, ExpressionNode node);
    Result<uint32_t> add_literal(const Token& token);
    Result<uint32_t> add_operator(Operator op, std::vector<uint32_t> operands, SourceSpan span,
                                  OperatorTerm term = OperatorTerm());
    SourceSpan span_of(uint32_t node) const { return expression_.nodes[node].span; }
    // Of what was read since a node.
    SourceSpan since(uint32_t node) const {
        return join_spans(span_of(node), reader_.taken_before().span);
    }

    TokenReader& reader_;
    ExpressionScope scope_;
    Expression expression_;
    uint32_t nesting_ = 0;  // of parentheses and `not`
};

Result<uint32_t> ExpressionParser::add(SourceSpan span, ExpressionNode node) {
    node.span = span;
    if (node.depth > kExpressionDepthMax) {
        return reader_.error_at(
            span, fmt::format("this expression is nested more than {} deep; write less of it",
                              kExpressionDepthMax));
    }
    expression_.nodes.push_back(std::move(node));
    return static_cast<uint32_t>(expression_.nodes.size() - 1);
}

Result<uint32_t> ExpressionParser::add_literal(const Token& token) {
    ExpressionNode node;
    node.what = LiteralTerm{token.text, token.is_quoted()};
    return add(token.span, std::move(node));
}

Result<uint32_t> ExpressionParser::add_operator(Operator op, std::vector<uint32_t> operands,
                                                SourceSpan span, OperatorTerm term) {
    ExpressionNode node;
    for (const uint32_t operand : operands) {
        node.depth = std::max(node.depth, expression_.nodes[operand].depth + 1);
    }
    term.op = op;
    term.operands = std::move(operands);
    node.what = std::move(term);
    return add(span, std::move(node));
}

// Before what is read by recursion.
Status ExpressionParser::enter(SourceSpan span) {
    if (++nesting_ <= kExpressionDepthMax) {
        return {};
    }
    return reader_.error_at(span, fmt::format("`not` and parentheses are nested more than {} deep",
                                              kExpressionDepthMax));
}

Status ExpressionParser::require_condition(uint32_t node) const {
    if (is_condition(expression_.nodes[node])) {
        return {};
    }
    return reader_.expected(fmt::format("a comparison behind '{}' (=, !=, <, <=, >, >=, in, "
                                        "contains, is, exists or ~\"regex\")",
                                        written(span_of(node))),
                            operator_hint(reader_.peek()));
}

Status ExpressionParser::require_value(uint32_t node) const {
    if (!is_condition(expression_.nodes[node])) {
        return {};
    }
    return reader_.error_at(
        span_of(node), fmt::format("expected a value, found the condition '{}'; conditions are "
                                   "joined by and, or, not",
                                   written(span_of(node))));
}

// "; did you mean '='?", or that operators need blanks, if an operator should have stood here.
std::string ExpressionParser::operator_hint(const Token& token) const {
    if (token.kind == TokenKind::kPipe && reader_.peek(1).kind == TokenKind::kPipe) {
        return "; did you mean 'or'?";
    }
    const std::optional<std::string_view> ours = our_operator(token.text);
    if (token.kind == TokenKind::kWord && ours) {
        return fmt::format("; did you mean '{}'?", *ours);
    }
    const Token& before = reader_.taken_before();
    for (const Token* word : {&before, &token}) {
        if (word->kind == TokenKind::kWord && word->text.size() > 1 &&
            word->text.find_first_of("=<>!") != std::string::npos) {
            return fmt::format("; operators need a blank on both sides, and '{}' is one word",
                               printable(word->text, 80));
        }
    }
    if (token.kind != TokenKind::kWord) {
        return {};
    }
    static const std::vector<std::string> words = {"contains", "exists", "in", "is", "not"};
    return token.is_word("not")
               ? "; `not` stands before `in`, `contains`, a regex, or a whole condition"
               : did_you_mean(token.text, words);
}

Result<uint32_t> ExpressionParser::parse_or() {
    TRY_ASSIGN(const uint32_t first, parse_and());
    std::vector<uint32_t> operands = {first};
    while (reader_.peek().is_word("or")) {
        TRY(require_condition(operands.back()));
        reader_.take();
        TRY_ASSIGN(const uint32_t next, parse_and());
        TRY(require_condition(next));
        operands.push_back(next);
    }
    return operands.size() == 1 ? first
                                : add_operator(Operator::kOr, std::move(operands), since(first));
}

Result<uint32_t> ExpressionParser::parse_and() {
    TRY_ASSIGN(const uint32_t first, parse_not());
    std::vector<uint32_t> operands = {first};
    while (reader_.peek().is_word("and")) {
        TRY(require_condition(operands.back()));
        reader_.take();
        TRY_ASSIGN(const uint32_t next, parse_not());
        TRY(require_condition(next));
        operands.push_back(next);
    }
    return operands.size() == 1 ? first
                                : add_operator(Operator::kAnd, std::move(operands), since(first));
}

Result<uint32_t> ExpressionParser::parse_not() {
    if (!reader_.peek().is_word("not")) {
        return parse_comparison();
    }
    const SourceSpan span = reader_.take().span;
    TRY(enter(span));
    TRY_ASSIGN(const uint32_t operand, parse_not());
    TRY(require_condition(operand));
    --nesting_;
    return add_operator(Operator::kNot, {operand}, join_spans(span, span_of(operand)));
}

Result<uint32_t> ExpressionParser::parse_comparison() {
    const Token& next = reader_.peek(1);
    const bool is_tag = reader_.peek().is_word("tag") &&
                        (next.kind == TokenKind::kWord || next.kind == TokenKind::kLiteral ||
                         next.kind == TokenKind::kRegex) &&
                        !is_operator(next);
    if (is_tag) {
        const SourceSpan span = reader_.take().span;
        OperatorTerm term;
        TRY_ASSIGN(term.pattern, reader_.take_pattern("a tag"));
        const SourceSpan whole = join_spans(span, term.pattern.span);
        return add_operator(Operator::kTag, {}, whole, std::move(term));
    }
    TRY_ASSIGN(const uint32_t left, parse_sum());
    const bool negated = reader_.peek().is_word("not") &&
                         (reader_.peek(1).is_word("in") || reader_.peek(1).is_word("contains") ||
                          reader_.peek(1).kind == TokenKind::kRegex);
    if (negated) {
        reader_.take();
    }
    const Token& token = reader_.peek();
    if (is_condition(expression_.nodes[left]) && !negated) {
        return left;
    }
    if (token.kind == TokenKind::kRegex) {
        return parse_match(left, negated);
    }
    const bool is_word = token.kind == TokenKind::kWord;
    if (const auto op = is_word ? find_comparison(token.text) : std::nullopt) {
        reader_.take();
        return compare(left, *op);
    }
    if (token.is_word("contains")) {
        reader_.take();
        return compare(left, negated ? Operator::kNotContains : Operator::kContains);
    }
    if (token.is_word("in")) {
        return parse_in(left, negated);
    }
    if (token.is_word("is")) {
        return parse_is(left);
    }
    if (token.is_word("exists")) {
        reader_.take();
        return add_operator(Operator::kIsNot, {left}, since(left));
    }
    return left;
}

Result<uint32_t> ExpressionParser::parse_match(uint32_t left, bool negated) {
    OperatorTerm term;
    TRY_ASSIGN(term.pattern, reader_.take_pattern("a regex"));
    return add_operator(negated ? Operator::kNotMatches : Operator::kMatches, {left}, since(left),
                        std::move(term));
}

// Whether it is a number or a time, whatever the run: a word beside it that is none is a name.
bool ExpressionParser::is_numeric(uint32_t node) const {
    const ExpressionNode& written = expression_.nodes[node];
    if (const auto* name = std::get_if<NameTerm>(&written.what)) {
        return !name->is_attribute && names_number(name->text);
    }
    return !std::holds_alternative<LiteralTerm>(written.what);
}

// A statistic of a series, or a part of a point.
bool ExpressionParser::names_number(std::string_view word) const {
    PointStatistic statistic = PointStatistic::kCount;
    PointPart part = PointPart::kValue;
    return scope_ == ExpressionScope::kPoint
               ? word == "value" || word == "step" || word == "time"
               : scope_ == ExpressionScope::kSeries && split_statistic(word, statistic, part);
}

// The right side of a comparison as one word, which is then a value: `state = running`.
bool ExpressionParser::next_is_right_word(uint32_t left) const {
    const Token& token = reader_.peek();
    const Token& after = reader_.peek(1);
    const bool is_calculated_with =
        after.kind == TokenKind::kWord && (find_sum(after.text) || find_product(after.text));
    if (token.kind == TokenKind::kLiteral) {
        return token.is_quoted() || !is_calculated_with;
    }
    const bool names_something =
        std::holds_alternative<LiteralTerm>(expression_.nodes[left].what) ||
        names_number(token.text) || (is_numeric(left) && !may_be_number(token.text));
    return token.kind == TokenKind::kWord && !is_operator(token) && !names_something &&
           after.kind != TokenKind::kOpenParenthesis && !is_calculated_with;
}

// Reads the right side.
Result<uint32_t> ExpressionParser::compare(uint32_t left, Operator op) {
    const bool is_equality = op == Operator::kEqual || op == Operator::kNotEqual;
    const Token& token = reader_.peek();
    if (token.kind == TokenKind::kRegex) {
        return reader_.expected("a value",
                                fmt::format("; a regex stands behind the name alone: {} {}",
                                            written(span_of(left)), written(token.span)));
    }
    if (token.kind == TokenKind::kEnd || token.kind == TokenKind::kPipe) {
        return reader_.expected(
            fmt::format("a value to compare '{}' with", written(span_of(left))));
    }
    if (token.text == "=" && reader_.taken_before().text == "=") {
        return reader_.expected("a value", "; one '=' compares");
    }
    if (next_is_right_word(left)) {
        if (is_equality && is_glob(token)) {
            return parse_match(left, op == Operator::kNotEqual);
        }
        TRY_ASSIGN(const uint32_t right, add_literal(reader_.take()));
        return add_operator(op, {left, right}, since(left));
    }
    TRY_ASSIGN(const uint32_t right, parse_sum());
    TRY(require_value(right));
    return add_operator(op, {left, right}, since(left));
}

// `x in (a, b)` is `(x = a or x = b)`, `x not in (a, b)` is `(x != a and x != b)`.
Result<uint32_t> ExpressionParser::parse_in(uint32_t left, bool negated) {
    reader_.take();
    TRY(reader_.take_punctuation(TokenKind::kOpenParenthesis, " and values, as in (a, b)"));
    std::vector<uint32_t> operands;
    while (true) {
        TRY_ASSIGN(const uint32_t one,
                   compare(left, negated ? Operator::kNotEqual : Operator::kEqual));
        operands.push_back(one);
        if (reader_.peek().kind != TokenKind::kComma) {
            break;
        }
        reader_.take();
    }
    if (reader_.peek().kind != TokenKind::kCloseParenthesis) {
        return reader_.expected("',' or ')' behind a value of `in`");
    }
    reader_.take();
    return add_operator(negated ? Operator::kAnd : Operator::kOr, std::move(operands), since(left));
}

Result<uint32_t> ExpressionParser::parse_is(uint32_t left) {
    reader_.take();
    const bool negated = reader_.peek().is_word("not");
    if (negated) {
        reader_.take();
    }
    const Token& word = reader_.peek();
    const std::optional<size_t> found = find_word(value_class_names(), word.text);
    if (word.kind != TokenKind::kWord || !found) {
        const std::vector<std::string> names = to_strings(value_class_names());
        return reader_.expected(
            fmt::format("{} behind `is`", fmt::join(names, ", ")),
            word.kind == TokenKind::kWord ? did_you_mean(word.text, names) : std::string());
    }
    reader_.take();
    OperatorTerm term;
    term.value_class = static_cast<ValueClass>(*found);
    return add_operator(negated ? Operator::kIsNot : Operator::kIs, {left}, since(left),
                        std::move(term));
}

Result<uint32_t> ExpressionParser::parse_sum() {
    TRY_ASSIGN(uint32_t left, parse_product());
    while (const auto op = reader_.peek_operator(find_sum)) {
        TRY(require_value(left));
        reader_.take();
        TRY_ASSIGN(const uint32_t right, parse_product());
        TRY(require_value(right));
        TRY_ASSIGN(left, add_operator(*op, {left, right}, since(left)));
    }
    return left;
}

Result<uint32_t> ExpressionParser::parse_product() {
    TRY_ASSIGN(uint32_t left, parse_factor());
    while (const auto op = reader_.peek_operator(find_product)) {
        TRY(require_value(left));
        reader_.take();
        TRY_ASSIGN(const uint32_t right, parse_factor());
        TRY(require_value(right));
        TRY_ASSIGN(left, add_operator(*op, {left, right}, since(left)));
    }
    return left;
}

Result<uint32_t> ExpressionParser::parse_factor() {
    const Token& token = reader_.peek();
    if (token.kind == TokenKind::kOpenParenthesis) {
        return parse_group();
    }
    const bool is_literal = token.kind == TokenKind::kLiteral && !token.text.empty();
    const bool is_word = token.kind == TokenKind::kWord && !is_operator(token) && token.text != "*";
    if (!is_literal && !is_word) {
        return reader_.expected("a name, a number or a statistic such as min(val/loss)");
    }
    if (is_word && reader_.peek(1).kind == TokenKind::kOpenParenthesis) {
        return parse_function();
    }
    if (!token.is_quoted() && parse_number(token.text)) {
        return add_literal(reader_.take());
    }
    ExpressionNode node;
    node.what = NameTerm{token.text, is_literal, is_literal};
    return add(reader_.take().span, std::move(node));
}

Result<uint32_t> ExpressionParser::parse_group() {
    const SourceSpan span = reader_.take().span;
    TRY(enter(span));
    TRY_ASSIGN(const uint32_t inner, parse_or());
    if (reader_.peek().kind != TokenKind::kCloseParenthesis) {
        return reader_.expected(
            "')' of what is opened before",
            is_condition(expression_.nodes[inner]) ? std::string() : operator_hint(reader_.peek()));
    }
    reader_.take();
    --nesting_;
    return inner;
}

Result<uint32_t> ExpressionParser::parse_function() {
    const Token& name = reader_.take();
    if (const auto found = find_word(point_statistic_names(), name.text)) {
        return parse_statistic(name, static_cast<PointStatistic>(*found));
    }
    if (name.text == "at") {
        return parse_at(name);
    }
    if (name.text == "attr" || (name.text == "hold" && scope_ == ExpressionScope::kPoint)) {
        return parse_attribute(name);
    }
    std::vector<std::string> known = to_strings(point_statistic_names());
    known.emplace_back("at");
    known.emplace_back("attr");
    const std::optional<std::string_view> ours = our_function(name.text);
    return reader_.error_at(name.span, fmt::format("expected a function ({}), found {}{}",
                                                   fmt::join(known, ", "), describe(name),
                                                   ours ? fmt::format("; did you mean '{}'?", *ours)
                                                        : did_you_mean(name.text, known)));
}

Result<uint32_t> ExpressionParser::parse_attribute(const Token& name) {
    reader_.take();
    const bool is_held = name.text == "hold";
    TRY_ASSIGN(Pattern pattern, reader_.take_pattern(is_held ? "a metric such as tokens"
                                                             : "an attribute such as config/lr"));
    TRY(reader_.take_punctuation(TokenKind::kCloseParenthesis, " behind its name"));
    ExpressionNode node;
    node.what = NameTerm{std::move(pattern.text), true, false, is_held};
    return add(join_spans(name.span, reader_.taken_before().span), std::move(node));
}

Result<Pattern> ExpressionParser::parse_metric(std::string_view function) {
    TRY_ASSIGN(Pattern metric, reader_.take_pattern("a metric such as val/loss"));
    const bool is_of_captures = metric.kind == PatternKind::kGlob && allows_captures() &&
                                metric.text.find('*') == std::string::npos;
    if (metric.kind != PatternKind::kExact && !is_of_captures) {
        return reader_.error_at(
            metric.span,
            fmt::format("`{}` is about one metric, and '{}' may be many; ask for them with "
                        "metrics {} @ RUNS | show {}",
                        function, printable(metric.text, 80), written(metric.span),
                        function == "at" ? "last" : function));
    }
    return metric;
}

Result<uint32_t> ExpressionParser::parse_statistic(const Token& name, PointStatistic statistic) {
    reader_.take();
    ExpressionNode node;
    StatisticTerm term;
    term.statistic = statistic;
    if (scope_ == ExpressionScope::kPoint) {
        return reader_.error_at(name.span,
                                "`when` is about single points: value, step and time, beside what "
                                "is known of the run; no statistics");
    }
    TRY_ASSIGN(term.metric, parse_metric(name.text));
    if (reader_.peek().is_word("when")) {
        reader_.take();
        const ExpressionScope outer = std::exchange(scope_, ExpressionScope::kPoint);
        TRY_ASSIGN(const uint32_t when, parse_or());
        TRY(require_condition(when));
        scope_ = outer;
        term.when = when;
        node.depth = expression_.nodes[when].depth + 1;
    }
    if (reader_.peek().kind != TokenKind::kCloseParenthesis) {
        return reader_.expected(
            fmt::format("{} behind what `{}` is of",
                        term.when ? "'and', 'or' or ')'" : "'when' or ')'", name.text),
            term.when                         ? std::string()
            : reader_.peek().is_word("where") ? "; did you mean 'when'?"
                                              : operator_hint(reader_.peek()));
    }
    reader_.take();
    TRY_ASSIGN(term.part, parse_part(has_place(statistic), name.text));
    node.what = std::move(term);
    return add(join_spans(name.span, reader_.taken_before().span), std::move(node));
}

Result<uint32_t> ExpressionParser::parse_at(const Token& name) {
    reader_.take();
    AtTerm term;
    if (scope_ == ExpressionScope::kPoint) {
        return reader_.error_at(name.span,
                                "`when` is about single points, and `at` is about a "
                                "series; compare step, time or value");
    }
    TRY_ASSIGN(term.metric, parse_metric("at"));
    if (reader_.peek().kind != TokenKind::kComma) {
        return reader_.expected("',' and a place, as in at(val/loss, step = 10k)");
    }
    reader_.take();
    const bool is_word = reader_.peek().kind == TokenKind::kWord;
    TRY_ASSIGN(term.axis_metric, reader_.take_pattern("step, time or a metric"));
    if (is_word && term.axis_metric.text == "step") {
        term.axis = AtTerm::Axis::kStep;
    } else if (is_word && term.axis_metric.text == "time") {
        term.axis = AtTerm::Axis::kTime;
    } else {
        term.axis = AtTerm::Axis::kMetric;
    }
    if (!reader_.peek().is_word("=")) {
        return reader_.expected("'=' and where, as in at(val/loss, step = 10k)",
                                operator_hint(reader_.peek()));
    }
    reader_.take();
    if (!may_be_quantity(reader_.peek())) {
        return reader_.expected("a number, or a time behind `time`");
    }
    const Token& place = reader_.take();
    term.place.text = place.text;
    term.place_span = place.span;
    TRY(reader_.take_punctuation(TokenKind::kCloseParenthesis, " behind the place of `at`"));
    TRY_ASSIGN(term.part, parse_part(true, "at"));
    ExpressionNode node;
    node.what = std::move(term);
    return add(join_spans(name.span, reader_.taken_before().span), std::move(node));
}

// `.step`, `.time` or `.value` right behind a parenthesis.
Result<PointPart> ExpressionParser::parse_part(bool is_allowed, std::string_view name) {
    const Token& token = reader_.peek();
    if (token.kind != TokenKind::kWord || !token.text.starts_with('.')) {
        return PointPart::kValue;
    }
    const std::optional<size_t> found = find_word(point_part_names(), token.text);
    if (!found) {
        return reader_.expected(".step, .time or .value",
                                did_you_mean(token.text, to_strings(point_part_names())));
    }
    if (!is_allowed) {
        return reader_.error_at(
            token.span, fmt::format("`{}` has no place of its own; {} is of at, first, last, max "
                                    "and min",
                                    name, token.text));
    }
    reader_.take();
    return static_cast<PointPart>(*found);
}

}  // namespace

Result<Expression> parse_condition(TokenReader& reader, ExpressionScope scope) {
    return ExpressionParser(reader, scope).parse_condition();
}

Result<Expression> parse_value_expression(TokenReader& reader, ExpressionScope scope) {
    return ExpressionParser(reader, scope).parse_value();
}

}  // namespace stepdb
