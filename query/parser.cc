#include "query/parser.h"

#include <algorithm>
#include <charconv>

#include "engine/base/text.h"
#include "query/expression_parser.h"
#include "query/expression_words.h"
#include "query/lexer.h"
#include "query/literals.h"
#include "query/stage_parser.h"
#include "query/token_reader.h"
#include "query/vocabulary.h"

namespace stepdb {

namespace {

constexpr size_t kTermNodesMax = 200;

bool has_node(const SeriesQuery& query, TermNode::Kind kind) {
    return std::ranges::any_of(query.terms, [&](const Term& term) {
        return std::ranges::find(term.nodes, kind, &TermNode::kind) != term.nodes.end();
    });
}

// One parse of one text. Each parse_* reads what it is named for and leaves the rest.
class Parser {
  public:
    Parser(std::string_view text, std::vector<Token> tokens) : reader_(text, std::move(tokens)) {}

    Result<Query> parse_query();

  private:
    const Token& peek() const { return reader_.peek(); }
    const Token& peek_after() const { return reader_.peek(1); }
    const Token& take() { return reader_.take(); }
    Error error_at(SourceSpan span, std::string_view message) const {
        return reader_.error_at(span, message);
    }
    Error expected(std::string_view what) const { return reader_.expected(what); }

    bool at_keyword(std::string_view word) const;
    std::string misspelled_keyword() const;
    Result<std::vector<Pattern>> parse_metrics();
    Status expect_at() const;
    Result<RunPattern> parse_run();
    Result<RunPattern> parse_run_path();
    Result<std::vector<RunPattern>> parse_runs();
    Status split_attempt(RunPattern& run) const;
    Result<std::vector<RunPattern>> parse_all_or_runs();
    Result<RunsQuery> parse_runs_query();
    Result<MetricsQuery> parse_metrics_query();
    Result<AttributesQuery> parse_attributes_query();
    Result<std::optional<Expression>> parse_where(ExpressionScope scope);
    Error unexpected_end(const Query& query) const;
    Error unknown_run_function() const;
    std::string missing_word() const;

    Result<std::shared_ptr<SeriesQuery>> parse_series_query(std::vector<Term> terms,
                                                            bool is_in_parentheses);
    Result<std::vector<Term>> parse_terms();
    Result<Term> parse_term();
    Result<uint32_t> parse_sum(Term& term);
    Result<uint32_t> parse_product(Term& term);
    Result<uint32_t> parse_factor(Term& term);
    Result<uint32_t> parse_hold(Term& term);
    Result<uint32_t> parse_parentheses(Term& term);
    Result<uint32_t> parse_query_in_parentheses(Term& term, std::vector<Term> inner,
                                                SourceSpan start);
    Result<uint32_t> add(Term& term, TermNode node) const;
    Result<uint32_t> add_operator(Term& term, Operator op, uint32_t left, uint32_t right);
    bool next_is_number() const;
    Status enter(SourceSpan span);

