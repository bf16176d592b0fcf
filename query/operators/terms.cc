#include "query/operators/terms.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "engine/base/text.h"
#include "engine/query_memory.h"
#include "query/operators/calculation.h"
#include "query/resolve.h"

namespace stepdb {

namespace {

// How tightly the parts of a name hold together that is put together of others.
enum class Binding : uint8_t { kSum, kProduct, kAtom };

// What an operand is: a number, or series.
struct Operand {
    std::optional<double> number;
    std::vector<Series> series;
    Binding binding = Binding::kAtom;
    SourceSpan span;

    bool goes_with_all() const { return number || series.size() == 1; }
};

std::string_view sign_of(Operator op) {
    switch (op) {
        case Operator::kAdd:
            return "+";
        case Operator::kSubtract:
            return "-";
        case Operator::kMultiply:
            return "*";
        case Operator::kDivide:
            return "/";
        default:
            return "%";
    }
}

// The names of captures that all of the series have.
std::set<std::string> capture_names(const std::vector<Series>& all) {
    std::set<std::string> names;
    for (size_t i = 0; i < all.size(); ++i) {
        std::set<std::string> own;
        for (const Capture& capture : all[i].captures) {
            if (i == 0 || names.contains(capture.name)) {
                own.insert(capture.name);
            }
        }
        names = std::move(own);
    }
    return names;
}

// Makes the series of one query's terms.
class TermSelector {
  public:
    TermSelector(ExecutionContext& context, const SeriesQuery& query)
        : context_(context),
          query_(query),
          scope_(context.bound.scopes[query.scope]),
          charge_(context.memory) {}

    Task<Result<std::vector<Series>>> select();

  private:
    Result<std::vector<Series>> select_patterns(const std::vector<Pattern>& patterns);
    Task<Result<std::vector<Series>>> select_term(const Term& term);
    Task<Result<Operand>> evaluate(const Term& term, uint32_t at);
    Task<Result<Operand>> resolve_parentheses(const TermNode& node);
    Result<Operand> hold(Operand operand);
    Result<Operand> combine(const TermNode& node, Operand left, Operand right);
    Result<Operand> pair(const TermNode& node, const Operand& left, const Operand& right);
    Result<Series> calculate(const TermNode& node, const Operand& left, const Series* a,
                             const Operand& right, const Series* b);
    Status charge(const Series& made);
    Error too_many(const TermNode& node, const Series& a, const Operand& left,
                   const Operand& right) const;
    void name_series(const Term& term, std::vector<Series>& all) const;
    std::string written(SourceSpan span) const {
        return printable(context_.bound.query.text.substr(span.offset, span.bytes), 80);
    }

