#include "query/combine_parser.h"

#include <algorithm>
#include <array>

#include "engine/base/text.h"
#include "query/literals.h"
#include "query/stage_parser.h"

namespace stepdb {

namespace {

constexpr size_t kGroupKeysMax = 1000;

constexpr std::array<std::string_view, 7> kCombinationNames = {"count", "mean", "std", "var",
                                                               "min",   "max",  "sum"};

// What other tools call a combination.
std::string other_name(std::string_view word) {
    if (word == "avg" || word == "average") {
        return "; did you mean 'mean'?";
    }
    return word == "stddev" || word == "stdev" ? "; did you mean 'std'?" : std::string();
}

class CombineParser {
  public:
    explicit CombineParser(TokenReader& reader) : reader_(reader) {}

    Result<CombineStage> parse_across(const Token& name);
    Result<CombineStage> parse_group(const Token& name);

  private:
    const Token& peek() const { return reader_.peek(); }

    Result<GroupKey> parse_key();
    Status parse_combinations(CombineStage& stage);
    Result<Combination> parse_combination();

    TokenReader& reader_;
};

Result<CombineStage> CombineParser::parse_across(const Token& name) {
    CombineStage stage;
    stage.span = name.span;
    TRY(parse_combinations(stage));
    return stage;
}

Result<CombineStage> CombineParser::parse_group(const Token& name) {
    CombineStage stage;
    stage.span = name.span;
    if (!peek().is_word("by")) {
        return reader_.expected(
            "'by' and what series have in common, as in group by config/lr mean");
    }
    stage.span = join_spans(name.span, reader_.take().span);
    while (true) {
        TRY_ASSIGN(GroupKey key, parse_key());
        stage.keys.push_back(std::move(key));
        if (stage.keys.size() > kGroupKeysMax) {
            return reader_.expected(fmt::format("at most {} keys", kGroupKeysMax));
        }
        if (peek().kind != TokenKind::kComma) {
            break;
        }
        reader_.take();
    }
    TRY(parse_combinations(stage));
    return stage;
}

Result<GroupKey> CombineParser::parse_key() {
    GroupKey key;
    TRY_ASSIGN(key.what, reader_.take_pattern("run, metric, a capture or an attribute"));
    if (!peek().is_word("except")) {
        return key;
    }
    const Token& except = reader_.take();
    if (key.what.kind == PatternKind::kExact) {
        return reader_.error_at(except.span,
                                fmt::format("`except` takes attributes out of a pattern such "
                                            "as config/**, and '{}' is one name",
                                            printable(key.what.text, 80)));
    }
    const bool is_list = peek().kind == TokenKind::kOpenParenthesis;
    if (is_list) {
        reader_.take();
    }
    while (true) {
        TRY_ASSIGN(Pattern pattern, reader_.take_pattern("an attribute such as config/seed"));
        key.except.push_back(std::move(pattern));
        if (!is_list) {
            return key;
        }
        if (peek().kind != TokenKind::kComma) {
            TRY(reader_.take_punctuation(TokenKind::kCloseParenthesis, " behind what is excepted"));
            return key;
        }
        reader_.take();
    }
}

// The mean if none is named; `count` comes always, and first where it is not named.
Status CombineParser::parse_combinations(CombineStage& stage) {
    bool has_count = false;
    while (peek().kind == TokenKind::kWord) {
        const SourceSpan span = peek().span;
        TRY_ASSIGN(Combination combination, parse_combination());
        const auto same = [&](const Combination& other) { return other.name == combination.name; };
        if (std::ranges::any_of(stage.combinations, same)) {
            return reader_.error_at(span, fmt::format("{} is named twice", combination.name));
        }
        has_count = has_count || combination.kind == Combination::Kind::kCount;
        stage.combinations.push_back(std::move(combination));
        if (peek().kind != TokenKind::kComma) {
            break;
        }
        reader_.take();
        if (peek().kind != TokenKind::kWord) {
            return reader_.expected("a combination such as mean or p95");
        }
    }
    if (stage.combinations.empty()) {
        stage.combinations.push_back({Combination::Kind::kMean, 0, "mean"});
    }
    if (!has_count) {
        stage.combinations.insert(stage.combinations.begin(),
                                  {Combination::Kind::kCount, 0, "count"});
    }
    return {};
}

Result<Combination> CombineParser::parse_combination() {
    const Token& name = reader_.take();
    Combination combination;
    combination.name = name.text;
    const auto at = std::ranges::find(kCombinationNames, name.text);
    if (at != kCombinationNames.end()) {
        combination.kind = static_cast<Combination::Kind>(at - kCombinationNames.begin());
        return combination;
    }
    combination.kind = Combination::Kind::kPercentile;
    if (name.text == "median") {
        combination.percentile = 50;
        return combination;
    }
    const bool is_percentile = name.text.size() > 1 && name.text[0] == 'p' &&
                               name.text.find_first_not_of("0123456789.", 1) == std::string::npos;
    const Result<double> percentile =
        is_percentile ? parse_number(std::string_view(name.text).substr(1)) : Result<double>(-1.0);
    if (is_percentile && percentile && *percentile >= 0 && *percentile <= 100) {
        combination.percentile = *percentile;
        return combination;
    }
    std::vector<std::string> known(kCombinationNames.begin(), kCombinationNames.end());
    known.emplace_back("median");
    std::string hint = other_name(name.text);
    if (hint.empty()) {
        hint = did_you_mean(name.text, known);
    }
    return reader_.error_at(
        name.span, fmt::format("expected what is told of the series ({}, or p0 to p100), found "
                               "{}{}",
                               fmt::join(known, ", "), describe(name),
                               hint.empty() ? missing_pipe(reader_) : hint));
}

}  // namespace

Result<CombineStage> parse_combine_stage(TokenReader& reader, const Token& name) {
    CombineParser parser(reader);
    return name.text == "across" ? parser.parse_across(name) : parser.parse_group(name);
}

}  // namespace stepdb
