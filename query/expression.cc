#include "query/expression.h"

#include <algorithm>
#include <array>
#include <map>

#include "engine/base/text.h"
#include "query/expression_words.h"
#include "query/literals.h"
#include "query/token_reader.h"

namespace stepdb {

namespace {

struct NamedField {
    std::string_view name;
    RowField field;
    ValueType type;
};
constexpr std::array<NamedField, 10> kFields = {{
    {"run", RowField::kRun, ValueType::kText},
    {"project", RowField::kProject, ValueType::kText},
    {"name", RowField::kName, ValueType::kText},
    {"state", RowField::kState, ValueType::kText},
    {"created", RowField::kCreated, ValueType::kTime},
    {"attempts", RowField::kAttempts, ValueType::kCount},
    {"metrics", RowField::kMetrics, ValueType::kCount},
    {"tags", RowField::kTags, ValueType::kTexts},
    {"metric", RowField::kMetric, ValueType::kText},
    {"axis", RowField::kAxis, ValueType::kText},
}};

bool is_of_series(RowField field) {
    return field == RowField::kMetric || field == RowField::kAxis;
}

const NamedField* find_field(std::string_view name, ExpressionScope scope) {
    const auto at = std::ranges::find(kFields, name, &NamedField::name);
    const bool is_there =
        at != kFields.end() && (!is_of_series(at->field) || scope == ExpressionScope::kSeries);
    return is_there ? &*at : nullptr;
}

// Of those that the server keeps; what users set can be anything.
ValueType type_of_attribute(std::string_view name) {
    if (name == "sys/created" || name == "sys/last_write") {
        return ValueType::kTime;
    }
    if (name == "sys/attempt" || name == "sys/writers") {
        return ValueType::kNumber;
    }
    return name == "sys/fork_step" ? ValueType::kStep : ValueType::kAny;
}

ValueType type_of_statistic(PointStatistic statistic, PointPart part) {
    if (part == PointPart::kStep) {
        return ValueType::kStep;
    }
    if (part == PointPart::kTime) {
        return ValueType::kTime;
    }
    return statistic <= PointStatistic::kNegativeInfinity ? ValueType::kCount : ValueType::kNumber;
}

std::string_view type_words(ValueType type) {
    switch (type) {
        case ValueType::kAny:
            return "a value";
        case ValueType::kBool:
            return "true or false";
        case ValueType::kNumber:
        case ValueType::kCount:
        case ValueType::kStep:
            return "a number";
        case ValueType::kTime:
            return "a time";
        case ValueType::kText:
            return "a text";
        case ValueType::kTexts:
            return "a set";
    }
    return "a value";
}

// Kinds of numbers compare and calculate with each other.
ValueType family(ValueType type) {
    return type == ValueType::kCount || type == ValueType::kStep ? ValueType::kNumber : type;
}

bool is_condition_operator(Operator op) {
    return op < Operator::kAdd;
}

const std::vector<std::string>& state_names() {
    static const std::vector<std::string> names = {"running", "finished", "failed", "stale"};
    return names;
}

}  // namespace

// Binds one expression.
class ExpressionBinder {
  public:
    ExpressionBinder(ExpressionPlan& plan, const Expression& expression, ExpressionScope scope)
        : plan_(plan), expression_(expression), scope_(scope) {}

    // A node that several name, as those of `in` do, is bound once.
    Result<uint32_t> bind(uint32_t node) {
        const auto at = bound_.find(node);
        if (at != bound_.end()) {
            return at->second;
        }
        TRY_ASSIGN(const uint32_t bound, bind_new(node));
        bound_.emplace(node, bound);
        return bound;
    }

