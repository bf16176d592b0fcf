#include "query/operators/evaluator.h"

#include <cmath>

#include "engine/base/text.h"
#include "query/operators/calculation.h"
#include "query/operators/pipeline.h"
#include "query/operators/scan.h"
#include "query/run_attributes.h"
#include "query/run_state.h"

namespace stepdb {

namespace {

Value place_value(Axis axis, Key key, int64_t time_us, double value, PointPart part) {
    switch (part) {
        case PointPart::kValue:
            return Value::of_number(value);
        case PointPart::kStep:
            return axis == Axis::kStepped ? Value::of_number(step_of_key(key)) : Value();
        case PointPart::kTime:
            return Value::of_time(time_us);
    }
    return {};
}

Value count_value(uint64_t count) {
    return Value::of_integer(static_cast<int64_t>(count));
}

Value calculated_value(const Summary& summary, PointStatistic statistic) {
    switch (statistic) {
        case PointStatistic::kMean:
            return Value::of_number(summary.mean());
        case PointStatistic::kSum:
            return Value::of_number(summary.sum.sum());
        case PointStatistic::kStd:
            return Value::of_number(std::sqrt(summary.variance()));
        default:
            return Value::of_number(summary.variance());
    }
}

// First and last are there if any point is, what is about finite values if one of them is.
Value statistic_value(const Summary& summary, Axis axis, const BoundNode& node) {
    const auto place = [&](const SummaryPoint& point, bool is_there) {
        return is_there ? place_value(axis, point.key, point.time, point.value, node.part)
                        : Value();
    };
    switch (node.statistic) {
        case PointStatistic::kCount:
            return count_value(summary.points());
        case PointStatistic::kNan:
            return count_value(summary.nan);
        case PointStatistic::kPositiveInfinity:
            return count_value(summary.positive_infinity);
        case PointStatistic::kNegativeInfinity:
            return count_value(summary.negative_infinity);
        case PointStatistic::kMin:
            return place(summary.min, summary.count > 0);
        case PointStatistic::kMax:
            return place(summary.max, summary.count > 0);
        case PointStatistic::kFirst:
            return place(summary.first, summary.points() > 0);
        case PointStatistic::kLast:
            return place(summary.last, summary.points() > 0);
        default:
            return summary.count > 0 ? calculated_value(summary, node.statistic) : Value();
    }
}

bool is_of_class(const Value& value, ValueClass value_class) {
    const bool is_number = value.kind == Value::Kind::kNumber;
    switch (value_class) {
        case ValueClass::kMissing:
            return value.kind == Value::Kind::kMissing;
        case ValueClass::kNull:
            return value.kind == Value::Kind::kNull;
        case ValueClass::kNan:
            return value.is_nan();
        case ValueClass::kPositiveInfinity:
            return is_number && std::isinf(value.number) && value.number > 0;
        case ValueClass::kNegativeInfinity:
            return is_number && std::isinf(value.number) && value.number < 0;
        case ValueClass::kFinite:
            return value.is_numeric() && std::isfinite(value.as_double());
    }
    return false;
}

// `is not` is false for what is missing, unless that is the question.
bool is_test(Operator op, const Value& value, ValueClass value_class) {
    if (op == Operator::kIs) {
        return is_of_class(value, value_class);
    }
    const bool can_be = value.kind != Value::Kind::kMissing || value_class == ValueClass::kMissing;
    return can_be && !is_of_class(value, value_class);
}

bool compare(Operator op, const Value& a, const Value& b) {
    const std::partial_ordering order = order_values(a, b);
    switch (op) {
        case Operator::kEqual:
            return std::is_eq(order);
        case Operator::kNotEqual:
            return std::is_neq(order);
        case Operator::kLess:
            return std::is_lt(order);
        case Operator::kLessEqual:
            return std::is_lteq(order);
        case Operator::kGreater:
            return std::is_gt(order);
        default:
            return std::is_gteq(order);
    }
}

bool contains(const Value& value, const std::string& text) {
    if (value.kind == Value::Kind::kTexts) {
        return value.texts->contains(text);
    }
    return value.kind == Value::Kind::kText && value.text.find(text) != std::string::npos;
}

bool matches(const Value& value, const NameMatcher& matcher) {
    if (value.kind != Value::Kind::kTexts) {
        return matcher.matches(value.to_text());
    }
    return std::any_of(value.texts->begin(), value.texts->end(),
                       [&](const std::string& member) { return matcher.matches(member); });
}

Value calculate(Operator op, const Value& a, const Value& b) {
    if (a.kind == Value::Kind::kTime && b.kind == Value::Kind::kTime && op == Operator::kSubtract) {
        return Value::of_number((static_cast<double>(a.integer) - static_cast<double>(b.integer)) /
                                1e6);
    }
    if (!a.is_numeric() || !b.is_numeric()) {
        return {};
    }
    return Value::of_number(apply_operator(op, a.as_double(), b.as_double()));
}

// A literal by itself is a number if it reads as one.
Value literal_value(const LiteralValue& literal) {
    return literal.number.is_there() ? literal.number : literal.text;
}

const StringSet* tags_of_run(const SelectedRun& selected) {
    return &selected.run->tags();
}

// With what the row's patterns captured in place of `{name}`.
std::string metric_of(const ExpressionSource& source, const ExpressionRow& row) {
    return source.has_captures && row.series != nullptr
               ? fill_captures(source.metric, row.series->captures)
               : source.metric;
}

}  // namespace

std::optional<int64_t> find_run_start(const RunStarts& starts, size_t run) {
    if (starts == nullptr) {
        return std::nullopt;
    }
    const auto at = starts->find(run);
    return at == starts->end() ? std::nullopt : std::optional(at->second);
}

std::optional<double> elapsed_seconds(std::optional<int64_t> start_us, int64_t time_us) {
    constexpr double kMicroseconds = 1e6;
    return start_us
               ? std::optional((static_cast<double>(time_us) - static_cast<double>(*start_us)) /
                               kMicroseconds)
               : std::nullopt;
}

Value ExpressionEvaluator::compute(uint32_t at, ExpressionRow& row,
                                   std::optional<uint32_t>& wanted) {
    const BoundNode& node = plan_.nodes()[at];
    const SelectedRun& selected = *context_.bound.runs[row.run];
    switch (node.kind) {
        case BoundNode::Kind::kLiteral:
            return literal_value(node.literal);
        case BoundNode::Kind::kField:
            return compute_field(node.field, row);
        case BoundNode::Kind::kAttribute:
            return compute_attribute(at, selected);
        case BoundNode::Kind::kPoint:
            return place_value(row.axis, row.key, row.time_us, row.value, node.part);
        case BoundNode::Kind::kElapsed: {
            const std::optional<double> seconds = elapsed_seconds(row.start_us, row.time_us);
            return seconds ? Value::of_number(*seconds) : Value();
        }
        case BoundNode::Kind::kJoined: {
            const auto value = row.joined == nullptr
                                   ? std::nullopt
                                   : row.joined->value(node.source, row.joined_at);
            return value ? Value::of_number(*value) : Value();
        }
        case BoundNode::Kind::kOperator:
            return compute_operator(node, row, wanted);
        case BoundNode::Kind::kStatistic:
            break;
    }
    if (row.find_summary(node.source) == nullptr && !find_kept(node.source, row)) {
        wanted = wanted.value_or(node.source);
        return {};
    }
    const SeriesSummary& found = *row.find_summary(node.source);
    return statistic_value(found.summary, found.axis, node);
}

// Of a list's runs so many are asked about before something is found out for all.
constexpr size_t kShareAsked = 16;

// The column of an attribute of very many runs; null if there is none, and looking into this run is
// what is to be done. It is made for whoever asks about a good part of the runs, not for a few
// rows.
const AttributeColumn* ExpressionEvaluator::find_column(uint32_t node,
                                                        const SelectedRun& selected) {
    const std::string& name = plan_.nodes()[node].attribute;
    if (selected.place == SelectedRun::kNoPlace || name.starts_with(kSystemPrefix)) {
        return nullptr;
    }
    const RunList* const list = context_.bound.list.get();
    CHECK(list != nullptr, "run {} has place {} in no list", selected.label, selected.place);
    listed_.resize(plan_.nodes().size());
    ListedAttribute& listed = listed_[node];
    if (listed.asked++ == 0) {
        listed.column = list->find_column(name);
    }
    if (listed.column == nullptr && listed.asked * kShareAsked > list->runs().size()) {
        listed.column = list->make_column(name);
    }
    return listed.column.get();
}

Value ExpressionEvaluator::compute_attribute(uint32_t node, const SelectedRun& selected) {
    if (const AttributeColumn* const column = find_column(node, selected)) {
        return column->value(selected.place);
    }
    return find_attribute(selected, plan_.nodes()[node].attribute, context_.source,
                          context_.now_us);
}

Value ExpressionEvaluator::compute_field(RowField field, const ExpressionRow& row) {
    const SelectedRun& selected = *context_.bound.runs[row.run];
    const Run& run = *selected.run;
    switch (field) {
        case RowField::kRun:
            return Value::of_text(row.series == nullptr ? selected.label
                                                        : run_label(context_.bound, *row.series));
        case RowField::kProject:
            return Value::of_text(run.project);
        case RowField::kName:
            return Value::of_text(run.name);
        case RowField::kState:
            return Value::of_text(
                std::string(shown_state(run, context_.source.activity(run), context_.now_us)));
        case RowField::kCreated:
            return run.is_creation_known() ? Value::of_time(run.created_us) : Value();
        case RowField::kAttempts:
            return count_value(run.attempts.size());
        case RowField::kMetrics:
            return count_metrics(selected);
        case RowField::kTags: {
            Value tags;
            tags.kind = Value::Kind::kTexts;
            tags.texts = tags_of_run(selected);
            return tags;
        }
        case RowField::kMetric:
            return Value::of_text(row.series->shown_metric());
        case RowField::kAxis:
            return Value::of_text(row.series->axis == Axis::kStepped ? "stepped" : "timed");
    }
    return {};
}

Value ExpressionEvaluator::count_metrics(const SelectedRun& selected) {
    const auto damage = context_.source.damage(selected.view());
    if (!damage) {
        const auto schemas = context_.source.schemas(selected.view());
        const bool is_one = schemas && schemas->size() == 1;
        return count_value(is_one ? schemas->front()->width()
                                  : context_.source.metrics(selected.view()).size());
    }
    Uncounted& uncounted = uncounted_[damage->message()];
    uncounted.first_run = uncounted.runs == 0 ? selected.label : uncounted.first_run;
    ++uncounted.runs;
    return {};
}

Value ExpressionEvaluator::compute_operator(const BoundNode& node, ExpressionRow& row,
                                            std::optional<uint32_t>& wanted) {
    if (node.op < Operator::kAdd) {
        return compute_condition(node, row, wanted);
    }
    const Value left = compute(node.operands[0], row, wanted);
    if (wanted) {
        return {};
    }
    const Value right = compute(node.operands[1], row, wanted);
    return calculate(node.op, left, right);
}

Value ExpressionEvaluator::compute_condition(const BoundNode& node, ExpressionRow& row,
                                             std::optional<uint32_t>& wanted) {
    if (node.op == Operator::kOr || node.op == Operator::kAnd) {
        const bool ends_it = node.op == Operator::kOr;
        for (const uint32_t operand : node.operands) {
            const Value value = compute(operand, row, wanted);
            if (wanted || value.is_true() == ends_it) {
                return Value::of_bool(ends_it);
            }
        }
        return Value::of_bool(!ends_it);
    }
    if (node.op == Operator::kTag) {
        Value tags;
        tags.kind = Value::Kind::kTexts;
        tags.texts = tags_of_run(*context_.bound.runs[row.run]);
        return Value::of_bool(matches(tags, *node.matcher));
    }
    const Value left = compute(node.operands[0], row, wanted);
    if (node.op == Operator::kNot) {
        return Value::of_bool(!left.is_true());
    }
    if (node.op == Operator::kIs || node.op == Operator::kIsNot) {
        return Value::of_bool(is_test(node.op, left, node.value_class));
    }
    if (left.kind == Value::Kind::kMissing) {
        return Value::of_bool(false);
    }
    if (node.op == Operator::kMatches || node.op == Operator::kNotMatches) {
        return Value::of_bool(matches(left, *node.matcher) == (node.op == Operator::kMatches));
    }
    const BoundNode& right_node = plan_.nodes()[node.operands[1]];
    const bool is_literal = right_node.kind == BoundNode::Kind::kLiteral;
    const Value right = is_literal ? Value() : compute(node.operands[1], row, wanted);
    if (!is_literal && right.kind == Value::Kind::kMissing) {
        return Value::of_bool(false);
    }
    if (node.op == Operator::kContains || node.op == Operator::kNotContains) {
        const std::string text = is_literal ? right_node.literal.text.text : right.to_text();
        return Value::of_bool(contains(left, text) == (node.op == Operator::kContains));
    }
    const BoundNode& left_node = plan_.nodes()[node.operands[0]];
    if (left_node.kind == BoundNode::Kind::kLiteral && !is_literal) {
        return Value::of_bool(compare(node.op, left_node.literal.beside(right), right));
    }
    return Value::of_bool(
        compare(node.op, left, is_literal ? right_node.literal.beside(left) : right));
}

Task<Result<Value>> ExpressionEvaluator::evaluate(uint32_t root, ExpressionRow& row) {
    const Status goes_on = context_.check_goes_on();
    if (!goes_on) {
        co_return goes_on.error();
    }
    co_await context_.turns.after(kRowWork);
    while (true) {
        // A condition that is decided early asks for nothing of what follows.
        std::optional<uint32_t> wanted;
        Value value = compute(root, row, wanted);
        if (!wanted) {
            co_return value;
        }
        row.summaries.resize(plan_.sources().size());
        SeriesSummary& found = row.summaries[*wanted].emplace();
        const Status fetched = co_await fetch(plan_.sources()[*wanted], row, found);
        if (!fetched) {
            co_return fetched.error();
        }
    }
}

std::optional<Value> ExpressionEvaluator::evaluate_at_once(uint32_t root, ExpressionRow& row) {
    if (context_.cancelled.load(std::memory_order_relaxed)) {
        return std::nullopt;
    }
    std::optional<uint32_t> wanted;
    Value value = compute(root, row, wanted);
    return wanted ? std::nullopt : std::optional(std::move(value));
}

// Whether what is wanted of a source is known without asking the store to read.
bool ExpressionEvaluator::find_kept(uint32_t wanted, ExpressionRow& row) {
    const ExpressionSource& source = plan_.sources()[wanted];
    const bool is_own = source.metric.empty();
    if (source.at || source.when || (is_own ? own_plan_ : others_plan_) != nullptr ||
        (is_own && row.series->calculation != nullptr)) {
        return false;
    }
    const SelectedRun& selected = *context_.bound.runs[row.run];
    std::optional<SeriesSummary> kept;
    if (is_own || source.has_captures) {
        kept = context_.source.kept_summary(selected.view(),
                                            is_own ? row.series->metric : metric_of(source, row));
    } else {
        KeptSummaries* const listed = find_listed(wanted, selected);
        kept = listed == nullptr ? std::nullopt : listed->find(selected.place, selected.run);
        if (!kept) {
            kept = context_.source.kept_summary(selected.view(), source.metric);
        }
    }
    if (!kept) {
        return false;
    }
    row.summaries.resize(plan_.sources().size());
    row.summaries[wanted] = *kept;
    return true;
}

// Those of a metric of very many runs, likewise.
KeptSummaries* ExpressionEvaluator::find_listed(uint32_t wanted, const SelectedRun& selected) {
    if (selected.place == SelectedRun::kNoPlace) {
        return nullptr;
    }
    const RunList& list = *context_.bound.list;
    listed_summaries_.resize(plan_.sources().size());
    ListedSummaries& listed = listed_summaries_[wanted];
    ++listed.asked;
    const bool is_worth_it = listed.asked == list.runs().size() / kShareAsked + 1;
    if (listed.kept == nullptr && (listed.asked == 1 || is_worth_it)) {
        listed.kept =
            context_.source.kept_summaries(list, plan_.sources()[wanted].metric, is_worth_it);
    }
    return listed.kept.get();
}

Task<Status> ExpressionEvaluator::fetch(const ExpressionSource& source, ExpressionRow& row,
                                        SeriesSummary& found) {
    const SelectedRun& selected = *context_.bound.runs[row.run];
    if (const auto damage = context_.source.damage(selected.view())) {
        co_return make_error(damage->code(), "run {}: {}", selected.run->path(), damage->message());
    }
    Series series;
    if (source.metric.empty()) {
        series = *row.series;
    } else {
        series.run = row.run;
        series.metric = metric_of(source, row);
        const std::optional<Axis> axis =
            context_.source.find_metric(selected.view(), series.metric);
        if (!axis) {
            co_return Status();
        }
        series.axis = *axis;
    }
    found.axis = series.axis;
    Result<Summary> summary = Summary();
    if (source.at) {
        summary = co_await find_at(series, *source.at);
    } else if (source.when) {
        summary = co_await summarize_when(series, *source.when, row);
    } else {
        const Plan* plan = source.metric.empty() ? own_plan_ : others_plan_;
        const Pipeline everything;
        const Pipeline& pipeline = plan == nullptr ? everything : plan->of(series.axis).pipeline;
        summary = co_await summarize(context_, series, pipeline);
    }
    if (!summary) {
        co_return summary.error();
    }
    found.summary = *summary;
    co_return Status();
}

Task<Result<Summary>> ExpressionEvaluator::summarize_when(const Series& series, uint32_t when,
                                                          ExpressionRow row) {
    const std::unique_ptr<SeriesCursor> cursor = make_scan(context_, series, KeyRange());
    row.axis = series.axis;
    Summary summary;
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return summary;
        }
        keep_points(when, row, batch);
        if (batch.size() > 0) {
            summary.append(stepdb::summarize(batch.keys, batch.times, batch.values));
        }
    }
}