    ExecutionContext& context_;
    const SeriesQuery& query_;
    RunScope scope_;
    size_t bytes_ = 0;     // of calculated series
    MemoryCharge charge_;  // bytes_, in steps; goes with the series
};

// A calculated series holds those that it is calculated of.
Status TermSelector::charge(const Series& made) {
    constexpr size_t kStep = 64U << 10U;
    bytes_ += sizeof(Series) + sizeof(Calculation) + 2 * made.metric.size();
    for (const Series& operand : made.calculation->operands) {
        bytes_ += sizeof(Series) + operand.metric.size();
    }
    return bytes_ > charge_.bytes() ? charge_query_memory(charge_, bytes_ + kStep) : Status();
}

Result<std::vector<Series>> TermSelector::select_patterns(const std::vector<Pattern>& patterns) {
    TRY_ASSIGN(Selection selected,
               select_series(context_.bound, scope_, patterns, context_.source, context_.memory));
    context_.notes.insert(context_.notes.end(), selected.notes.begin(), selected.notes.end());
    context_.name_charges.push_back(std::move(selected.charge));
    return std::move(selected.series);
}

Task<Result<std::vector<Series>>> TermSelector::select() {
    // Patterns that select a metric twice select it once.
    std::vector<Pattern> patterns;
    for (const Term& term : query_.terms) {
        if (term.pattern() != nullptr && term.name.empty()) {
            patterns.push_back(*term.pattern());
        }
    }
    std::vector<Series> all;
    if (!patterns.empty()) {
        Result<std::vector<Series>> plain = select_patterns(patterns);
        if (!plain || patterns.size() == query_.terms.size()) {
            co_return plain;
        }
        all = *std::move(plain);
    }
    for (const Term& term : query_.terms) {
        if (term.pattern() != nullptr && term.name.empty()) {
            continue;
        }
        Result<std::vector<Series>> made = co_await select_term(term);
        if (!made) {
            co_return made;
        }
        std::ranges::move(*made, std::back_inserter(all));
    }
    std::ranges::stable_sort(all, stands_before);
    context_.name_charges.push_back(std::move(charge_));
    co_return all;
}

Task<Result<std::vector<Series>>> TermSelector::select_term(const Term& term) {
    Result<Operand> made = co_await evaluate(term, term.root);
    if (!made) {
        co_return made.error();
    }
    if (made->number) {
        co_return query_error(context_.bound.query.text, term.span,
                              "numbers alone have no points; calculate with a metric");
    }
    name_series(term, made->series);
    co_return std::move(made->series);
}

// As `as` says. What would have the same name in one run is told apart by its captures.
void TermSelector::name_series(const Term& term, std::vector<Series>& all) const {
    if (term.name.empty()) {
        return;
    }
    std::map<std::pair<std::string, std::string>, size_t> uses;
    for (Series& series : all) {
        series.name = fill_captures(term.name, series.captures);
        ++uses[{run_label(context_.bound, series), series.name}];
    }
    for (Series& series : all) {
        if (uses[{run_label(context_.bound, series), series.name}] < 2) {
            continue;
        }
        std::vector<std::string_view> told;
        for (const Capture& capture : series.captures) {
            told.push_back(capture.text);
        }
        series.name += told.empty() ? fmt::format("[{}]", series.metric)
                                    : fmt::format("[{}]", fmt::join(told, ","));
    }
}

Task<Result<Operand>> TermSelector::evaluate(const Term& term, uint32_t at) {
    const TermNode& node = term.nodes[at];
    Operand operand;
    operand.span = node.span;
    switch (node.kind) {
        case TermNode::Kind::kNumber:
            operand.number = node.number;
            co_return operand;
        case TermNode::Kind::kMetrics: {
            Result<std::vector<Series>> selected = select_patterns({node.metrics});
            if (!selected) {
                co_return selected.error();
            }
            operand.series = *std::move(selected);
            co_return operand;
        }
        case TermNode::Kind::kQuery:
            co_return co_await resolve_parentheses(node);
        case TermNode::Kind::kHold: {
            Result<Operand> held = co_await evaluate(term, node.operands[0]);
            if (!held) {
                co_return held;
            }
            co_return hold(*std::move(held));
        }
        case TermNode::Kind::kOperator:
            break;
    }
    Result<Operand> left = co_await evaluate(term, node.operands[0]);
    if (!left) {
        co_return left;
    }
    Result<Operand> right = co_await evaluate(term, node.operands[1]);
    if (!right) {
        co_return right;
    }
    co_return combine(node, *std::move(left), *std::move(right));
}

Task<Result<Operand>> TermSelector::resolve_parentheses(const TermNode& node) {
    Result<ResolvedSeries> resolved = co_await resolve_series(context_, *node.query);
    if (!resolved) {
        co_return resolved.error();
    }
    Operand operand;
    operand.span = node.span;
    const auto is_calculated = [](const Series& series) {
        return series.calculation != nullptr && series.name.empty();
    };
    operand.binding =
        std::ranges::any_of(resolved->series, is_calculated) ? Binding::kSum : Binding::kAtom;
    for (Series& series : resolved->series) {
        const Pipeline& pipeline = resolved->plan.of(series.axis).pipeline;
        if (pipeline.steps.empty() && pipeline.scan.first == kKeyMin &&
            pipeline.scan.last == kKeyMax) {
            operand.series.push_back(std::move(series));
            continue;
        }
        auto calculation = std::make_shared<Calculation>();
        calculation->kind = Calculation::Kind::kStages;
        calculation->pipeline = pipeline;
        Series made = series;
        made.metric = series.shown_metric();
        made.name.clear();
        calculation->operands.push_back(std::move(series));
        made.calculation = std::move(calculation);
        const Status charged = charge(made);
        if (!charged) {
            co_return charged.error();
        }
        operand.series.push_back(std::move(made));
    }
    co_return operand;
}

Result<Operand> TermSelector::hold(Operand operand) {
    if (operand.number) {
        return query_error(context_.bound.query.text, operand.span,
                           "a number needs no `hold`: it stands everywhere");
    }
    for (Series& series : operand.series) {
        auto calculation = std::make_shared<Calculation>();
        calculation->kind = Calculation::Kind::kHold;
        Series made = series;
        made.metric = fmt::format("hold({})", series.shown_metric());
        made.name.clear();
        calculation->operands.push_back(std::move(series));
        made.calculation = std::move(calculation);
        TRY(charge(made));
        series = std::move(made);
    }
    operand.binding = Binding::kAtom;
    return operand;
}

Result<Operand> TermSelector::combine(const TermNode& node, Operand left, Operand right) {
    Operand made;
    if (left.number && right.number) {
        made.number = apply_operator(node.op, *left.number, *right.number);
    } else if (left.goes_with_all() || right.goes_with_all()) {
        const bool is_right_one = !left.number && right.goes_with_all();
        const Operand& one = is_right_one ? right : left;
        const Series* other = one.number ? nullptr : one.series.data();
        for (const Series& series : (is_right_one ? left : right).series) {
            TRY_ASSIGN(Series calculated, is_right_one
                                              ? calculate(node, left, &series, right, other)
                                              : calculate(node, left, other, right, &series));
            made.series.push_back(std::move(calculated));
        }
    } else {
        TRY_ASSIGN(made, pair(node, left, right));
    }
    made.span = node.span;
    made.binding = node.op == Operator::kAdd || node.op == Operator::kSubtract ? Binding::kSum
                                                                               : Binding::kProduct;
    return made;
}

// Series go together that are of one run and agree in the captures that both sides have.
Result<Operand> TermSelector::pair(const TermNode& node, const Operand& left,
                                   const Operand& right) {
    std::vector<std::string> shared;
    std::ranges::set_intersection(capture_names(left.series), capture_names(right.series),
                                  std::back_inserter(shared));
    const auto key_of = [&](const Series& series) {
        std::string key = run_label(context_.bound, series);
        for (const std::string& name : shared) {
            key += '\n';
            key += *series.find_capture(name);
        }
        return key;
    };
    std::unordered_map<std::string, std::vector<const Series*>> partners;
    for (const Series& series : right.series) {
        partners[key_of(series)].push_back(&series);
    }
    std::unordered_map<std::string, size_t> uses;
    Operand made;
    size_t alone = 0;
    for (const Series& series : left.series) {
        const std::string key = key_of(series);
        const auto found = partners.find(key);
        if (found == partners.end()) {
            ++alone;
            continue;
        }
        if (++uses[key] > 1 && found->second.size() > 1) {
            return too_many(node, series, left, right);
        }
        for (const Series* partner : found->second) {
            TRY_ASSIGN(Series calculated, calculate(node, left, &series, right, partner));
            made.series.push_back(std::move(calculated));
        }
    }
    for (const auto& [key, each] : partners) {
        alone += uses.contains(key) ? 0 : each.size();
    }
    if (alone > 0) {
        context_.notes.push_back(
            fmt::format("{} series of '{}' were left out: {} no partner of the same run{}", alone,
                        written(node.span), alone == 1 ? "it has" : "they have",
                        shared.empty() ? std::string()
                                       : fmt::format(" and {{{}}}", fmt::join(shared, "}, {"))));
    }
    return made;
}

Error TermSelector::too_many(const TermNode& node, const Series& a, const Operand& left,
                             const Operand& right) const {
    return query_error(
        context_.bound.query.text, node.span,
        fmt::format("in run {} several series of '{}' meet several of '{}'; name what they have in "
                    "common on both sides with a capture, as in layers/{{l}}/a / layers/{{l}}/b",
                    run_label(context_.bound, a), written(left.span), written(right.span)));
}

// Null for a number.
Result<Series> TermSelector::calculate(const TermNode& node, const Operand& left, const Series* a,
                                       const Operand& right, const Series* b) {
    if (a != nullptr && b != nullptr && a->axis != b->axis) {
        const bool is_a = a->axis == Axis::kStepped;
        return query_error(
            context_.bound.query.text, node.span,
            fmt::format("'{}' has steps and '{}' has only times: they have no keys in common",
                        printable((is_a ? a : b)->shown_metric()),
                        printable((is_a ? b : a)->shown_metric())));
    }
    auto calculation = std::make_shared<Calculation>();
    calculation->kind = Calculation::Kind::kOperator;
    calculation->op = node.op;
    // The one whose run and place in the order it takes: of two that differ the one that is one of
    // several.
    const Series& like =
        b == nullptr || (a != nullptr && left.series.size() >= right.series.size()) ? *a : *b;
    Series made;
    made.run = like.run;
    made.run_label = like.run_label;
    made.axis = like.axis;
    std::vector<std::string> names;
    const Binding own = node.op == Operator::kAdd || node.op == Operator::kSubtract
                            ? Binding::kSum
                            : Binding::kProduct;
    for (const bool is_left : {true, false}) {
        const Operand& operand = is_left ? left : right;
        const Series* series = is_left ? a : b;
        Series used;
        if (series == nullptr) {
            auto constant = std::make_shared<Calculation>();
            constant->number = *operand.number;
            used.calculation = std::move(constant);
            used.metric = format_value(*operand.number);
        } else {
            used = *series;
        }
        const bool is_loose = operand.binding < own || (!is_left && operand.binding == own);
        names.push_back(is_loose ? fmt::format("({})", used.shown_metric()) : used.shown_metric());
        for (const Capture& capture : used.captures) {
            if (made.find_capture(capture.name) == nullptr) {
                made.captures.push_back(capture);
            }
        }
        calculation->operands.push_back(std::move(used));
    }
    std::ranges::sort(made.captures, {}, &Capture::name);
    const bool are_both_one =
        a != nullptr && b != nullptr && left.series.size() == 1 && right.series.size() == 1;
    if (are_both_one && run_label(context_.bound, *a) != run_label(context_.bound, *b)) {
        made.run_label = fmt::format("{} {} {}", run_label(context_.bound, *a), sign_of(node.op),
                                     run_label(context_.bound, *b));
    }
    made.metric = fmt::format("{} {} {}", names[0], sign_of(node.op), names[1]);
    made.calculation = std::move(calculation);
    TRY(charge(made));
    return made;
}

}  // namespace

Task<Result<std::vector<Series>>> select_terms(ExecutionContext& context,
                                               const SeriesQuery& query) {
    TermSelector selector(context, query);
    co_return co_await selector.select();
}

}  // namespace stepdb