    TokenReader reader_;
    bool has_where_ = false;
    size_t scopes_ = 0;       // series queries so far
    size_t expressions_ = 0;  // on points, so far
    uint32_t nesting_ = 0;    // of parentheses
};

// A word is a keyword at the start of a query unless what follows makes it a metric.
bool Parser::at_keyword(std::string_view word) const {
    return peek().is_word(word) && !is_operator(peek_after()) &&
           peek_after().kind != TokenKind::kComma;
}

// What could have been meant by what stands where `where` or a stage can.
std::string Parser::missing_word() const {
    if (peek().kind != TokenKind::kWord) {
        return {};
    }
    static const std::vector<std::string> before = {"where"};
    static const std::vector<std::string> behind = {"and", "or"};
    std::string hint = has_where_ && (peek().text == "&&" || peek().text == "&")
                           ? "; did you mean 'and'?"
                           : did_you_mean(peek().text, has_where_ ? behind : before);
    return hint.empty() ? missing_pipe(reader_) : hint;
}

// "; did you mean 'runs'?" if the query's only word so far was to be a keyword.
std::string Parser::misspelled_keyword() const {
    const Token& before = reader_.taken_before();
    const bool is_first = reader_.taken() == 1 ||
                          (reader_.taken() == 2 && reader_.taken_before(1).is_word("explain"));
    if (!is_first || before.kind != TokenKind::kWord) {
        return {};
    }
    return did_you_mean(before.text, query_keywords());
}

// What stands where a query could have ended.
Error Parser::unexpected_end(const Query& query) const {
    const bool is_alone = std::holds_alternative<ProjectsQuery>(query.what) ||
                          std::holds_alternative<StatsQuery>(query.what);
    const auto* const attributes = std::get_if<AttributesQuery>(&query.what);
    const bool is_about_runs = attributes != nullptr;
    if (peek().kind == TokenKind::kPipe && (is_alone || is_about_runs)) {
        const std::string_view kind = is_about_runs && attributes->notes_alone ? "notes"
                                      : is_about_runs                          ? "attributes"
                                      : std::holds_alternative<ProjectsQuery>(query.what)
                                          ? "projects"
                                          : "stats";
        return error_at(peek().span, fmt::format("`{}` takes no stages: they work on points, as in "
                                                 "train/loss @ gpt/* | last 1",
                                                 kind));
    }
    return reader_.expected(
        is_alone ? "the end of the query"
        : has_where_
            ? fmt::format("'and', 'or', {}or the end of the query", is_about_runs ? "" : "'|' ")
            : fmt::format("',', 'where'{} or the end of the query", is_about_runs ? "" : ", '|'"),
        is_alone ? std::string() : missing_word());
}

Result<Query> Parser::parse_query() {
    Query query;
    query.text = reader_.text();
    if (at_keyword("explain")) {
        query.explain = true;
        take();
    }
    if (query.explain && at_keyword("explain")) {
        return error_at(peek().span, "one `explain` is enough; expected the query to explain");
    }
    if (at_keyword("runs")) {
        take();
        TRY_ASSIGN(query.what, parse_runs_query());
    } else if (at_keyword("attributes") || at_keyword("notes")) {
        const bool notes_alone = at_keyword("notes");
        take();
        TRY_ASSIGN(AttributesQuery attributes, parse_attributes_query());
        attributes.notes_alone = notes_alone;
        query.what = std::move(attributes);
    } else if (at_keyword("projects")) {
        take();
        query.what = ProjectsQuery();
    } else if (at_keyword("stats")) {
        take();
        query.what = StatsQuery();
    } else if (at_keyword("metrics")) {
        take();
        TRY_ASSIGN(query.what, parse_metrics_query());
    } else {
        TRY_ASSIGN(std::vector<Term> terms, parse_terms());
        TRY_ASSIGN(const std::shared_ptr<SeriesQuery> series,
                   parse_series_query(std::move(terms), false));
        query.what = std::move(*series);
    }
    return peek().kind == TokenKind::kEnd ? Result<Query>(std::move(query)) : unexpected_end(query);
}

Result<std::vector<Pattern>> Parser::parse_metrics() {
    std::vector<Pattern> metrics;
    while (true) {
        TRY_ASSIGN(Pattern metric,
                   reader_.take_pattern("a metric such as train/loss or \"my loss\""));
        metrics.push_back(std::move(metric));
        if (peek().kind != TokenKind::kComma) {
            return metrics;
        }
        take();
    }
}

// The `@` between metrics and runs stands next.
Status Parser::expect_at() const {
    if (peek().is_word("@")) {
        return {};
    }
    const Token& before = reader_.taken_before();
    const Token& glued = peek().kind == TokenKind::kEnd ? before : peek();
    std::string hint = misspelled_keyword();
    if (glued.kind == TokenKind::kWord && glued.text.find('@') != std::string::npos) {
        hint = fmt::format("; `@` needs a blank on both sides, and '{}' is one word",
                           printable(glued.text, 80));
    }
    return error_at(peek().span, fmt::format("expected ',' or '@' and runs, found {}{}",
                                             describe(peek()), hint));
}

// Takes `#K` off a run's path. Ids have no `#`, so it needs no quoting rules.
Status Parser::split_attempt(RunPattern& run) const {
    const size_t hash = run.path.text.find('#');
    if (run.path.kind == PatternKind::kRegex || hash == std::string::npos) {
        return {};
    }
    const std::string number = run.path.text.substr(hash + 1);
    uint32_t attempt = 0;
    const auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), attempt);
    if (code != std::errc() || end != number.data() + number.size()) {
        return error_at(run.path.span,
                        fmt::format("expected the number of an attempt after '#', as in "
                                    "gpt/run-1#0, found '{}'",
                                    printable(number, 80)));
    }
    run.attempt = attempt;
    run.path.text.resize(hash);
    return {};
}

