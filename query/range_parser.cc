#include "query/range_parser.h"

#include <array>
#include <optional>

#include "engine/base/text.h"
#include "query/literals.h"

namespace stepdb {

namespace {

struct AnchorName {
    std::string_view name;
    RangeEnd::Anchor anchor;
};

constexpr std::array<AnchorName, 4> kAnchors = {{{"start", RangeEnd::Anchor::kStart},
                                                 {"end", RangeEnd::Anchor::kEnd},
                                                 {"now", RangeEnd::Anchor::kNow},
                                                 {"fork", RangeEnd::Anchor::kFork}}};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The letters a word starts with.
std::string_view leading_letters(std::string_view word) {
    size_t at = 0;
    while (at < word.size() && is_letter(word[at])) {
        ++at;
    }
    return word.substr(0, at);
}

// One range's reading: the query's text for messages, and the axis.
class RangeReader {
  public:
    RangeReader(std::string_view text, RangeAxis axis) : text_(text), axis_(axis) {}
    // Reads ends that are values of this parameter, written `$name` at `span`.
    RangeReader(std::string_view text, RangeAxis axis, std::string_view parameter, SourceSpan span)
        : text_(text), axis_(axis), parameter_(parameter), parameter_span_(span) {}

    // `value`: of the parameter that `word` is, if it is one.
    Result<RangeEnd> read_end(std::string_view word, const std::optional<std::string>& value,
                              SourceSpan span) const {
        RangeEnd end;
        end.span = span;
        if (value) {
            const RangeReader reader(text_, axis_, word, span);
            if (value->empty()) {
                return reader.error_at(span, "it is empty, and one end of a range");
            }
            TRY_ASSIGN(end, reader.read_end(*value, std::nullopt, span));
            end.span = span;
            return end;
        }
        if (word.empty()) {
            return end;
        }
        const std::string_view letters = leading_letters(word);
        if (!letters.empty()) {
            return read_anchor(word, letters, end);
        }
        end.anchor = RangeEnd::Anchor::kValue;
        if (axis_ == RangeAxis::kStep) {
            const Result<double> step = parse_number(word);
            if (!step) {
                return error_at(span, step.error().message());
            }
            end.step = *step;
        } else {
            const Result<int64_t> moment = parse_moment(word);
            if (!moment) {
                return error_at(span, moment.error().message());
            }
            end.time_us = *moment;
        }
        return end;
    }

    Error error_at(SourceSpan span, std::string_view message) const {
        return parameter_.empty()
                   ? query_error(text_, span, message)
                   : query_error(text_, parameter_span_,
                                 fmt::format("parameter {}: {}", parameter_, message));
    }

  private:
    Result<RangeEnd> read_anchor(std::string_view word, std::string_view letters,
                                 RangeEnd end) const {
        for (const AnchorName& anchor : kAnchors) {
            if (letters == anchor.name) {
                end.anchor = anchor.anchor;
            }
        }
        const SourceSpan letters_span = {end.span.offset, letters.size()};
        if (end.anchor == RangeEnd::Anchor::kOpen) {
            // Of the four, a step is never now, and a time never a fork.
            const bool is_step = axis_ == RangeAxis::kStep;
            const std::vector<std::string> names = {"start", "end", is_step ? "fork" : "now"};
            return error_at(
                letters_span,
                fmt::format("expected {} or a {}, found '{}'{}", fmt::join(names, ", "),
                            is_step ? "step" : "time", letters, did_you_mean(letters, names)));
        }
        if (end.anchor == RangeEnd::Anchor::kNow && axis_ == RangeAxis::kStep) {
            return error_at(letters_span, "`now` is a time, not a step; use it in `time`");
        }
        const std::string_view offset = word.substr(letters.size());
        if (offset.empty()) {
            return end;
        }
        const SourceSpan offset_span = {end.span.offset + letters.size(), offset.size()};
        if (offset.front() != '+' && offset.front() != '-') {
            return error_at(offset_span, fmt::format("expected +, - or the end of the range after "
                                                     "'{}', found '{}'",
                                                     letters, printable(offset, 80)));
        }
        return read_offset(offset, offset_span, end);
    }

