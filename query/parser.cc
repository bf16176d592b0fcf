#include "query/parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "query/lexer.h"
#include "query/literals.h"
#include "query/range_parser.h"

namespace stepdb {

namespace {

constexpr std::array<std::string_view, 14> kStatisticNames = {
    "count", "nan", "pinf", "ninf",  "min",     "min_x", "max",
    "max_x", "sum", "mean", "first", "first_x", "last",  "last_x"};

constexpr std::array<std::string_view, 19> kSummaryFieldNames = {
    "count",      "nan",        "pinf",     "ninf",      "min",      "min_step", "min_time",
    "max",        "max_step",   "max_time", "sum",       "mean",     "variance", "first",
    "first_step", "first_time", "last",     "last_step", "last_time"};

// Points a query may ask for with first and last. The latter keeps them in memory, and execution
// may refuse fewer.
constexpr uint64_t kFirstPointsMax = uint64_t{1} << 53U;
constexpr uint64_t kLastPointsMax = 4U << 20U;

const std::vector<std::string>& stage_names() {
    static const std::vector<std::string> names = {"buckets", "first",   "last",
                                                   "steps",   "summary", "time"};
    return names;
}

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

bool is_operator(const Token& token) {
    return token.kind == TokenKind::kWord &&
           (token.text == "@" || token.text == "+" || token.text == "-" || token.text == "/" ||
            token.text == "%" || token.text == "=" || token.text == "<" || token.text == ">");
}

bool starts_pattern(const Token& token) {
    return token.kind == TokenKind::kLiteral || token.kind == TokenKind::kRegex ||
           (token.kind == TokenKind::kWord && !is_operator(token));
}

bool is_named(const Stage& stage, std::string_view name) {
    return name == "buckets" ? std::holds_alternative<BucketsStage>(stage.what)
                             : std::holds_alternative<SummaryStage>(stage.what);
}

// One parse of one text. Each parse_* reads what it is named for and leaves the rest.
class Parser {
  public:
    Parser(std::string_view text, std::vector<Token> tokens)
        : text_(text), tokens_(std::move(tokens)) {}

    Result<Query> parse_query();

  private:
    const Token& peek() const { return tokens_[at_]; }
    const Token& peek_after() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
    const Token& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }

    Error error_at(SourceSpan span, std::string_view message) const {
        return query_error(text_, span, message);
    }
    Error expected(std::string_view what) const {
        return error_at(peek().span, fmt::format("expected {}, found {}", what, describe(peek())));
    }

    bool at_keyword(std::string_view word) const;
    std::string missing_pipe() const;
    std::string misspelled_keyword() const;
    Result<Pattern> parse_pattern(std::string_view what);
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
    Error stages_without_points(const Query& query) const;
    Error unknown_run_function() const;
    Result<std::vector<Stage>> parse_stages();
    Result<Stage> parse_stage();
    Result<uint64_t> parse_count_word(std::string_view what, uint64_t max);
    Result<Range> parse_range(RangeAxis axis);
    Result<BucketsStage> parse_buckets();
    Result<SummaryStage> parse_summary();
    Result<size_t> parse_statistic(std::span<const std::string_view> names);
    template <typename Name>
    Status parse_statistics(std::span<const std::string_view> names, std::vector<Name>& named);