Result<RunPattern> Parser::parse_run() {
    RunPattern run;
    const bool is_own = peek().is_word("own");
    if ((is_own || peek().is_word("parent")) && peek_after().kind == TokenKind::kOpenParenthesis) {
        take();
        take();
        TRY_ASSIGN(run, parse_run_path());
        run.of = is_own ? RunPattern::Of::kOwn : RunPattern::Of::kParent;
        if (peek().kind != TokenKind::kCloseParenthesis) {
            return expected(is_own ? "')' behind the run whose own points are meant"
                                   : "')' behind the run whose parent is meant");
        }
        take();
        return run;
    }
    return parse_run_path();
}

// `owm(gpt/run-1)`.
Error Parser::unknown_run_function() const {
    static const std::vector<std::string> functions = {"own", "parent"};
    return error_at(peek().span,
                    fmt::format("expected a run, own(RUN) or parent(RUN), found '{}('{}",
                                printable(peek().text, 80), did_you_mean(peek().text, functions)));
}

Result<RunPattern> Parser::parse_run_path() {
    RunPattern run;
    if (peek().kind == TokenKind::kWord && peek_after().kind == TokenKind::kOpenParenthesis) {
        return unknown_run_function();
    }
    TRY_ASSIGN(run.path, reader_.take_pattern("a run such as gpt/run-1 or gpt/*"));
    TRY(split_attempt(run));
    const std::string& path = run.path.text;
    const auto slashes = std::count(path.begin(), path.end(), '/');
    if (run.path.kind == PatternKind::kExact && slashes != 1) {
        static const std::vector<std::string> words = {"where"};
        return error_at(run.path.span,
                        fmt::format("expected a run as PROJECT/RUN with one slash, found '{}'{}",
                                    printable(path, 80), did_you_mean(path, words)));
    }
    if (run.path.kind == PatternKind::kGlob && slashes == 0 &&
        path.find("**") == std::string::npos) {
        return error_at(run.path.span,
                        fmt::format("'{}' can match no run, for runs are PROJECT/RUN and `*` stays "
                                    "on one side of the slash; write {}/* or **",
                                    printable(path, 80), printable(path, 80)));
    }
    return run;
}

Result<std::vector<RunPattern>> Parser::parse_runs() {
    std::vector<RunPattern> runs;
    while (true) {
        TRY_ASSIGN(RunPattern run, parse_run());
        runs.push_back(std::move(run));
        if (peek().kind != TokenKind::kComma) {
            return runs;
        }
        take();
    }
}

// What follows the terms of a query; of one in parentheses, up to the `)`.
Result<std::shared_ptr<SeriesQuery>> Parser::parse_series_query(std::vector<Term> terms,
                                                                bool is_in_parentheses) {
    auto query = std::make_shared<SeriesQuery>();
    query->scope = scopes_++;
    query->terms = std::move(terms);
    if (!has_node(*query, TermNode::Kind::kMetrics) && !has_node(*query, TermNode::Kind::kQuery)) {
        return error_at(query->terms.front().span,
                        "numbers alone have no points; calculate with a metric");
    }
    // A query whose operands are all queries in parentheses has no runs of its own.
    if (has_node(*query, TermNode::Kind::kMetrics)) {
        TRY(expect_at());
        take();
        TRY_ASSIGN(query->runs, parse_runs());
        TRY_ASSIGN(query->where, parse_where(ExpressionScope::kRun));
    } else if (peek().is_word("@")) {
        return error_at(peek().span,
                        "all operands have runs of their own in their parentheses; leave out '@'");
    }
    TRY_ASSIGN(query->then, parse_series_stages(reader_, is_in_parentheses, expressions_));
    return query;
}

Result<std::vector<Term>> Parser::parse_terms() {
    std::vector<Term> terms;
    while (true) {
        TRY_ASSIGN(Term term, parse_term());
        terms.push_back(std::move(term));
        if (peek().kind != TokenKind::kComma) {
            return terms;
        }
        take();
    }
}