    Result<RangeEnd> read_offset(std::string_view offset, SourceSpan span, RangeEnd end) const {
        const bool negative = offset.front() == '-';
        offset.remove_prefix(1);
        if (offset.empty() || offset.front() == '+' || offset.front() == '-') {
            return error_at(span, "expected a number or duration after the sign");
        }
        if (axis_ == RangeAxis::kStep) {
            const Result<double> step = parse_number(offset);
            if (!step) {
                return error_at(span, step.error().message());
            }
            end.step = negative ? -*step : *step;
        } else {
            const Result<int64_t> duration = parse_duration(offset);
            if (!duration) {
                return error_at(span, duration.error().message());
            }
            end.time_us = negative ? -*duration : *duration;
        }
        return end;
    }

    std::string_view text_;
    RangeAxis axis_;
    std::string_view parameter_;  // with its `$`; empty: what is read stands in the text
    SourceSpan parameter_span_;
};

// "; did you mean 'X'?" if X is a range.
std::string suggest_range(const std::string& range, RangeAxis axis) {
    Token token;
    token.kind = TokenKind::kWord;
    token.text = range;
    token.span = {0, range.size()};
    return parse_range_word(range, token, axis)
               ? fmt::format("; did you mean '{}'?", printable(range, 80))
               : std::string();
}

// A range that was written with something else between its ends, such as 100-200 or 100:200.
std::string suggest_dots(std::string_view word, RangeAxis axis) {
    std::string suggestion;
    for (const std::string_view between : {":", "-", "to"}) {
        const size_t at = word.find(between, 1);
        const bool is_offset = word.starts_with("now") || word.starts_with("end") ||
                               word.starts_with("start") || word.starts_with("fork");
        if (at != std::string_view::npos && suggestion.empty() && !(between == "-" && is_offset)) {
            suggestion = suggest_range(
                fmt::format("{}..{}", word.substr(0, at), word.substr(at + between.size())), axis);
        }
    }
    return suggestion.empty() ? suggest_range(fmt::format("{}..", word), axis) : suggestion;
}

// What to do about a range of two values that ends before it starts.
Error wrong_order(const RangeReader& reader, const Token& token, RangeAxis axis) {
    const std::string& word = token.text;
    const size_t dots = word.find("..");
    const std::string from = token.range_values[0].value_or(word.substr(0, dots));
    const std::string to = token.range_values[1].value_or(word.substr(dots + 2));
    const size_t three = word.find("...");
    std::string hint;
    if (token.range_values[0] || token.range_values[1]) {
        hint = fmt::format(": it is '{}..{}'", printable(from, 80), printable(to, 80));
    } else if (three == std::string::npos) {
        hint = suggest_range(fmt::format("{}..{}", to, from), axis);
    } else {
        hint = suggest_range(std::string(word).replace(three, 3, ".."), axis);
    }
    return reader.error_at(token.span, fmt::format("the range '{}' ends before it starts{}",
                                                   printable(word, 80), hint));
}

}  // namespace

std::string_view range_form(RangeAxis axis) {
    return axis == RangeAxis::kStep ? "a range of steps such as 1k..2k, 500.. or end-100.."
                                    : "a range of time such as 2026-03-01..2026-03-02 or now-1h..";
}

Result<Range> parse_range_word(std::string_view text, const Token& token, RangeAxis axis) {
    const RangeReader reader(text, axis);
    const std::string_view word = token.text;
    const SourceSpan span = token.span;
    const size_t dots = word.find("..");
    if (dots == std::string_view::npos) {
        return reader.error_at(span, fmt::format("expected {}, found '{}'{}", range_form(axis),
                                                 printable(word, 80), suggest_dots(word, axis)));
    }
    Range range;
    TRY_ASSIGN(range.from,
               reader.read_end(word.substr(0, dots), token.range_values[0], {span.offset, dots}));
    TRY_ASSIGN(range.to, reader.read_end(word.substr(dots + 2), token.range_values[1],
                                         {span.offset + dots + 2, word.size() - dots - 2}));
    const bool both = range.from.anchor == RangeEnd::Anchor::kValue &&
                      range.to.anchor == RangeEnd::Anchor::kValue;
    const bool turned =
        both && (range.from.step > range.to.step || range.from.time_us > range.to.time_us);
    return turned ? Result<Range>(wrong_order(reader, token, axis)) : Result<Range>(range);
}

}  // namespace stepdb