    std::string_view text_;
    std::vector<Token> tokens_;
    size_t at_ = 0;
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

// "; did you mean 'runs'?" if the query's only word so far was to be a keyword.
std::string Parser::misspelled_keyword() const {
    const bool is_first = at_ == 1 || (at_ == 2 && tokens_[0].is_word("explain"));
    if (!is_first || tokens_[at_ - 1].kind != TokenKind::kWord) {
        return {};
    }
    static const std::vector<std::string> keywords = {"attributes", "explain", "metrics",
                                                      "projects",   "runs",    "stats"};
    return did_you_mean(tokens_[at_ - 1].text, keywords);
}

// A stage behind `runs`, `metrics` and their like.
Error Parser::stages_without_points(const Query& query) const {
    constexpr std::array<std::string_view, 6> kKinds = {"",        "runs",     "attributes",
                                                        "metrics", "projects", "stats"};
    static_assert(std::variant_size_v<decltype(query.what)> == kKinds.size());
    const std::string_view kind = kKinds.at(query.what.index());
    return error_at(peek().span, fmt::format("`{}` takes no stages: they work on points, as in "
                                             "train/loss @ gpt/* | last 1",
                                             kind));
}

Result<Query> Parser::parse_query() {
    Query query;
    query.text = text_;
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
        AttributesQuery attributes;
        TRY_ASSIGN(attributes.runs, parse_all_or_runs());
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
        TRY_ASSIGN(query.what, parse_series_query());
    }
    if (peek().kind != TokenKind::kEnd) {
        const bool series = std::holds_alternative<SeriesQuery>(query.what);
        if (!series && peek().kind == TokenKind::kPipe) {
            return stages_without_points(query);
        }
        return error_at(peek().span,
                        fmt::format("expected {}, found {}{}",
                                    series ? "',', '|' or the end of the query"
                                    : std::holds_alternative<ProjectsQuery>(query.what) ||
                                            std::holds_alternative<StatsQuery>(query.what)
                                        ? "the end of the query"
                                        : "',' or the end of the query",
                                    describe(peek()), series ? missing_pipe() : std::string()));
    }
    return query;
}

Result<Pattern> Parser::parse_pattern(std::string_view what) {
    if (!starts_pattern(peek())) {
        return expected(what);
    }
    const Token& token = take();
    Pattern pattern;
    pattern.text = token.text;
    pattern.span = token.span;
    if (pattern.text.empty()) {
        return error_at(token.span, fmt::format("expected {}, found an empty name", what));
    }
    if (token.kind == TokenKind::kRegex) {
        pattern.kind = PatternKind::kRegex;
    } else if (token.kind == TokenKind::kWord &&
               token.text.find_first_of("*{}") != std::string::npos) {
        pattern.kind = PatternKind::kGlob;
    }
    return pattern;
}

Result<std::vector<Pattern>> Parser::parse_metrics() {
    std::vector<Pattern> metrics;
    while (true) {
        TRY_ASSIGN(Pattern metric, parse_pattern("a metric such as train/loss or \"my loss\""));
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
    const Token& before = tokens_[at_ == 0 ? 0 : at_ - 1];
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
    TRY_ASSIGN(run.path, parse_pattern("a run such as gpt/run-1 or gpt/*"));
    TRY(split_attempt(run));
    const std::string& path = run.path.text;
    const auto slashes = std::count(path.begin(), path.end(), '/');
    if (run.path.kind == PatternKind::kExact && slashes != 1) {
        return error_at(run.path.span,
                        fmt::format("expected a run as PROJECT/RUN with one slash, found '{}'",
                                    printable(path, 80)));
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
    TRY_ASSIGN(query.stages, parse_stages());
    return query;
}

// Without a pattern all of them.
Result<std::vector<RunPattern>> Parser::parse_all_or_runs() {
    if (peek().kind != TokenKind::kEnd && peek().kind != TokenKind::kPipe) {
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
    return query;
}

Result<MetricsQuery> Parser::parse_metrics_query() {
    MetricsQuery query;
    TRY_ASSIGN(query.metrics, parse_metrics());
    TRY(expect_at());
    take();
    TRY_ASSIGN(query.runs, parse_runs());
    return query;
}

Result<std::vector<Stage>> Parser::parse_stages() {
    std::vector<Stage> stages;
    while (peek().kind == TokenKind::kPipe) {
        take();
        TRY_ASSIGN(Stage stage, parse_stage());
        for (const std::string_view last : {"buckets", "summary"}) {
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
    } else if (name.text == "buckets") {
        TRY_ASSIGN(stage.what, parse_buckets());
    } else if (name.text == "summary") {
        TRY_ASSIGN(stage.what, parse_summary());
    } else {
        return error_at(name.span,
                        fmt::format("expected a stage ({}), found {}{}", join(stage_names()),
                                    describe(name), did_you_mean(name.text, stage_names())));
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
    return parse_range_word(text_, word.text, word.span, axis);
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
    TRY(parse_statistics(kStatisticNames, stage.statistics));
    return stage;
}

Result<SummaryStage> Parser::parse_summary() {
    SummaryStage stage;
    TRY(parse_statistics(kSummaryFieldNames, stage.fields));
    return stage;
}

}  // namespace

std::string_view statistic_name(Statistic statistic) {
    return kStatisticNames.at(static_cast<size_t>(statistic));
}

std::string_view summary_field_name(SummaryField field) {
    return kSummaryFieldNames.at(static_cast<size_t>(field));
}

Result<Query> parse_query(std::string_view text) {
    TRY_ASSIGN(std::vector<Token> tokens, tokenize(text));
    Parser parser(text, std::move(tokens));
    return parser.parse_query();
}

}  // namespace stepdb
