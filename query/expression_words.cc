#include "query/expression_words.h"

#include <algorithm>
#include <array>

namespace stepdb {

namespace {

constexpr std::array<std::string_view, 12> kStatisticNames = {
    "count", "nan", "pinf", "ninf", "min", "max", "mean", "sum", "std", "var", "first", "last"};

constexpr std::array<std::string_view, 3> kPartNames = {".value", ".step", ".time"};

constexpr std::array<std::string_view, 6> kClassNames = {"missing", "null", "nan",
                                                         "pinf",    "ninf", "finite"};

struct NamedOperator {
    std::string_view name;
    Operator op;
};
constexpr std::array<NamedOperator, 6> kComparisons = {{{"=", Operator::kEqual},
                                                        {"!=", Operator::kNotEqual},
                                                        {"<", Operator::kLess},
                                                        {"<=", Operator::kLessEqual},
                                                        {">", Operator::kGreater},
                                                        {">=", Operator::kGreaterEqual}}};
constexpr std::array<NamedOperator, 2> kSums = {
    {{"+", Operator::kAdd}, {"-", Operator::kSubtract}}};
constexpr std::array<NamedOperator, 3> kProducts = {
    {{"*", Operator::kMultiply}, {"/", Operator::kDivide}, {"%", Operator::kRemainder}}};

template <size_t kCount>
std::optional<Operator> find_operator(const std::array<NamedOperator, kCount>& operators,
                                      std::string_view word) {
    const auto at = std::ranges::find(operators, word, &NamedOperator::name);
    return at == operators.end() ? std::nullopt : std::optional(at->op);
}

// What other languages and tools call our words.
struct OtherName {
    std::string_view other;
    std::string_view ours;
};
constexpr std::array<OtherName, 13> kOtherFunctions = {{{"avg", "mean"},
                                                        {"average", "mean"},
                                                        {"variance", "var"},
                                                        {"stddev", "std"},
                                                        {"stdev", "std"},
                                                        {"final", "last"},
                                                        {"latest", "last"},
                                                        {"minimum", "min"},
                                                        {"maximum", "max"},
                                                        {"len", "count"},
                                                        {"argmin", "min(...).step"},
                                                        {"argmax", "max(...).step"},
                                                        {"attribute", "attr"}}};
constexpr std::array<OtherName, 13> kOtherOperators = {{{"==", "="},
                                                        {"===", "="},
                                                        {"<>", "!="},
                                                        {"=~", "~\"...\""},
                                                        {"like", "~\"...\""},
                                                        {"matches", "~\"...\""},
                                                        {"has", "contains"},
                                                        {"includes", "contains"},
                                                        {"=>", ">="},
                                                        {"=<", "<="},
                                                        {"&&", "and"},
                                                        {"||", "or"},
                                                        {"missing", "is missing"}}};

std::optional<std::string_view> find_ours(std::span<const OtherName> names, std::string_view word) {
    const auto at = std::ranges::find(names, word, &OtherName::other);
    return at == names.end() ? std::nullopt : std::optional(at->ours);
}

}  // namespace

std::span<const std::string_view> point_statistic_names() {
    return kStatisticNames;
}

std::span<const std::string_view> point_part_names() {
    return kPartNames;
}

std::span<const std::string_view> value_class_names() {
    return kClassNames;
}

std::optional<size_t> find_word(std::span<const std::string_view> names, std::string_view word) {
    const auto at = std::ranges::find(names, word);
    return at == names.end() ? std::nullopt
                             : std::optional(static_cast<size_t>(at - names.begin()));
}

bool has_place(PointStatistic statistic) {
    return statistic == PointStatistic::kMin || statistic == PointStatistic::kMax ||
           statistic == PointStatistic::kFirst || statistic == PointStatistic::kLast;
}

bool split_statistic(std::string_view name, PointStatistic& statistic, PointPart& part) {
    const size_t dot = std::min(name.find('.'), name.size());
    const auto word = std::ranges::find(kStatisticNames, name.substr(0, dot));
    const auto suffix = std::ranges::find(kPartNames, name.substr(dot));
    if (word == kStatisticNames.end() || (dot < name.size() && suffix == kPartNames.end())) {
        return false;
    }
    statistic = static_cast<PointStatistic>(word - kStatisticNames.begin());
    part = dot == name.size() ? PointPart::kValue
                              : static_cast<PointPart>(suffix - kPartNames.begin());
    return dot == name.size() || has_place(statistic);
}

std::optional<std::string_view> our_function(std::string_view word) {
    return find_ours(kOtherFunctions, word);
}

std::optional<std::string_view> our_operator(std::string_view word) {
    return find_ours(kOtherOperators, word);
}

bool may_be_number(std::string_view word) {
    constexpr std::array<std::string_view, 8> kWords = {"nan",  "NaN",  "inf",  "pinf",
                                                        "ninf", "null", "true", "false"};
    return word.find_first_of("0123456789+-.") == 0 || word.starts_with("now") ||
           std::ranges::find(kWords, word) != kWords.end();
}

std::optional<Operator> find_comparison(std::string_view word) {
    return find_operator(kComparisons, word);
}

std::optional<Operator> find_sum(std::string_view word) {
    return find_operator(kSums, word);
}

std::optional<Operator> find_product(std::string_view word) {
    return find_operator(kProducts, word);
}

}  // namespace stepdb
