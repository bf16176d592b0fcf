#include "tools/shell_completion.h"

#include <algorithm>
#include <array>
#include <set>

#include "engine/base/text.h"
#include "query/expression.h"
#include "query/expression_words.h"
#include "query/vocabulary.h"

namespace stepdb {

namespace {

using Kind = CompletionPoint::Kind;

bool ends_word(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == ',' || c == '|' || c == '(' || c == ')';
}

// The words before the cursor. Quoted text is one word.
struct Words {
    Words() = default;

    bool in_quotes = false;          // the cursor stands in a literal
    std::vector<std::string> all;    // of the whole text, but the last
    std::vector<std::string> stage;  // since the last pipe, but the last
    bool has_pipe = false;
    std::vector<std::string> open;  // words before parentheses that are not closed yet
    char before = ' ';              // what ends the word before the last, blanks aside
    std::string last;               // up to the cursor, empty behind a blank
};

class Splitter {
  public:
    Words split(std::string_view text) {
        for (const char c : text) {
            take(c);
        }
        words_.in_quotes = quote_ != 0;
        words_.last = word_;
        return std::move(words_);
    }

  private:
    void take(char c) {
        if (quote_ != 0 || c == '"' || c == '\'') {
            quote_ = quote_ == 0 ? c : quote_ == c ? '\0' : quote_;
            word_ += c;
        } else if (!ends_word(c)) {
            word_ += c;
        } else {
            end_word();
            end_at(c);
        }
    }

    void end_word() {
        if (!word_.empty()) {
            words_.all.push_back(word_);
            words_.stage.push_back(word_);
            words_.before = ' ';
            word_.clear();
        }
    }

    void end_at(char c) {
        if (c == '|') {
            words_.stage.clear();
            words_.open.clear();
            words_.has_pipe = true;
        } else if (c == '(') {
            words_.open.push_back(words_.stage.empty() ? "" : words_.stage.back());
        } else if (c == ')' && !words_.open.empty()) {
            words_.open.pop_back();
        }
        if (c == ',' || c == '|' || c == '(') {
            words_.before = c;
        }
    }

