#include "query/diagnostic.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// Characters of the query shown around the error.
constexpr size_t kLineCharactersMax = 96;
// Names compared before giving up: a suggestion is worth a millisecond, not a second.
constexpr size_t kCandidatesMax = 20000;
constexpr size_t kComparedBytesMax = 128;

bool starts_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
}

size_t count_characters(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

// The text as it can stand on one line under a caret: one printed column a character.
std::string flatten(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x20 || byte == 0x7F ? ' ' : c;
    }
    return out;
}

// `text` without its first `count` characters.
std::string_view skip_characters(std::string_view text, size_t count) {
    size_t at = 0;
    for (; at < text.size(); ++at) {
        if (starts_character(text[at])) {
            if (count == 0) {
                break;
            }
            --count;
        }
    }
    return text.substr(at);
}

// Optimal string alignment distance, or `limit` + 1 if it is above `limit`.
size_t edit_distance(std::string_view a, std::string_view b, size_t limit) {
    if (a.size() + limit < b.size() || b.size() + limit < a.size()) {
        return limit + 1;
    }
    std::vector<size_t> before(b.size() + 1);
    std::vector<size_t> previous(b.size() + 1);
    std::vector<size_t> current(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) {
        previous[j] = j;
    }
    for (size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        size_t row_min = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t change = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                current[j] = std::min(current[j], before[j - 2] + 1);
            }
            row_min = std::min(row_min, current[j]);
        }
        if (row_min > limit) {
            return limit + 1;
        }
        std::swap(before, previous);
        std::swap(previous, current);
    }
    return std::min(previous[b.size()], limit + 1);
}

bool same_without_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

Error query_error(std::string_view text, SourceSpan span, std::string_view message,
                  ErrorCode code) {
    const size_t offset = std::min(span.offset, text.size());
    const size_t bytes = std::min(span.bytes, text.size() - offset);
    const size_t newline = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
    const size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
    const size_t line_end = std::min(text.find('\n', offset), text.size());
    const auto line_number =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(line_start), '\n');
    const size_t column = count_characters(text.substr(line_start, offset - line_start));

    // Long lines are shown from a little before the error.
    std::string_view line = text.substr(line_start, line_end - line_start);
    size_t skipped = 0;
    std::string lead = "  ";
    if (column + 20 > kLineCharactersMax) {
        skipped = column - 40;
        line = skip_characters(line, skipped);
        lead = "  ...";
    }
    std::string shown =
        flatten(line.substr(0, line.size() - skip_characters(line, kLineCharactersMax).size()));
    if (shown.size() < line.size()) {
        shown += "...";
    }
    const size_t carets = std::clamp<size_t>(
        count_characters(text.substr(offset, std::min(bytes, line_end - offset))), 1,
        kLineCharactersMax);

    const bool several_lines = text.find('\n') != std::string_view::npos;
    std::string where = several_lines ? fmt::format("line {}, ", line_number) : std::string();
    return make_error(code, "{}column {} (byte {}): {}\n{}{}\n{}{}", where, column + 1, offset,
                      message, lead, shown, std::string(lead.size() + column - skipped, ' '),
                      std::string(carets, '^'));
}

std::optional<SourceSpan> span_of_query_error(std::string_view text, std::string_view message) {
    constexpr std::string_view kByte = "(byte ";
    const size_t line_end = message.find('\n');
    const size_t carets = message.size() - (message.find_last_not_of('^') + 1);
    const size_t at = message.substr(0, line_end).find(kByte);
    if (at == std::string_view::npos || carets == 0) {
        return std::nullopt;
    }
    SourceSpan span;
    const std::string_view number = message.substr(at + kByte.size());
    const auto [end, status] =
        std::from_chars(number.data(), number.data() + number.size(), span.offset);
    if (status != std::errc() ||
        !number.substr(static_cast<size_t>(end - number.data())).starts_with("): ") ||
        span.offset > text.size()) {
        return std::nullopt;
    }
    const std::string_view rest = text.substr(span.offset);
    span.bytes = rest.size() - skip_characters(rest, carets).size();
    return span;
}

std::optional<std::string> nearest_spelling(std::string_view word,
                                            std::span<const std::string> candidates) {
    if (word.empty() || word.size() > kComparedBytesMax) {
        return std::nullopt;
    }
    candidates = candidates.first(std::min(candidates.size(), kCandidatesMax));
    for (const std::string& candidate : candidates) {
        if (same_without_case(word, candidate)) {
            return candidate;
        }
    }
    size_t limit = std::max<size_t>(1, word.size() / 3);
    std::optional<std::string> best;
    for (const std::string& candidate : candidates) {
        const size_t distance = edit_distance(word, candidate, limit);
        if (distance <= limit && distance < std::max(word.size(), candidate.size())) {
            best = candidate;
            if (distance == 0) {
                break;
            }
            limit = distance - 1;
        }
    }
    return best;
}

std::string counted(uint64_t count, std::string_view one) {
    return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
    const std::optional<std::string> nearest = nearest_spelling(word, candidates);
    return nearest ? fmt::format("; did you mean '{}'?", printable(*nearest)) : std::string();
}

}  // namespace stepdb
