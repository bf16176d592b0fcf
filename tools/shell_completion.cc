#include "tools/shell_completion.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "engine/base/text.h"

namespace stepdb {

namespace {

using Kind = CompletionPoint::Kind;

bool ends_word(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == ',' || c == '|' || c == '(' || c == ')';
}

// The words before the cursor's in its part of the query: since the last pipe, and since the
// beginning of the query. Quoted text is one word.
struct Words {
    bool in_quotes = false;          // the cursor stands in a literal
    std::vector<std::string> all;    // of the whole text, but the last
    std::vector<std::string> stage;  // since the last pipe, but the last
    bool has_pipe = false;
    std::string last;  // up to the cursor, empty behind a blank
};

Words split(std::string_view text) {
    Words words;
    std::string word;
    const auto end_word = [&] {
        if (!word.empty()) {
            words.all.push_back(word);
            words.stage.push_back(word);
            word.clear();
        }
    };
    char quote = 0;
    for (const char c : text) {
        if (quote != 0) {
            quote = c == quote ? '\0' : quote;
            word += c;
        } else if (c == '"' || c == '\'') {
            quote = c;
            word += c;
        } else if (ends_word(c)) {
            end_word();
            if (c == '|') {
                words.stage.clear();
                words.has_pipe = true;
            }
        } else {
            word += c;
        }
    }
    words.in_quotes = quote != 0;
    words.last = word;
    return words;
}

// Of a stage that has begun, by its name.
Kind kind_in_stage(const std::vector<std::string>& stage) {
    if (stage.front() == "buckets") {
        return stage.size() > 1 ? Kind::kBucketField : Kind::kNothing;
    }
    return stage.front() == "summary" ? Kind::kSummaryField : Kind::kNothing;
}

bool is_about_runs(std::string_view keyword) {
    return keyword == "runs" || keyword == "attributes";
}

Kind kind_before_stages(std::vector<std::string> words) {
    if (!words.empty() && words.front() == "explain") {
        words.erase(words.begin());
    }
    if (words.empty()) {
        return Kind::kStart;
    }
    if (std::ranges::find(words, "@") != words.end() || is_about_runs(words.front())) {
        return Kind::kRun;
    }
    return Kind::kMetric;
}

constexpr std::array<std::string_view, 14> kBucketFields = {
    "count", "first", "first_x", "last", "last_x", "max",  "max_x",
    "mean",  "min",   "min_x",   "nan",  "ninf",   "pinf", "sum"};
constexpr std::array<std::string_view, 19> kSummaryFields = {
    "count", "first",    "first_step", "first_time", "last",    "last_step", "last_time",
    "max",   "max_step", "max_time",   "mean",       "min",     "min_step",  "min_time",
    "nan",   "ninf",     "pinf",       "sum",        "variance"};
constexpr std::array<std::string_view, 6> kStages = {"buckets", "first",   "last",
                                                     "steps",   "summary", "time"};
constexpr std::array<std::string_view, 6> kKeywords = {"attributes", "explain", "metrics",
                                                       "projects",   "runs",    "stats"};

template <typename List>
std::vector<std::string> beginning_with(const List& words, std::string_view word) {
    std::vector<std::string> found;
    for (const std::string_view each : words) {
        if (each.starts_with(word)) {
            found.emplace_back(each);
        }
    }
    return found;
}

}  // namespace

CompletionPoint find_completion_point(std::string_view text) {
    CompletionPoint point;
    const Words words = split(text);
    if (words.in_quotes) {
        return point;
    }
    point.word = words.last;
    if (words.all.empty() && words.last.starts_with('\\')) {
        point.kind = Kind::kCommand;
    } else if (words.has_pipe) {
        point.kind = words.stage.empty() ? Kind::kStage : kind_in_stage(words.stage);
    } else {
        point.kind = kind_before_stages(words.all);
    }
    // `own(gpt/run-1`: the word begins behind the parenthesis, and the same holds for it.
    return point;
}

std::vector<std::string> known_words(CompletionPoint::Kind kind, std::string_view word) {
    switch (kind) {
        case Kind::kCommand:
            return beginning_with(shell_commands(), word);
        case Kind::kStart:
            return beginning_with(kKeywords, word);
        case Kind::kRun:
            return beginning_with(std::array<std::string_view, 2>{"own(", "parent("}, word);
        case Kind::kStage:
            return beginning_with(kStages, word);
        case Kind::kBucketField:
            return beginning_with(kBucketFields, word);
        case Kind::kSummaryField:
            return beginning_with(kSummaryFields, word);
        case Kind::kMetric:
        case Kind::kNothing:
            break;
    }
    return {};
}

const std::vector<std::string>& shell_commands() {
    static const std::vector<std::string> commands = {"\\chart", "\\format", "\\help", "\\pager",
                                                      "\\quit",  "\\timing", "\\watch"};
    return commands;
}

std::string common_prefix(const std::vector<std::string>& words) {
    if (words.empty()) {
        return {};
    }
    std::string_view prefix = words.front();
    for (const std::string& word : words) {
        const auto [end, ignored] = std::ranges::mismatch(prefix, word);
        prefix = prefix.substr(0, static_cast<size_t>(end - prefix.begin()));
    }
    // Not into the middle of a character.
    while (!prefix.empty() && prefix.size() < words.front().size() &&
           (static_cast<unsigned char>(words.front()[prefix.size()]) & 0xC0U) == 0x80U) {
        prefix.remove_suffix(1);
    }
    return std::string(prefix);
}

std::vector<std::string> next_segments(const std::vector<std::string>& names,
                                       std::string_view word) {
    std::set<std::string> cut;
    for (const std::string& name : names) {
        if (!name.starts_with(word)) {
            continue;
        }
        const size_t slash = name.find('/', word.size());
        cut.insert(slash == std::string::npos ? name : name.substr(0, slash + 1));
    }
    std::vector<std::string> segments(cut.begin(), cut.end());
    std::ranges::sort(segments, natural_less);
    return segments;
}

}  // namespace stepdb