Result<Term> Parser::parse_term() {
    Term term;
    const SourceSpan start = peek().span;
    TRY_ASSIGN(term.root, parse_sum(term));
    term.span = join_spans(start, reader_.taken_before().span);
    if (term.nodes[term.root].kind == TermNode::Kind::kNumber) {
        return error_at(term.span,
                        "a number alone has no points; calculate with it, or quote a "
                        "metric that is called so");
    }
    if (!peek().is_word("as")) {
        return term;
    }
    take();
    const bool is_name = peek().kind == TokenKind::kWord || peek().kind == TokenKind::kLiteral;
    if (!is_name || peek().text.empty() || is_operator(peek())) {
        return expected("a name behind `as`, such as ratio");
    }
    term.name = take().text;
    return term;
}

Result<uint32_t> Parser::add(Term& term, TermNode node) const {
    if (term.nodes.size() >= kTermNodesMax) {
        return error_at(
            node.span,
            fmt::format("more than {} operands and operators in one calculation", kTermNodesMax));
    }
    term.nodes.push_back(std::move(node));
    return static_cast<uint32_t>(term.nodes.size() - 1);
}

Result<uint32_t> Parser::parse_sum(Term& term) {
    TRY_ASSIGN(uint32_t left, parse_product(term));
    while (const auto op = reader_.peek_operator(find_sum)) {
        take();
        TRY_ASSIGN(const uint32_t right, parse_product(term));
        TRY_ASSIGN(left, add_operator(term, *op, left, right));
    }
    return left;
}

Result<uint32_t> Parser::parse_product(Term& term) {
    TRY_ASSIGN(uint32_t left, parse_factor(term));
    while (const auto op = reader_.peek_operator(find_product)) {
        take();
        TRY_ASSIGN(const uint32_t right, parse_factor(term));
        TRY_ASSIGN(left, add_operator(term, *op, left, right));
    }
    return left;
}

Result<uint32_t> Parser::add_operator(Term& term, Operator op, uint32_t left, uint32_t right) {
    TermNode node;
    node.kind = TermNode::Kind::kOperator;
    node.op = op;
    node.operands = {left, right};
    node.span = join_spans(term.nodes[left].span, term.nodes[right].span);
    return add(term, std::move(node));
}

// Whether the next word is a number: where nothing is calculated it is a metric.
bool Parser::next_is_number() const {
    const auto calculates = [](const Token& token) {
        return token.kind == TokenKind::kWord &&
               (find_sum(token.text).has_value() || find_product(token.text).has_value());
    };
    const bool is_operand =
        (reader_.taken() > 0 && calculates(reader_.taken_before())) || calculates(peek_after());
    return may_be_quantity(peek()) && is_operand && parse_number(peek().text);
}

Result<uint32_t> Parser::parse_factor(Term& term) {
    TermNode node;
    node.span = peek().span;
    if (peek().kind == TokenKind::kOpenParenthesis) {
        return parse_parentheses(term);
    }
    if (peek().kind == TokenKind::kWord && peek_after().kind == TokenKind::kOpenParenthesis) {
        return parse_hold(term);
    }
    if (next_is_number()) {
        node.kind = TermNode::Kind::kNumber;
        TRY_ASSIGN(node.number, parse_number(take().text));
        return add(term, std::move(node));
    }
    TRY_ASSIGN(node.metrics, reader_.take_pattern("a metric such as train/loss or \"my loss\""));
    return add(term, std::move(node));
}

Result<uint32_t> Parser::parse_hold(Term& term) {
    const Token& name = take();
    if (name.text != "hold") {
        static const std::vector<std::string> functions = {"hold"};
        const bool is_statistic = find_word(point_statistic_names(), name.text).has_value();
        return error_at(
            name.span,
            fmt::format("expected a metric or hold(METRIC), found '{}('{}",
                        printable(name.text, 80),
                        is_statistic
                            ? fmt::format("; `{}(METRIC)` stands in `where`, `show` and `top N by`",
                                          name.text)
                            : did_you_mean(name.text, functions)));
    }
    take();
    TRY(enter(name.span));
    TermNode node;
    node.kind = TermNode::Kind::kHold;
    TRY_ASSIGN(const uint32_t operand, parse_sum(term));
    TRY(reader_.take_punctuation(TokenKind::kCloseParenthesis, " behind what is held"));
    --nesting_;
    node.operands = {operand};
    node.span = join_spans(name.span, reader_.taken_before().span);
    return add(term, std::move(node));
}

Status Parser::enter(SourceSpan span) {
    if (++nesting_ > kExpressionDepthMax) {
        return error_at(
            span, fmt::format("parentheses are nested more than {} deep", kExpressionDepthMax));
    }
    return {};
}