  private:
    Result<uint32_t> bind_new(uint32_t node) {
        const ExpressionNode& written = expression_.nodes[node];
        BoundNode bound;
        bound.span = written.span;
        if (const auto* literal = std::get_if<LiteralTerm>(&written.what)) {
            bound.literal = read_literal(literal->text, literal->quoted, plan_.now_us_);
            return add(std::move(bound));
        }
        if (const auto* name = std::get_if<NameTerm>(&written.what)) {
            return bind_name(*name, std::move(bound));
        }
        if (const auto* statistic = std::get_if<StatisticTerm>(&written.what)) {
            return bind_statistic(*statistic, std::move(bound));
        }
        if (const auto* at = std::get_if<AtTerm>(&written.what)) {
            return bind_at(*at, std::move(bound));
        }
        return bind_operator(std::get<OperatorTerm>(written.what), std::move(bound));
    }
    Result<uint32_t> bind_name(const NameTerm& name, BoundNode bound);
    bool bind_joined(const NameTerm& name, BoundNode& bound);
    bool bind_point(std::string_view name, BoundNode& bound) const;
    Result<uint32_t> bind_statistic(const StatisticTerm& term, BoundNode bound);
    Result<uint32_t> bind_at(const AtTerm& term, BoundNode bound);
    Result<uint32_t> bind_operator(const OperatorTerm& term, BoundNode bound);
    bool names_beside_metric(const std::vector<uint32_t>& before, const BoundNode& node) const;
    bool is_quoted(const BoundNode& node) const {
        const char first = plan_.query_text_[node.span.offset];
        return first == '"' || first == '\'';
    }
    Status check_operands(const BoundNode& bound) const;
    Status check_calculation(const BoundNode& bound) const;
    Status check_comparison(const BoundNode& bound) const;
    Status check_literal(const BoundNode& bound, const BoundNode& value,
                         const BoundNode& literal) const;
    Status check_texts(const BoundNode& bound) const;
    uint32_t add_source(ExpressionSource source);
    uint32_t add(BoundNode bound) {
        plan_.nodes_.push_back(std::move(bound));
        return static_cast<uint32_t>(plan_.nodes_.size() - 1);
    }
    const BoundNode& at(uint32_t node) const { return plan_.nodes_[node]; }
    Error error_at(SourceSpan span, std::string_view message) const {
        return query_error(plan_.query_text_, span, message);
    }
    std::string written(SourceSpan span) const {
        return std::string(plan_.query_text_.substr(span.offset, span.bytes));
    }
    std::string written(const BoundNode& bound) const { return printable(written(bound.span), 80); }

