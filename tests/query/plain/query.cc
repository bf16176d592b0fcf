#include "tests/query/plain/query.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/query/plain/world.h"

namespace stepdb::plain {

namespace {

std::string print_moment(double time_us) {
    return fmt::format("{}us", static_cast<int64_t>(time_us));
}

}  // namespace

std::string Expression::print() const {
    switch (kind) {
        case Kind::kNumber:
            return plain::print(number);
        case Kind::kMoment:
            return print_moment(number);
        case Kind::kText:
        case Kind::kName:
        case Kind::kStatistic:
            return name;
        case Kind::kHold:
            return fmt::format("hold({})", name);
        case Kind::kOfMetric:
            return fmt::format("{}({})", name, metric);
        case Kind::kCalculate:
            return fmt::format("({} {} {})", operands[0].print(), name, operands[1].print());
        case Kind::kCompare:
            return fmt::format("{} {} {}", operands[0].print(), name, operands[1].print());
        case Kind::kIs:
            return fmt::format("{} is {}{}", operands[0].print(), negated ? "not " : "", name);
        case Kind::kAnd:
            return fmt::format("({} and {})", operands[0].print(), operands[1].print());
        case Kind::kOr:
            return fmt::format("({} or {})", operands[0].print(), operands[1].print());
        case Kind::kNot:
            return fmt::format("not ({})", operands[0].print());
    }
    return {};
}

std::string Stage::print() const {
    const auto end = [&](const std::optional<double>& at) {
        return !at ? std::string() : kind == Kind::kTime ? print_moment(*at) : plain::print(*at);
    };
    switch (kind) {
        case Kind::kSteps:
            return fmt::format("steps {}..{}", end(from), end(to));
        case Kind::kTime:
            return fmt::format("time {}..{}", end(from), end(to));
        case Kind::kFirst:
            return fmt::format("first {}", number);
        case Kind::kLast:
            return fmt::format("last {}", number);
        case Kind::kWhen:
            return "when " + expression.print();
        case Kind::kEma:
            return fmt::format("ema {}", number);
        case Kind::kMoving:
            return fmt::format("moving {} {}", word, number);
        case Kind::kDiff:
            return "diff";
        case Kind::kRate:
            return word.empty() ? "rate" : "rate " + word;
        case Kind::kZscore:
            return fmt::format("zscore {}", number);
        case Kind::kEvery:
            return fmt::format("every {}{}{}",
                               is_duration ? print_moment(number) : plain::print(number),
                               word.empty() ? "" : " ", word);
        case Kind::kX:
            return "x " + expression.print();
        case Kind::kTop:
            return fmt::format("top {} by {}", number, expression.print());
        case Kind::kBottom:
            return fmt::format("bottom {} by {}", number, expression.print());
    }
    return {};
}

std::string Term::print() const {
    switch (kind) {
        case Kind::kPattern:
            return text;
        case Kind::kNumber:
            return plain::print(number);
        case Kind::kHold:
            return fmt::format("hold({})", operands[0].print());
        case Kind::kQuery:
            return fmt::format("({})", query->print());
        case Kind::kOperator: {
            const auto inner = [](const Term& operand) {
                return operand.kind == Kind::kOperator ? fmt::format("({})", operand.print())
                                                       : operand.print();
            };
            return fmt::format("{} {} {}", inner(operands[0]), text, inner(operands[1]));
        }
    }
    return {};
}

std::string Query::print() const {
    std::vector<std::string> parts;
    for (const Term& term : terms) {
        parts.push_back(term.as.empty() ? term.print()
                                        : fmt::format("{} as {}", term.print(), term.as));
    }
    std::string out = fmt::format("{}", fmt::join(parts, ", "));
    if (!runs.empty()) {
        out += fmt::format(" @ {}", fmt::join(runs, ", "));
    }
    if (where) {
        out += " where " + where->print();
    }
    for (const Stage& stage : stages) {
        out += " | " + stage.print();
    }
    if (is_log) {
        out += " | log-x";
    }
    const std::string named =
        statistics.empty() ? "" : fmt::format(" {}", fmt::join(statistics, ", "));
    if (shape == Shape::kBuckets) {
        out += fmt::format(" | buckets {}{}", buckets, named);
    } else if (shape == Shape::kSummary) {
        out += " | summary" + named;
    } else if (shape == Shape::kStamped) {
        out += " | stamped";
    }
    if (is_combined()) {
        std::vector<std::string> keys;
        for (const GroupKey& key : group_by) {
            keys.push_back(
                key.except.empty() ? key.word
                : key.except.size() == 1
                    ? fmt::format("{} except {}", key.word, key.except[0])
                    : fmt::format("{} except ({})", key.word, fmt::join(key.except, ", ")));
        }
        out += is_across ? " | across" : fmt::format(" | group by {}", fmt::join(keys, ", "));
        out += combinations.empty() ? "" : fmt::format(" {}", fmt::join(combinations, ", "));
    }
    out += is_pivot ? " | pivot" : "";
    std::vector<std::string> order;
    for (const SortKey& key : sort) {
        order.push_back(key.column + (key.descending ? " desc" : ""));
    }
    out += order.empty() ? "" : fmt::format(" | sort {}", fmt::join(order, ", "));
    return limit ? fmt::format("{} | limit {}", out, *limit) : out;
}

}  // namespace stepdb::plain