// What follows the terms of a query whose parenthesis was opened at `start`.
Result<uint32_t> Parser::parse_query_in_parentheses(Term& term, std::vector<Term> inner,
                                                    SourceSpan start) {
    TermNode node;
    node.kind = TermNode::Kind::kQuery;
    TRY_ASSIGN(node.query, parse_series_query(std::move(inner), true));
    TRY(reader_.take_punctuation(TokenKind::kCloseParenthesis, " of what is in parentheses"));
    --nesting_;
    node.span = join_spans(start, reader_.taken_before().span);
    return add(term, std::move(node));
}

// A group is a term by itself; what goes on behind its first term is a query.
Result<uint32_t> Parser::parse_parentheses(Term& term) {
    const SourceSpan start = take().span;
    TRY(enter(start));
    TRY_ASSIGN(std::vector<Term> inner, parse_terms());
    const bool is_group =
        peek().kind == TokenKind::kCloseParenthesis && inner.size() == 1 && inner[0].name.empty();
    if (!is_group) {
        return parse_query_in_parentheses(term, std::move(inner), start);
    }
    take();
    --nesting_;
    uint32_t root = 0;
    const auto offset = static_cast<uint32_t>(term.nodes.size());
    for (TermNode& each : inner[0].nodes) {
        for (uint32_t& operand : each.operands) {
            operand += offset;
        }
        TRY_ASSIGN(root, add(term, std::move(each)));
    }
    term.nodes[root].span = join_spans(start, reader_.taken_before().span);
    return root;
}

// Without a pattern all of them.
Result<std::vector<RunPattern>> Parser::parse_all_or_runs() {
    if (peek().kind != TokenKind::kEnd && peek().kind != TokenKind::kPipe &&
        !peek().is_word("where")) {
        TRY_ASSIGN(std::vector<RunPattern> runs, parse_runs());
        for (const RunPattern& run : runs) {
            if (run.of == RunPattern::Of::kOwn) {
                return error_at(run.path.span,
                                "`own` leaves out inherited points, and this query is about runs, "
                                "not points; name the run alone");
            }
        }
        return runs;
    }
    RunPattern all;
    all.path.kind = PatternKind::kGlob;
    all.path.text = "**";
    all.path.span = peek().span;
    return std::vector<RunPattern>{std::move(all)};
}

Result<RunsQuery> Parser::parse_runs_query() {
    RunsQuery query;
    TRY_ASSIGN(query.runs, parse_all_or_runs());
    for (const RunPattern& run : query.runs) {
        if (run.attempt) {
            return error_at(run.path.span,
                            "`runs` lists whole runs; take off the attempt after '#'");
        }
    }
    TRY_ASSIGN(query.where, parse_where(ExpressionScope::kRun));
    TRY_ASSIGN(query.table, parse_table_stages(reader_, ExpressionScope::kRun));
    return query;
}

Result<AttributesQuery> Parser::parse_attributes_query() {
    AttributesQuery query;
    TRY_ASSIGN(query.runs, parse_all_or_runs());
    TRY_ASSIGN(query.where, parse_where(ExpressionScope::kRun));
    return query;
}

Result<std::optional<Expression>> Parser::parse_where(ExpressionScope scope) {
    has_where_ = peek().is_word("where");
    return stepdb::parse_where(reader_, scope);
}

Result<MetricsQuery> Parser::parse_metrics_query() {
    MetricsQuery query;
    TRY_ASSIGN(query.metrics, parse_metrics());
    TRY(expect_at());
    take();
    TRY_ASSIGN(query.runs, parse_runs());
    TRY_ASSIGN(query.where, parse_where(ExpressionScope::kSeries));
    TRY_ASSIGN(query.table, parse_table_stages(reader_, ExpressionScope::kSeries));
    return query;
}

}  // namespace

std::string_view statistic_name(Statistic statistic) {
    return bucket_field_names()[static_cast<size_t>(statistic)];
}

std::string_view summary_field_name(SummaryField field) {
    return summary_field_names()[static_cast<size_t>(field)];
}

Result<Query> parse_query(std::string_view text, const QueryParameters& parameters) {
    TRY_ASSIGN(std::vector<Token> tokens, tokenize(text, parameters));
    Parser parser(text, std::move(tokens));
    return parser.parse_query();
}

}  // namespace stepdb
