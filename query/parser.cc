#include "query/parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "query/expression_parser.h"
#include "query/lexer.h"
#include "query/literals.h"
#include "query/range_parser.h"
#include "query/token_reader.h"
#include "query/vocabulary.h"

namespace stepdb {

namespace {

// Points a query may ask for with first and last. The latter keeps them in memory, and execution
// may refuse fewer.
constexpr uint64_t kFirstPointsMax = uint64_t{1} << 53U;
constexpr uint64_t kLastPointsMax = 4U << 20U;

// What other tools call a statistic.
std::string other_name_of_statistic(std::string_view word) {
    if (word == "avg" || word == "average") {
        return "; did you mean 'mean'?";
    }
    return word == "var" ? "; did you mean 'variance'?" : std::string();
}

std::string join(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

bool is_named(const Stage& stage, std::string_view name) {
    return name == "buckets"   ? std::holds_alternative<BucketsStage>(stage.what)
           : name == "summary" ? std::holds_alternative<SummaryStage>(stage.what)
                               : std::holds_alternative<StampedStage>(stage.what);
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
    std::string missing_pipe() const;
    std::string misspelled_keyword() const;
    Result<std::vector<Pattern>> parse_metrics();
    Status expect_at() const;
    Result<RunPattern> parse_run();
    Result<RunPattern> parse_run_path();
    Result<std::vector<RunPattern>> parse_runs();
    Status split_attempt(RunPattern& run) const;
    Result<SeriesQuery> parse_series_query();
    Result<std::vector<RunPattern>> parse_all_or_runs();
    Result<RunsQuery> parse_runs_query();
    Result<MetricsQuery> parse_metrics_query();
    Result<AttributesQuery> parse_attributes_query();
    Result<std::optional<Expression>> parse_where(ExpressionScope scope);
    Error unexpected_end(const Query& query) const;
    Error unknown_run_function() const;
    Error unknown_stage(const Token& name) const;
    std::string missing_word() const;
    Result<std::vector<Stage>> parse_stages();
    Result<Stage> parse_stage();
    Result<uint64_t> parse_count_word(std::string_view what, uint64_t max);
    Result<Range> parse_range(RangeAxis axis);
    Result<BucketsStage> parse_buckets();
    Result<SummaryStage> parse_summary();
    Result<size_t> parse_statistic(std::span<const std::string_view> names);
    template <typename Name>
    Status parse_statistics(std::span<const std::string_view> names, std::vector<Name>& named);

    TokenReader reader_;
    bool has_where_ = false;
};

// A word is a keyword at the start of a query unless what follows makes it a metric.
bool Parser::at_keyword(std::string_view word) const {
    return peek().is_word(word) && !peek_after().is_word("@") &&
           peek_after().kind != TokenKind::kComma;
}

// "; did you mean '| buckets'?" if a stage stands where none can without a `|`.
std::string Parser::missing_pipe() const {
    const std::optional<std::string> stage = peek().kind == TokenKind::kWord
                                                 ? nearest_spelling(peek().text, stage_names())
                                                 : std::nullopt;
    return stage ? fmt::format("; did you mean '| {}'?", *stage) : std::string();
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
    return hint.empty() ? missing_pipe() : hint;
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
    const bool is_about_runs = std::holds_alternative<AttributesQuery>(query.what);
    if (peek().kind == TokenKind::kPipe && (is_alone || is_about_runs)) {
        const std::string_view kind = is_about_runs ? "attributes"
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
    } else if (at_keyword("attributes")) {
        take();
        TRY_ASSIGN(query.what, parse_attributes_query());
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
        TRY_ASSIGN(query.what, parse_series_query());
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

Result<SeriesQuery> Parser::parse_series_query() {
    SeriesQuery query;
    TRY_ASSIGN(query.metrics, parse_metrics());
    TRY(expect_at());
    take();
    TRY_ASSIGN(query.runs, parse_runs());
    TRY_ASSIGN(query.where, parse_where(ExpressionScope::kRun));
    TRY_ASSIGN(query.stages, parse_stages());
    return query;
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

Result<std::vector<Stage>> Parser::parse_stages() {
    std::vector<Stage> stages;
    while (peek().kind == TokenKind::kPipe) {
        take();
        TRY_ASSIGN(Stage stage, parse_stage());
        for (const std::string_view last : {"buckets", "summary", "stamped"}) {
            if (!stages.empty() && is_named(stages.back(), last)) {
                return error_at(stage.span,
                                fmt::format("no stage can follow `{}`; put it before", last));
            }
        }
        stages.push_back(std::move(stage));
        if (peek().kind != TokenKind::kPipe && peek().kind != TokenKind::kEnd) {
            return error_at(peek().span, fmt::format("expected '|' or the end of the query, found "
                                                     "{}{}",
                                                     describe(peek()), missing_pipe()));
        }
    }
    return stages;
}

// All stages are told only where none is near: there are many.
Error Parser::unknown_stage(const Token& name) const {
    const std::string hint = name.text == "where"
                                 ? "; `where` stands behind the runs, before the first '|'"
                                 : did_you_mean(name.text, stage_names());
    return error_at(name.span, hint.empty() ? fmt::format("expected a stage ({}), found {}",
                                                          join(stage_names()), describe(name))
                                            : fmt::format("expected a stage, found {}{}",
                                                          describe(name), hint));
}

Result<Stage> Parser::parse_stage() {
    if (peek().kind != TokenKind::kWord) {
        return expected(fmt::format("a stage ({})", join(stage_names())));
    }
    const Token& name = take();
    Stage stage;
    stage.span = name.span;
    if (name.text == "steps") {
        TRY_ASSIGN(const Range range, parse_range(RangeAxis::kStep));
        stage.what = StepsStage{range};
    } else if (name.text == "time") {
        TRY_ASSIGN(const Range range, parse_range(RangeAxis::kTime));
        stage.what = TimeStage{range};
    } else if (name.text == "first") {
        TRY_ASSIGN(const uint64_t points, parse_count_word("a number of points", kFirstPointsMax));
        stage.what = FirstStage{points};
    } else if (name.text == "last") {
        TRY_ASSIGN(const uint64_t points, parse_count_word("a number of points", kLastPointsMax));
        stage.what = LastStage{points};
    } else if (name.text == "when") {
        WhenStage when;
        TRY_ASSIGN(when.condition, parse_condition(reader_, ExpressionScope::kPoint));
        stage.what = std::move(when);
    } else if (name.text == "buckets") {
        TRY_ASSIGN(stage.what, parse_buckets());
    } else if (name.text == "summary") {
        TRY_ASSIGN(stage.what, parse_summary());
    } else if (name.text == "stamped") {
        stage.what = StampedStage();
    } else {
        return unknown_stage(name);
    }
    return stage;
}

Result<uint64_t> Parser::parse_count_word(std::string_view what, uint64_t max) {
    if (peek().kind != TokenKind::kWord) {
        return expected(what);
    }
    const Token& word = take();
    const Result<uint64_t> count = parse_count(what, word.text, max);
    if (!count) {
        return error_at(word.span, count.error().message());
    }
    return *count;
}

Result<Range> Parser::parse_range(RangeAxis axis) {
    if (peek().kind != TokenKind::kWord) {
        return expected(range_form(axis));
    }
    const Token& word = take();
    return parse_range_word(reader_.text(), word.text, word.span, axis);
}

// Its number among `names`.
Result<size_t> Parser::parse_statistic(std::span<const std::string_view> names) {
    if (peek().kind != TokenKind::kWord) {
        return expected("a statistic such as min, max or mean");
    }
    const Token& name = take();
    const auto at = std::ranges::find(names, name.text);
    if (at == names.end()) {
        const std::vector<std::string> known(names.begin(), names.end());
        std::string suggestion = other_name_of_statistic(name.text);
        if (suggestion.empty()) {
            suggestion = did_you_mean(name.text, known);
        }
        return error_at(name.span, fmt::format("expected a statistic ({}), found {}{}", join(known),
                                               describe(name), suggestion));
    }
    return static_cast<size_t>(at - names.begin());
}

// Those that are named, each once; all if none is.
template <typename Name>
Status Parser::parse_statistics(std::span<const std::string_view> names, std::vector<Name>& named) {
    if (peek().kind != TokenKind::kWord) {
        for (size_t i = 0; i < names.size(); ++i) {
            named.push_back(static_cast<Name>(i));
        }
        return {};
    }
    while (true) {
        const Token& word = peek();
        TRY_ASSIGN(const size_t number, parse_statistic(names));
        if (std::ranges::find(named, static_cast<Name>(number)) != named.end()) {
            return error_at(word.span,
                            fmt::format("the statistic {} is named twice", describe(word)));
        }
        named.push_back(static_cast<Name>(number));
        if (peek().kind != TokenKind::kComma) {
            return {};
        }
        take();
    }
}

Result<BucketsStage> Parser::parse_buckets() {
    BucketsStage stage;
    TRY_ASSIGN(const uint64_t count, parse_count_word("a number of buckets", kBucketsMax));
    stage.buckets = static_cast<uint32_t>(count);
    TRY(parse_statistics(bucket_field_names(), stage.statistics));
    return stage;
}

Result<SummaryStage> Parser::parse_summary() {
    SummaryStage stage;
    TRY(parse_statistics(summary_field_names(), stage.fields));
    return stage;
}

}  // namespace

std::string_view statistic_name(Statistic statistic) {
    return bucket_field_names()[static_cast<size_t>(statistic)];
}

std::string_view summary_field_name(SummaryField field) {
    return summary_field_names()[static_cast<size_t>(field)];
}

Result<Query> parse_query(std::string_view text) {
    TRY_ASSIGN(std::vector<Token> tokens, tokenize(text));
    Parser parser(text, std::move(tokens));
    return parser.parse_query();
}

}  // namespace stepdb