Value ExpressionEvaluator::evaluate_point(uint32_t root, ExpressionRow& row, const Points& points,
                                          size_t at, const JoinedMetrics* joined) {
    row.key = points.keys[at];
    row.time_us = points.times[at];
    row.value = points.values[at];
    row.joined = joined;
    row.joined_at = at;
    std::optional<uint32_t> wanted;  // nothing: expressions on points name no statistics
    return compute(root, row, wanted);
}

void ExpressionEvaluator::keep_points(uint32_t condition, ExpressionRow& row, Points& points,
                                      const JoinedMetrics* joined) {
    size_t kept = 0;
    for (size_t i = 0; i < points.size(); ++i) {
        if (evaluate_point(condition, row, points, i, joined).is_true()) {
            points.keys[kept] = points.keys[i];
            points.times[kept] = points.times[i];
            points.values[kept] = points.values[i];
            ++kept;
        }
    }
    points.keys.resize(kept);
    points.times.resize(kept);
    points.values.resize(kept);
}

void ExpressionEvaluator::append_notes() {
    size_t notes = 0;
    size_t left_out = 0;
    for (const auto& [damage, uncounted] : uncounted_) {
        if (++notes > kNotesMax) {
            left_out += uncounted.runs;
            continue;
        }
        const size_t others = uncounted.runs - 1;
        context_.notes.push_back(fmt::format(
            "the metrics of run {}{} cannot be counted: {}", uncounted.first_run,
            others == 0 ? "" : fmt::format(" and {} other{}", others, others == 1 ? "" : "s"),
            damage));
    }
    if (left_out != 0) {
        context_.notes.push_back(
            fmt::format("nor can those of {} more runs, for like reasons", left_out));
    }
    uncounted_.clear();
}

}  // namespace stepdb
