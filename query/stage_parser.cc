#include "query/stage_parser.h"

#include <algorithm>
#include <array>
#include <span>

#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "query/combine_parser.h"
#include "query/expression_parser.h"
#include "query/literals.h"
#include "query/range_parser.h"
#include "query/vocabulary.h"

namespace stepdb {

namespace {

// Points a query may ask for with first and last. The latter keeps them in memory, and execution
// may refuse fewer.
constexpr uint64_t kFirstPointsMax = uint64_t{1} << 53U;
constexpr uint64_t kLastPointsMax = 4U << 20U;
constexpr uint64_t kWindowPointsMax = 1U << 20U;
constexpr uint64_t kRowsMax = uint64_t{1} << 53U;
constexpr size_t kSortKeysMax = 1000;

constexpr std::array<std::string_view, 5> kMovingNames = {"mean", "median", "min", "max", "std"};

std::string join(std::span<const std::string_view> words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

// What other tools call a statistic of buckets, of `summary` or of a combination.
std::string other_name(std::string_view word, std::span<const std::string_view> names) {
    if (word == "avg" || word == "average") {
        return "; did you mean 'mean'?";
    }
    const bool is_long = std::ranges::find(names, "variance") != names.end();
    return word == "var" && is_long ? "; did you mean 'variance'?" : std::string();
}

// How far the stages of a query have come: each place once, in this order.
enum class Place : uint8_t { kStages, kShape, kCombined, kPivot, kSort, kLimit };

Place place_of(std::string_view name) {
    if (name == "log-x" || name == "buckets" || name == "summary" || name == "stamped") {
        return Place::kShape;
    }
    if (name == "across" || name == "group") {
        return Place::kCombined;
    }
    if (name == "pivot") {
        return Place::kPivot;
    }
    return name == "sort" ? Place::kSort : name == "limit" ? Place::kLimit : Place::kStages;
}

class StageParser {
  public:
    StageParser(TokenReader& reader, bool is_in_parentheses, size_t& expressions)
        : reader_(reader), is_in_parentheses_(is_in_parentheses), expressions_(expressions) {}

    Result<SeriesStages> parse();

  private:
    const Token& peek() const { return reader_.peek(); }
    Error error_at(SourceSpan span, std::string_view message) const {
        return reader_.error_at(span, message);
    }

    bool ends() const {
        return peek().kind == TokenKind::kEnd ||
               (is_in_parentheses_ && peek().kind == TokenKind::kCloseParenthesis);
    }
    bool has_x() const {
        return std::ranges::any_of(all_.stages, [](const Stage& stage) {
            return std::holds_alternative<XStage>(stage.what);
        });
    }
    Error unknown_stage(const Token& name) const;
    Status check_place(const Token& name);
    Status check_end() const;
    Status parse_stage(const Token& name);
    Status parse_other(const Token& name);
    Status parse_shape(const Token& name);
    Status add(const Token& name, decltype(Stage::what) what);
    Result<Range> parse_range(RangeAxis axis);
    Result<SmoothStage> parse_ema();
    Result<SmoothStage> parse_moving();
    Result<SmoothStage> parse_rate();
    Result<EveryStage> parse_every();
    Result<XStage> parse_x();
    Result<RankStage> parse_rank(const Token& name);
    Result<BucketsShape> parse_buckets();
    Result<size_t> parse_statistic(std::span<const std::string_view> names);
    template <typename Name>
    Status parse_statistics(std::span<const std::string_view> names, std::vector<Name>& named);
    Status parse_sort();

    TokenReader& reader_;
    bool is_in_parentheses_;
    size_t& expressions_;
    SeriesStages all_;
    Place at_ = Place::kStages;
    std::string before_;  // the name of the stage that took `at_` there
    bool is_log_ = false;
};

// All stages are told only where none is near: there are many.
Error StageParser::unknown_stage(const Token& name) const {
    std::string hint = did_you_mean(name.text, stage_names());
    if (name.text == "where") {
        hint = "; `where` stands behind the runs, before the first '|'";
    } else if (name.text == "show") {
        hint = "; `show` is for tables of runs and metrics, as in runs gpt/* | show config/lr";
    } else if (name.text == "smooth" || name.text == "ewm") {
        hint = "; did you mean 'ema'?";
    } else if (name.text == "mean" || name.text == "median") {
        hint = fmt::format("; did you mean 'moving {}', or 'across {}'?", name.text, name.text);
    } else if (name.text == "order") {
        hint = "; did you mean 'sort'?";
    }
    return error_at(name.span,
                    hint.empty()
                        ? fmt::format("expected a stage ({}), found {}",
                                      fmt::join(stage_names(), ", "), describe(name))
                        : fmt::format("expected a stage, found {}{}", describe(name), hint));
}

Status StageParser::check_place(const Token& name) {
    const Place place = place_of(name.text);
    if (is_in_parentheses_ && place != Place::kStages) {
        return error_at(name.span, fmt::format("no `{}` in parentheses: what is calculated with "
                                               "are points; put it behind the parentheses",
                                               name.text));
    }
    const bool is_of_rows = place > Place::kShape && place < Place::kSort;
    if (is_of_rows && (before_ == "summary" || before_ == "stamped")) {
        return error_at(name.span,
                        fmt::format("`{}` combines series by x, and cannot follow `{}`; behind it "
                                    "stand `sort` and `limit`",
                                    name.text, before_));
    }
    const bool is_second = place == at_ && place != Place::kStages && before_ != "log-x";
    if (place < at_ || is_second) {
        return error_at(name.span, is_second && before_ == name.text
                                       ? fmt::format("`{}` stands once", name.text)
                                       : fmt::format("`{}` cannot follow `{}`; put it before",
                                                     name.text, before_));
    }
    if (before_ == "log-x" && name.text != "buckets") {
        return error_at(name.span, "`log-x` lays out buckets: `buckets N` must follow it");
    }
    if (place != Place::kStages) {
        at_ = place;
        before_ = name.text;
    }
    return {};
}

// Behind a stage stands the next one or the end.
Status StageParser::check_end() const {
    if (peek().kind == TokenKind::kPipe || ends()) {
        return {};
    }
    return error_at(peek().span, fmt::format("expected '|' or {}, found {}{}",
                                             is_in_parentheses_ ? "')'" : "the end of the query",
                                             describe(peek()), missing_pipe(reader_)));
}

Result<SeriesStages> StageParser::parse() {
    while (peek().kind == TokenKind::kPipe) {
        reader_.take();
        const bool is_known = peek().kind == TokenKind::kWord &&
                              std::ranges::find(stage_names(), peek().text) != stage_names().end();
        if (!is_known && peek().kind == TokenKind::kWord) {
            return unknown_stage(peek());
        }
        if (!is_known) {
            return reader_.expected(fmt::format("a stage ({})", fmt::join(stage_names(), ", ")));
        }
        const Token& name = reader_.take();
        TRY(check_place(name));
        TRY(parse_stage(name));
        TRY(check_end());
    }
    if (before_ == "log-x") {
        return error_at(all_.shape_span, "`log-x` lays out buckets: `buckets N` must follow it");
    }
    return std::move(all_);
}

Status StageParser::add(const Token& name, decltype(Stage::what) what) {
    Stage stage;
    stage.span = name.span;
    stage.what = std::move(what);
    all_.stages.push_back(std::move(stage));
    return {};
}

Status StageParser::parse_stage(const Token& name) {
    if (place_of(name.text) == Place::kShape) {
        return parse_shape(name);
    }
    if (name.text == "steps") {
        TRY_ASSIGN(const Range range, parse_range(RangeAxis::kStep));
        return add(name, StepsStage{range});
    }
    if (name.text == "time") {
        TRY_ASSIGN(const Range range, parse_range(RangeAxis::kTime));
        return add(name, TimeStage{range});
    }
    if (name.text == "first") {
        TRY_ASSIGN(const uint64_t points,
                   reader_.take_count("a number of points", kFirstPointsMax));
        return add(name, FirstStage{points});
    }
    if (name.text == "last") {
        TRY_ASSIGN(const uint64_t points, reader_.take_count("a number of points", kLastPointsMax));
        return add(name, LastStage{points});
    }
    if (name.text == "when") {
        WhenStage when;
        TRY_ASSIGN(when.condition, parse_condition(reader_, ExpressionScope::kPoint));
        when.number = expressions_++;
        return add(name, std::move(when));
    }
    return parse_other(name);
}

Status StageParser::parse_other(const Token& name) {
    if (name.text == "ema") {
        TRY_ASSIGN(const SmoothStage ema, parse_ema());
        return add(name, ema);
    }
    if (name.text == "moving") {
        TRY_ASSIGN(const SmoothStage moving, parse_moving());
        return add(name, moving);
    }
    if (name.text == "diff") {
        return add(name, SmoothStage{Smoothing::kDiff, 0, 0});
    }
    if (name.text == "rate") {
        TRY_ASSIGN(const SmoothStage rate, parse_rate());
        return add(name, rate);
    }
    if (name.text == "zscore") {
        TRY_ASSIGN(const uint64_t points,
                   reader_.take_count("a number of points before", kWindowPointsMax));
        return add(name, SmoothStage{Smoothing::kZscore, 0, points});
    }
    if (name.text == "every") {
        TRY_ASSIGN(const EveryStage every, parse_every());
        return add(name, every);
    }
    if (name.text == "x") {
        TRY_ASSIGN(XStage x, parse_x());
        return add(name, std::move(x));
    }
    if (name.text == "top" || name.text == "bottom") {
        TRY_ASSIGN(RankStage rank, parse_rank(name));
        return add(name, std::move(rank));
    }
    if (name.text == "across" || name.text == "group") {
        TRY_ASSIGN(all_.combine, parse_combine_stage(reader_, name));
        return {};
    }
    if (name.text == "pivot") {
        all_.rows.pivot = name.span;
        all_.rows.is_pivot_x = peek().kind == TokenKind::kWord && peek().text == "x";
        if (all_.rows.is_pivot_x) {
            reader_.take();
        }
        return {};
    }
    if (name.text == "sort") {
        return parse_sort();
    }
    CHECK(name.text == "limit", "stage {}", name.text);
    TRY_ASSIGN(all_.rows.limit, reader_.take_count("a number of rows", kRowsMax));
    return {};
}

Status StageParser::parse_shape(const Token& name) {
    all_.shape_span = name.span;
    if (name.text == "log-x") {
        is_log_ = true;
    } else if (name.text == "buckets") {
        TRY_ASSIGN(all_.shape, parse_buckets());
    } else if (name.text == "summary") {
        if (has_x()) {
            return error_at(name.span,
                            "`summary` tells steps and times whatever x is; leave out "
                            "`x`");
        }
        SummaryShape shape;
        TRY(parse_statistics(summary_field_names(), shape.fields));
        all_.shape = std::move(shape);
    } else {
        all_.shape = PointsShape{true};
    }
    return {};
}

Result<Range> StageParser::parse_range(RangeAxis axis) {
    if (peek().kind != TokenKind::kWord) {
        return reader_.expected(range_form(axis));
    }
    return parse_range_word(reader_.text(), reader_.take(), axis);
}

Result<SmoothStage> StageParser::parse_ema() {
    const std::string_view what = "a weight from 0 to below 1, as in ema 0.99";
    if (!may_be_quantity(peek())) {
        return reader_.expected(what);
    }
    const Token& word = reader_.take();
    const Result<double> weight = parse_number(word.text);
    if (!weight || *weight < 0 || *weight >= 1) {
        return reader_.error_about(word,
                                   fmt::format("expected {}, found {}", what, describe(word)));
    }
    return SmoothStage{Smoothing::kEma, *weight, 0};
}

Result<SmoothStage> StageParser::parse_moving() {
    const Token& name = peek();
    const auto at = std::ranges::find(kMovingNames, name.text);
    if (name.kind != TokenKind::kWord || at == kMovingNames.end()) {
        const std::vector<std::string> known(kMovingNames.begin(), kMovingNames.end());
        const bool is_number = name.kind == TokenKind::kWord && parse_number(name.text);
        return reader_.expected(
            fmt::format("what moves ({}) and a number of points, as in moving mean 100",
                        join(kMovingNames)),
            is_number ? fmt::format("; did you mean 'mean {}'?", name.text)
            : name.is_word("avg") || name.is_word("average") ? std::string("; did you mean 'mean'?")
            : name.kind == TokenKind::kWord                  ? did_you_mean(name.text, known)
                                                             : std::string());
    }
    reader_.take();
    SmoothStage stage;
    stage.smoothing = static_cast<Smoothing>(static_cast<size_t>(Smoothing::kMovingMean) +
                                             static_cast<size_t>(at - kMovingNames.begin()));
    TRY_ASSIGN(stage.points, reader_.take_count("a number of points", kWindowPointsMax));
    return stage;
}

Result<SmoothStage> StageParser::parse_rate() {
    SmoothStage stage;
    stage.smoothing = Smoothing::kRatePerSecond;
    if (peek().kind == TokenKind::kWord && !peek().is_word("step") && !peek().is_word("time")) {
        static const std::vector<std::string> axes = {"step", "time"};
        return reader_.expected("step, time, '|' or the end of the query",
                                did_you_mean(peek().text, axes));
    }
    if (peek().is_word("step") || peek().is_word("time")) {
        const bool per_step = reader_.take().text == "step";
        stage.smoothing = per_step ? Smoothing::kRatePerStep : Smoothing::kRatePerSecond;
    }
    return stage;
}

Result<EveryStage> StageParser::parse_every() {
    const std::string_view what = "a width such as 1k steps or 10m of time, above 0";
    if (!may_be_quantity(peek())) {
        return reader_.expected(what);
    }
    const Token& word = reader_.take();
    EveryStage stage;
    stage.span = word.span;
    const Result<double> number = parse_number(word.text);
    const Result<int64_t> duration = parse_duration(word.text);
    if (number && *number > 0) {
        stage.width = *number;
    } else if (!number && duration && *duration > 0) {
        stage.width_us = *duration;
    } else {
        return reader_.error_about(word,
                                   fmt::format("expected {}, found {}", what, describe(word)));
    }
    if (peek().kind == TokenKind::kWord) {
        const Token& name = peek();
        TRY_ASSIGN(const size_t statistic, parse_statistic(bucket_field_names()));
        stage.statistic = static_cast<Statistic>(statistic);
        if (name.text.ends_with("_x")) {
            return error_at(name.span, fmt::format("`every` makes points of values, and {} is a "
                                                   "place; `buckets` tells it",
                                                   describe(name)));
        }
    }
    return stage;
}

Result<XStage> StageParser::parse_x() {
    if (has_x()) {
        return error_at(reader_.taken_before().span, "there is one `x`; leave out the other");
    }
    XStage stage;
    const Token& word = peek();
    const Token& after = reader_.peek(1);
    const bool is_alone = after.kind == TokenKind::kPipe || after.kind == TokenKind::kEnd ||
                          after.kind == TokenKind::kCloseParenthesis;
    if (is_alone && (word.is_word("step") || word.is_word("time") || word.is_word("elapsed"))) {
        stage.x = word.text == "step"   ? XStage::X::kStep
                  : word.text == "time" ? XStage::X::kTime
                                        : XStage::X::kElapsed;
        reader_.take();
        return stage;
    }
    stage.x = XStage::X::kExpression;
    TRY_ASSIGN(stage.expression, parse_value_expression(reader_, ExpressionScope::kPoint));
    stage.number = expressions_++;
    return stage;
}

Result<RankStage> StageParser::parse_rank(const Token& name) {
    RankStage stage;
    stage.is_top = name.text == "top";
    TRY_ASSIGN(stage.series, reader_.take_count("a number of series", kRowsMax));
    if (!peek().is_word("by")) {
        return reader_.expected(
            fmt::format("'by' and what ranks the series, as in {} 5 by max", name.text));
    }
    reader_.take();
    TRY_ASSIGN(stage.by, parse_value_expression(reader_, ExpressionScope::kSeries));
    return stage;
}

// Its number among `names`.
Result<size_t> StageParser::parse_statistic(std::span<const std::string_view> names) {
    if (peek().kind != TokenKind::kWord) {
        return reader_.expected("a statistic such as min, max or mean");
    }
    const Token& name = reader_.take();
    const auto at = std::ranges::find(names, name.text);
    if (at == names.end()) {
        const std::vector<std::string> known(names.begin(), names.end());
        std::string suggestion = other_name(name.text, names);
        if (suggestion.empty()) {
            suggestion = did_you_mean(name.text, known);
        }
        return error_at(name.span, fmt::format("expected a statistic ({}), found {}{}", join(names),
                                               describe(name), suggestion));
    }
    return static_cast<size_t>(at - names.begin());
}

// Those that are named, each once; all if none is.
template <typename Name>
Status StageParser::parse_statistics(std::span<const std::string_view> names,
                                     std::vector<Name>& named) {
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
        reader_.take();
    }
}

Result<BucketsShape> StageParser::parse_buckets() {
    BucketsShape shape;
    shape.is_log = is_log_;
    TRY_ASSIGN(const uint64_t count, reader_.take_count("a number of buckets", kBucketsMax));
    shape.buckets = static_cast<uint32_t>(count);
    shape.is_all = peek().kind != TokenKind::kWord;
    TRY(parse_statistics(bucket_field_names(), shape.statistics));
    return shape;
}

Status StageParser::parse_sort() {
    while (true) {
        ColumnKey key;
        const Token& column = peek();
        const bool is_name = column.kind == TokenKind::kWord || column.kind == TokenKind::kLiteral;
        if (!is_name || column.text.empty()) {
            return reader_.expected("a column of the answer, as in sort value desc");
        }
        key.column = column.text;
        key.span = reader_.take().span;
        TRY_ASSIGN(key.descending, take_order(reader_));
        all_.rows.sort.push_back(std::move(key));
        if (all_.rows.sort.size() > kSortKeysMax) {
            return reader_.expected(fmt::format("at most {} keys", kSortKeysMax));
        }
        if (peek().kind != TokenKind::kComma) {
            return {};
        }
        reader_.take();
    }
}

}  // namespace

std::string missing_pipe(const TokenReader& reader) {
    const std::optional<std::string> stage =
        reader.peek().kind == TokenKind::kWord ? nearest_spelling(reader.peek().text, stage_names())
                                               : std::nullopt;
    return stage ? fmt::format("; did you mean '| {}'?", *stage) : std::string();
}

Result<SeriesStages> parse_series_stages(TokenReader& reader, bool is_in_parentheses,
                                         size_t& expressions) {
    return StageParser(reader, is_in_parentheses, expressions).parse();
}

}  // namespace stepdb