    Words words_;
    std::string word_;
    char quote_ = 0;
};

bool is_one_of(std::string_view word, std::span<const std::string_view> names) {
    return std::ranges::find(names, word) != names.end();
}

constexpr std::array<std::string_view, 2> kOfRuns = {"own", "parent"};

bool is_about_runs(std::string_view keyword) {
    return keyword == "runs" || keyword == "attributes" || keyword == "notes";
}

// Of a word in an expression: behind a comparison stands a value, of which only states are known.
Kind kind_in_expression(const std::vector<std::string>& words) {
    static constexpr std::array<std::string_view, 8> kBeforeValues = {
        "=", "!=", "<", "<=", ">", ">=", "contains", "tag"};
    if (is_one_of(words.back(), kBeforeValues)) {
        const bool is_state = words.size() > 1 && words[words.size() - 2] == "state";
        return is_state ? Kind::kState : Kind::kNothing;
    }
    return words.front() == "metrics" ? Kind::kOfSeries : Kind::kExpression;
}

// Of a stage that has begun; `words` are all of the query, without `explain`.
Kind kind_in_stage(const std::vector<std::string>& stage, const std::vector<std::string>& words) {
    const std::string& name = stage.front();
    if (name == "buckets") {
        return stage.size() > 1 ? Kind::kBucketField : Kind::kNothing;
    }
    if (name == "show" || name == "sort") {
        return kind_in_expression(words);
    }
    if (name == "when") {
        return kind_in_expression(words) == Kind::kNothing ? Kind::kNothing : Kind::kPoint;
    }
    return name == "summary" ? Kind::kSummaryField : Kind::kNothing;
}

// Of a word before the first pipe. `words` are those before it, without `explain`.
Kind kind_before_stages(const std::vector<std::string>& words, bool is_next) {
    if (words.empty()) {
        return Kind::kStart;
    }
    if (is_one_of("where", std::vector<std::string_view>(words.begin() + 1, words.end()))) {
        return kind_in_expression(words);
    }
    const auto at = std::ranges::find(words, "@");
    if (at != words.end() || is_about_runs(words.front())) {
        const bool has_run = at != words.end() ? at + 1 != words.end() : words.size() > 1;
        return is_next && has_run ? Kind::kBehindRuns : Kind::kRun;
    }
    const bool has_metric = words.front() != "metrics" || words.size() > 1;
    return is_next && has_metric ? Kind::kBehindMetrics : Kind::kMetric;
}

Kind find_kind(const Words& words) {
    const std::string function = words.open.empty() ? "" : words.open.back();
    if (is_one_of(function, point_statistic_names()) || function == "at") {
        return Kind::kMetric;
    }
    if (is_one_of(function, kOfRuns)) {
        return Kind::kRunAlone;
    }
    std::vector<std::string> all = words.all;
    if (!all.empty() && all.front() == "explain") {
        all.erase(all.begin());
    }
    if (!words.has_pipe) {
        return kind_before_stages(all, words.last.empty() && words.before == ' ');
    }
    if (!words.stage.empty()) {
        return kind_in_stage(words.stage, all);
    }
    return !all.empty() && (all.front() == "runs" || all.front() == "metrics") ? Kind::kTableStage
                                                                               : Kind::kStage;
}

template <typename List>
void add_beginning_with(const List& words, std::string_view word, std::string_view suffix,
                        std::vector<std::string>& found) {
    for (const auto& each : words) {
        const std::string whole = fmt::format("{}{}", each, suffix);
        if (whole.starts_with(word)) {
            found.push_back(whole);
        }
    }
}

std::vector<std::string_view> settings_of(std::string_view command) {
    if (command == "\\format") {
        return {"csv", "json", "jsonl", "table"};
    }
    if (command == "\\chart") {
        return {"auto", "off", "on"};
    }
    return command == "\\pager" || command == "\\timing"
               ? std::vector<std::string_view>{"off", "on"}
               : std::vector<std::string_view>();
}

}  // namespace

CompletionPoint find_completion_point(std::string_view text) {
    CompletionPoint point;
    const Words words = Splitter().split(text);
    if (words.in_quotes) {
        return point;
    }
    point.word = words.last;
    const std::string first = words.all.empty() ? words.last : words.all.front();
    if (first.starts_with('\\')) {
        point.kind = words.all.empty() ? Kind::kCommand : Kind::kSetting;
        point.command = first;
    } else {
        point.kind = find_kind(words);
    }
    return point;
}

std::vector<std::string> known_words(const CompletionPoint& point) {
    std::vector<std::string> found;
    const auto add = [&](const auto& words, std::string_view suffix = "") {
        add_beginning_with(words, point.word, suffix, found);
    };
    using List = std::vector<std::string_view>;
    switch (point.kind) {
        case Kind::kCommand:
            add(shell_commands());
            break;
        case Kind::kSetting:
            add(settings_of(point.command));
            break;
        case Kind::kStart:
            add(query_keywords());
            break;
        case Kind::kBehindMetrics:
            add(List{"@"});
            break;
        case Kind::kRun:
            add(kOfRuns, "(");
            break;
        case Kind::kBehindRuns:
            add(List{"where", "|"});
            break;
        case Kind::kExpression:
            add(field_names(ExpressionScope::kRun));
            add(point_statistic_names(), "(");
            add(List{"at"}, "(");
            break;
        case Kind::kOfSeries:
            add(field_names(ExpressionScope::kSeries));
            break;
        case Kind::kState:
            add(List{"failed", "finished", "running", "stale"});
            break;
        case Kind::kPoint:
            add(field_names(ExpressionScope::kPoint));
            break;
        case Kind::kStage:
            add(stage_names());
            break;
        case Kind::kTableStage:
            add(table_stage_names());
            break;
        case Kind::kBucketField:
            add(bucket_field_names());
            break;
        case Kind::kSummaryField:
            add(summary_field_names());
            break;
        case Kind::kMetric:
        case Kind::kRunAlone:
        case Kind::kNothing:
            break;
    }
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
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
