#include "query/name_matcher.h"

#include <re2/re2.h>

#include <algorithm>
#include <vector>

#include "engine/base/text.h"

namespace stepdb {

namespace {

bool is_shorter(std::string_view a, std::string_view b) {
    return a.size() < b.size();
}

std::string longest_of(const std::vector<std::string>& pieces) {
    const auto longest = std::ranges::max_element(pieces, is_shorter);
    return longest == pieces.end() ? std::string() : *longest;
}

bool is_capture_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    return !name.empty() && std::all_of(name.begin(), name.end(), good);
}

// Translates globs to regexes, piece by piece.
class GlobTranslator {
  public:
    GlobTranslator(const Pattern& pattern, std::string_view query_text)
        : glob_(pattern.text), span_(pattern.span), query_text_(query_text) {}

    Result<std::string> translate() {
        while (at_ < glob_.size()) {
            if (glob_[at_] == '*') {
                translate_stars();
            } else if (glob_[at_] == '{' || glob_[at_] == '}') {
                TRY(translate_capture());
            } else {
                const size_t end = std::min(glob_.find_first_of("*{}", at_), glob_.size());
                regex_ += re2::RE2::QuoteMeta(std::string(glob_.substr(at_, end - at_)));
                at_ = end;
            }
        }
        return regex_;
    }

  private:
    void translate_stars() {
        if (glob_.substr(at_, 2) != "**") {
            regex_ += "[^/]*";
            ++at_;
            return;
        }
        const bool segment_start = at_ == 0 || glob_[at_ - 1] == '/';
        if (segment_start && glob_.substr(at_, 3) == "**/") {
            regex_ += "(?:.*/)?";
            at_ += 3;
        } else {
            regex_ += ".*";
            at_ += 2;
        }
    }

    Status translate_capture() {
        const size_t close = glob_.find('}', at_);
        const std::string_view name = glob_[at_] == '{' && close != std::string_view::npos
                                          ? glob_.substr(at_ + 1, close - at_ - 1)
                                          : std::string_view();
        if (!is_capture_name(name)) {
            return query_error(query_text_, {span_.offset + at_, 1},
                               "expected a capture such as {layer} where the brace stands; quote "
                               "a name that has braces of its own");
        }
        if (std::find(captures_.begin(), captures_.end(), name) != captures_.end()) {
            return query_error(query_text_, {span_.offset + at_, name.size() + 2},
                               fmt::format("the capture {{{}}} is named twice", name));
        }
        captures_.push_back(name);
        regex_ += fmt::format("(?P<{}>[^/]*)", name);
        at_ = close + 1;
        return {};
    }

    std::string_view glob_;
    SourceSpan span_;
    std::string_view query_text_;
    size_t at_ = 0;
    std::string regex_;
    std::vector<std::string_view> captures_;
};

}  // namespace

NameMatcher::NameMatcher(std::string text) : text_(std::move(text)) {}
NameMatcher::NameMatcher(NameMatcher&&) noexcept = default;
NameMatcher& NameMatcher::operator=(NameMatcher&&) noexcept = default;
NameMatcher::~NameMatcher() = default;

Result<NameMatcher> NameMatcher::compile(const Pattern& pattern, std::string_view query_text) {
    NameMatcher matcher(pattern.text);
    const std::string_view text = matcher.text_;
    if (pattern.kind == PatternKind::kExact) {
        matcher.is_exact_ = true;
        matcher.prefix_ = text;
        matcher.literal_ = text;
        return matcher;
    }
    if (pattern.kind == PatternKind::kGlob) {
        const size_t special = std::min(text.find_first_of("*{}"), text.size());
        matcher.prefix_ = text.substr(0, special);
        const bool crosses = text.substr(special).starts_with("**");
        const std::string_view after =
            text.substr(std::min(special + (crosses ? 2 : 1), text.size()));
        // `**/` may also stand for nothing.
        const bool is_plain = after.find_first_of("*{}") == std::string_view::npos &&
                              !(crosses && after.starts_with('/'));
        if (is_plain && special < text.size() && text[special] == '*') {
            matcher.one_star_ = OneStar{std::string(after), crosses};
            matcher.literal_ = std::max(matcher.prefix_, matcher.one_star_->after, is_shorter);
            return matcher;
        }
    }
    TRY(matcher.compile_regex(pattern, query_text));
    return matcher;
}

Status NameMatcher::compile_regex(const Pattern& pattern, std::string_view query_text) {
    search_ = pattern.kind == PatternKind::kRegex;
    std::string regex = pattern.text;
    if (!search_) {
        TRY_ASSIGN(regex, GlobTranslator(pattern, query_text).translate());
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(true);
    regex_ = std::make_unique<re2::RE2>(regex, options);
    if (!regex_->ok()) {
        return query_error(query_text, pattern.span,
                           fmt::format("the regex is not valid: {}", printable(regex_->error())));
    }
    literals_ = required_literals(regex);
    literal_ = longest_of(literals_);
    for (const auto& [name, group] : regex_->NamedCapturingGroups()) {
        capture_names_.push_back(name);
        capture_groups_.push_back(group);
    }
    return {};
}

bool NameMatcher::matches(std::string_view name, std::vector<Capture>& captures) const {
    captures.clear();
    if (capture_names_.empty()) {
        return matches(name);
    }
    if (!may_match_regex(name)) {
        return false;
    }
    std::vector<re2::StringPiece> groups(static_cast<size_t>(regex_->NumberOfCapturingGroups()) +
                                         1);
    const re2::StringPiece piece(name.data(), name.size());
    if (!regex_->Match(piece, 0, name.size(),
                       search_ ? re2::RE2::UNANCHORED : re2::RE2::ANCHOR_BOTH, groups.data(),
                       static_cast<int>(groups.size()))) {
        return false;
    }
    for (size_t i = 0; i < capture_names_.size(); ++i) {
        const re2::StringPiece& group = groups[static_cast<size_t>(capture_groups_[i])];
        captures.push_back({capture_names_[i], std::string(group.data(), group.size())});
    }
    return true;
}

bool NameMatcher::matches_star(std::string_view name) const {
    const size_t around = prefix_.size() + one_star_->after.size();
    if (name.size() < around || !name.starts_with(prefix_) || !name.ends_with(one_star_->after)) {
        return false;
    }
    const std::string_view star = name.substr(prefix_.size(), name.size() - around);
    return one_star_->crosses || star.find('/') == std::string_view::npos;
}

bool NameMatcher::matches(std::string_view name) const {
    if (is_exact_) {
        return name == text_;
    }
    if (one_star_) {
        return matches_star(name);
    }
    if (!may_match_regex(name)) {
        return false;
    }
    const re2::StringPiece piece(name.data(), name.size());
    return regex_->Match(piece, 0, name.size(),
                         search_ ? re2::RE2::UNANCHORED : re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

std::string fill_captures(std::string_view text, const std::vector<Capture>& captures) {
    std::string filled;
    while (!text.empty()) {
        const size_t open = text.find('{');
        const size_t close = text.find('}', open == std::string_view::npos ? open : open + 1);
        if (close == std::string_view::npos) {
            break;
        }
        const std::string_view name = text.substr(open + 1, close - open - 1);
        const auto at = std::ranges::find(captures, name, &Capture::name);
        filled += text.substr(0, open);
        filled += at == captures.end() ? text.substr(open, close + 1 - open) : at->text;
        text.remove_prefix(close + 1);
    }
    filled += text;
    return filled;
}

}  // namespace stepdb