    ExpressionPlan& plan_;
    const Expression& expression_;
    ExpressionScope scope_;
    std::map<uint32_t, uint32_t> bound_;   // by what was written
    bool is_asked_for_existence_ = false;  // what is bound is under `exists` or `is missing`
};

Result<uint32_t> ExpressionBinder::bind_name(const NameTerm& name, BoundNode bound) {
    if (scope_ == ExpressionScope::kPoint && bind_joined(name, bound)) {
        return add(std::move(bound));
    }
    if (!name.is_attribute) {
        if (bind_point(name.text, bound)) {
            return add(std::move(bound));
        }
        const auto alias =
            std::ranges::find(plan_.aliases_, name.text, &std::pair<std::string, uint32_t>::first);
        if (alias != plan_.aliases_.end() && scope_ != ExpressionScope::kPoint) {
            return alias->second;
        }
        if (const NamedField* field = find_field(name.text, scope_)) {
            bound.kind = BoundNode::Kind::kField;
            bound.field = field->field;
            bound.type = field->type;
            return add(std::move(bound));
        }
        if (scope_ == ExpressionScope::kSeries &&
            split_statistic(name.text, bound.statistic, bound.part)) {
            bound.kind = BoundNode::Kind::kStatistic;
            bound.type = type_of_statistic(bound.statistic, bound.part);
            bound.source = add_source(ExpressionSource());
            return add(std::move(bound));
        }
    }
    bound.kind = BoundNode::Kind::kAttribute;
    bound.attribute = name.text;
    bound.scope = scope_;
    bound.type = type_of_attribute(name.text);
    bound.is_required = !is_asked_for_existence_;
    return add(std::move(bound));
}

// A metric's name, where a point is meant and nothing else is called so.
bool ExpressionBinder::bind_joined(const NameTerm& name, BoundNode& bound) {
    BoundNode other;
    const bool can_be = !name.is_attribute || name.is_quoted || name.is_held;
    const bool is_taken = !name.is_attribute && (bind_point(name.text, other) ||
                                                 find_field(name.text, scope_) != nullptr);
    const bool is_metric = plan_.is_metric_ && plan_.is_metric_(name.text);
    if (!can_be || is_taken || (!is_metric && !name.is_held)) {
        return false;
    }
    const auto same = [&](const JoinedMetric& joined) {
        return joined.metric == name.text && joined.is_held == name.is_held;
    };
    const auto at = std::ranges::find_if(plan_.joined_, same);
    bound.kind = BoundNode::Kind::kJoined;
    bound.type = ValueType::kNumber;
    bound.source = static_cast<uint32_t>(at - plan_.joined_.begin());
    if (at == plan_.joined_.end()) {
        plan_.joined_.push_back({name.text, name.is_held, bound.span});
    }
    return true;
}

// `value`, `step`, `time` or `elapsed`, where a point is meant.
bool ExpressionBinder::bind_point(std::string_view name, BoundNode& bound) const {
    if (scope_ != ExpressionScope::kPoint) {
        return false;
    }
    constexpr std::array<std::string_view, 3> kParts = {"value", "step", "time"};
    if (name == "elapsed" && plan_.is_metric_) {
        bound.kind = BoundNode::Kind::kElapsed;
        bound.type = ValueType::kNumber;
        return true;
    }
    const auto at = std::ranges::find(kParts, name);
    if (at == kParts.end()) {
        return false;
    }
    bound.kind = BoundNode::Kind::kPoint;
    bound.part = static_cast<PointPart>(at - kParts.begin());
    bound.type = bound.part == PointPart::kTime   ? ValueType::kTime
                 : bound.part == PointPart::kStep ? ValueType::kStep
                                                  : ValueType::kNumber;
    return true;
}

Result<uint32_t> ExpressionBinder::bind_statistic(const StatisticTerm& term, BoundNode bound) {
    ExpressionSource source;
    source.metric = term.metric.text;
    source.span = term.metric.span;
    source.has_captures = term.metric.kind == PatternKind::kGlob;
    source.is_required = !is_asked_for_existence_ && !source.has_captures;
    if (term.when) {
        const ExpressionScope outer = std::exchange(scope_, ExpressionScope::kPoint);
        const bool existence = std::exchange(is_asked_for_existence_, false);
        TRY_ASSIGN(source.when, bind(*term.when));
        scope_ = outer;
        is_asked_for_existence_ = existence;
        source.text = written(join_spans(source.span, expression_.nodes[*term.when].span));
    }
    bound.kind = BoundNode::Kind::kStatistic;
    bound.statistic = term.statistic;
    bound.part = term.part;
    bound.type = type_of_statistic(term.statistic, term.part);
    bound.source = add_source(std::move(source));
    return add(std::move(bound));
}

Result<uint32_t> ExpressionBinder::bind_at(const AtTerm& term, BoundNode bound) {
    ExpressionSource source;
    source.metric = term.metric.text;
    source.span = term.metric.span;
    source.has_captures = term.metric.kind == PatternKind::kGlob;
    source.is_required = !is_asked_for_existence_ && !source.has_captures;
    AtPlace place;
    place.axis = term.axis;
    if (term.axis == AtTerm::Axis::kTime) {
        const LiteralValue literal = read_literal(term.place.text, false, plan_.now_us_);
        if (literal.time.kind == Value::Kind::kMissing) {
            const Result<int64_t> moment = parse_moment(term.place.text);
            return error_at(term.place_span, moment ? "expected a time" : moment.error().message());
        }
        place.time_us = literal.time.integer;
    } else {
        const Result<double> number = parse_number(term.place.text);
        if (!number) {
            return error_at(term.place_span, number.error().message());
        }
        place.number = *number;
    }
    if (term.axis == AtTerm::Axis::kMetric) {
        place.metric = term.axis_metric.text;
        // Of its own, so that a misspelled axis is found; nothing reads it.
        ExpressionSource axis;
        axis.metric = place.metric;
        axis.span = term.axis_metric.span;
        axis.is_required = source.is_required;
        add_source(std::move(axis));
    }
    source.at = std::move(place);
    source.text = written(join_spans(source.span, term.place_span));
    bound.kind = BoundNode::Kind::kStatistic;
    bound.statistic = PointStatistic::kFirst;
    bound.part = term.part;
    bound.type = type_of_statistic(bound.statistic, bound.part);
    bound.source = add_source(std::move(source));
    return add(std::move(bound));
}

// Whether it is a word, and no number, that stands beside another metric of the run: a name.
bool ExpressionBinder::names_beside_metric(const std::vector<uint32_t>& before,
                                           const BoundNode& node) const {
    return before.size() == 1 && at(before[0]).kind == BoundNode::Kind::kJoined &&
           node.kind == BoundNode::Kind::kLiteral && !node.literal.number.is_there() &&
           !may_be_number(node.literal.text.text) && !is_quoted(node);
}

// The one that is there already, if it says the same.
uint32_t ExpressionBinder::add_source(ExpressionSource source) {
    for (uint32_t i = 0; i < plan_.sources_.size(); ++i) {
        ExpressionSource& other = plan_.sources_[i];
        if (other.text == source.text && other.metric == source.metric) {
            other.is_required = other.is_required || source.is_required;
            return i;
        }
    }
    plan_.sources_.push_back(std::move(source));
    return static_cast<uint32_t>(plan_.sources_.size() - 1);
}

Result<uint32_t> ExpressionBinder::bind_operator(const OperatorTerm& term, BoundNode bound) {
    const bool asks_existence = (term.op == Operator::kIs || term.op == Operator::kIsNot) &&
                                term.value_class == ValueClass::kMissing;
    const bool outer = std::exchange(is_asked_for_existence_, asks_existence);
    for (const uint32_t operand : term.operands) {
        TRY_ASSIGN(uint32_t node, bind(operand));
        if (names_beside_metric(bound.operands, at(node))) {
            BoundNode name;
            name.span = at(node).span;
            TRY_ASSIGN(node, bind_name(NameTerm{at(node).literal.text.text}, std::move(name)));
        }
        bound.operands.push_back(node);
    }
    is_asked_for_existence_ = outer;
    bound.kind = BoundNode::Kind::kOperator;
    bound.op = term.op;
    bound.value_class = term.value_class;
    bound.type = is_condition_operator(term.op) ? ValueType::kBool : ValueType::kNumber;
    if (!term.pattern.text.empty()) {
        TRY_ASSIGN(NameMatcher matcher, NameMatcher::compile(term.pattern, plan_.query_text_));
        bound.matcher = std::make_shared<const NameMatcher>(std::move(matcher));
    }
    TRY(check_operands(bound));
    return add(std::move(bound));
}

Status ExpressionBinder::check_operands(const BoundNode& bound) const {
    if (!is_condition_operator(bound.op)) {
        return check_calculation(bound);
    }
    if (bound.op >= Operator::kEqual && bound.op <= Operator::kGreaterEqual) {
        return check_comparison(bound);
    }
    if (bound.op >= Operator::kContains && bound.op <= Operator::kNotMatches) {
        return check_texts(bound);
    }
    const bool asks_number = (bound.op == Operator::kIs || bound.op == Operator::kIsNot) &&
                             bound.value_class >= ValueClass::kNan;
    if (asks_number) {
        const ValueType type = family(at(bound.operands[0]).type);
        if (type != ValueType::kAny && type != ValueType::kNumber) {
            return error_at(bound.span,
                            fmt::format("only numbers are nan, pinf, ninf or finite, "
                                        "and '{}' is {}",
                                        written(at(bound.operands[0])), type_words(type)));
        }
    }
    return {};
}

// Numbers, and of times the difference.
Status ExpressionBinder::check_calculation(const BoundNode& bound) const {
    const BoundNode& left = at(bound.operands[0]);
    const BoundNode& right = at(bound.operands[1]);
    const bool is_difference = bound.op == Operator::kSubtract;
    for (const BoundNode* operand : {&left, &right}) {
        const ValueType type = family(operand->type);
        const bool is_time = type == ValueType::kTime;
        if (type != ValueType::kAny && type != ValueType::kNumber && !(is_time && is_difference)) {
            return error_at(
                operand->span,
                fmt::format("'{}' is {}; only numbers are calculated with{}", written(*operand),
                            type_words(type),
                            is_time ? ", and times are subtracted from each other" : ""));
        }
    }
    const bool mixed = (left.type == ValueType::kTime) != (right.type == ValueType::kTime) &&
                       left.type != ValueType::kAny && right.type != ValueType::kAny;
    if (mixed) {
        return error_at(bound.span, "a time is subtracted from another one, which gives seconds");
    }
    return {};
}

Status ExpressionBinder::check_comparison(const BoundNode& bound) const {
    const BoundNode& left = at(bound.operands[0]);
    const BoundNode& right = at(bound.operands[1]);
    if (right.kind == BoundNode::Kind::kLiteral) {
        return check_literal(bound, left, right);
    }
    if (left.kind == BoundNode::Kind::kLiteral) {
        return check_literal(bound, right, left);
    }
    const ValueType a = family(left.type);
    const ValueType b = family(right.type);
    if (a != ValueType::kAny && b != ValueType::kAny && a != b) {
        return error_at(bound.span,
                        fmt::format("'{}' is {}, and '{}' is {}: they do not compare",
                                    written(left), type_words(a), written(right), type_words(b)));
    }
    return {};
}

// A literal must be readable as what it is compared with, where that is known.
Status ExpressionBinder::check_literal(const BoundNode& bound, const BoundNode& value,
                                       const BoundNode& literal) const {
    const std::string& text = literal.literal.text.text;
    const ValueType type = family(value.type);
    if (type == ValueType::kNumber && !literal.literal.number.is_there()) {
        const Result<double> number = parse_number(text);
        return error_at(literal.span,
                        fmt::format("'{}' is a number; {}{}", written(value),
                                    number ? "write the one beside it without quotes"
                                           : number.error().message(),
                                    text == "nan" || text == "NaN"
                                        ? fmt::format("; did you mean '{} is nan'?", written(value))
                                        : std::string()));
    }
    if (type == ValueType::kTime && !literal.literal.time.is_there()) {
        const Result<int64_t> moment = parse_moment(text);
        return error_at(literal.span, fmt::format("'{}' is a time; {}", written(value),
                                                  moment ? "write the one beside it without quotes"
                                                         : moment.error().message()));
    }
    if (type == ValueType::kTexts) {
        return error_at(bound.span,
                        fmt::format("'{}' is a set; ask what is in it, as in {} contains {}",
                                    written(value), written(value), printable(text, 80)));
    }
    if (value.kind == BoundNode::Kind::kField && value.field == RowField::kState &&
        std::ranges::find(state_names(), text) == state_names().end()) {
        return error_at(
            literal.span,
            fmt::format("expected a state ({}), found '{}'{}", fmt::join(state_names(), ", "),
                        printable(text, 80), did_you_mean(text, state_names())));
    }
    return {};
}

// `contains` and patterns are about texts and sets of them.
Status ExpressionBinder::check_texts(const BoundNode& bound) const {
    const BoundNode& left = at(bound.operands[0]);
    const ValueType type = family(left.type);
    if (type == ValueType::kNumber || type == ValueType::kTime) {
        return error_at(left.span, fmt::format("'{}' is {}; expected a text or a set before "
                                               "`contains` or a pattern",
                                               written(left), type_words(type)));
    }
    return {};
}

Result<uint32_t> ExpressionPlan::add(const Expression& expression, ExpressionScope scope) {
    return ExpressionBinder(*this, expression, scope).bind(expression.root);
}

uint32_t ExpressionPlan::add_field(RowField field) {
    BoundNode bound;
    bound.kind = BoundNode::Kind::kField;
    bound.field = field;
    bound.type = std::ranges::find(kFields, field, &NamedField::field)->type;
    nodes_.push_back(std::move(bound));
    return static_cast<uint32_t>(nodes_.size() - 1);
}

std::vector<std::string> field_names(ExpressionScope scope) {
    std::vector<std::string> names;
    for (const NamedField& each : kFields) {
        if (find_field(each.name, scope) != nullptr) {
            names.emplace_back(each.name);
        }
    }
    if (scope == ExpressionScope::kSeries) {
        for (const std::string_view word : point_statistic_names()) {
            names.emplace_back(word);
            PointStatistic statistic = PointStatistic::kCount;
            PointPart part = PointPart::kValue;
            for (const std::string_view suffix : {".step", ".time"}) {
                const std::string whole = fmt::format("{}{}", word, suffix);
                if (split_statistic(whole, statistic, part)) {
                    names.push_back(whole);
                }
            }
        }
    }
    if (scope == ExpressionScope::kPoint) {
        names.insert(names.end(), {"value", "step", "time", "elapsed"});
    }
    return names;
}

}  // namespace stepdb
