#include "engine/model/rights.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/model/schema.h"

namespace stepdb {

namespace {

// Goes back to the last `*` only, so it takes at most the product of both lengths.
bool matches_project(std::string_view pattern, std::string_view project) {
    size_t at = 0;
    size_t in = 0;
    size_t star = std::string_view::npos;
    size_t after_star = 0;
    while (at < project.size()) {
        if (in < pattern.size() && pattern[in] == '*') {
            star = in++;
            after_star = at;
        } else if (in < pattern.size() && pattern[in] == project[at]) {
            ++in;
            ++at;
        } else if (star != std::string_view::npos) {
            in = star + 1;
            at = ++after_star;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in) == std::string_view::npos;
}

}  // namespace

std::string_view right_name(Right right) {
    switch (right) {
        case Right::kRead:
            return "read";
        case Right::kWrite:
            return "write";
        case Right::kAdmin:
            return "admin";
        case Right::kMetrics:
            return "metrics";
    }
    return "unknown";
}

Result<std::string> parse_project_pattern(std::string_view text) {
    std::string_view pattern = text;
    if (pattern.ends_with("/*")) {
        pattern.remove_suffix(2);
    }
    std::string as_id(pattern);
    std::ranges::replace(as_id, '*', 'x');
    if (!check_id("project", as_id)) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "'{}' names no projects; write a project's id, `*` in it for any "
            "characters, such as gpt or 'gpt-*' (rights are given for whole projects, "
            "not for some of their runs)",
            printable(text));
    }
    return std::string(pattern);
}

void Rights::grant(Right right, std::string pattern) {
    std::vector<std::string>& granted = patterns_[static_cast<size_t>(right)];
    if (std::ranges::find(granted, pattern) == granted.end()) {
        granted.push_back(std::move(pattern));
    }
}

bool Rights::may(Right right, std::string_view project) const {
    const auto covers = [&](const std::string& pattern) {
        return matches_project(pattern, project);
    };
    return std::ranges::any_of(patterns(right), covers) ||
           std::ranges::any_of(patterns(Right::kAdmin), covers);
}

bool Rights::may_everywhere(Right right) const {
    const auto is_all = [](const std::string& pattern) {
        return pattern.find_first_not_of('*') == std::string::npos;
    };
    return std::ranges::any_of(patterns(right), is_all) ||
           std::ranges::any_of(patterns(Right::kAdmin), is_all);
}

std::string Rights::reading_key() const {
    if (may_everywhere(Right::kAdmin)) {
        return "";
    }
    const std::string_view may =
        may_everywhere(Right::kMetrics) ? "may see metrics and read" : "may read";
    if (may_everywhere(Right::kRead)) {
        return std::string(may) + "/*";
    }
    std::vector<std::string> readable = patterns(Right::kRead);
    readable.insert(readable.end(), patterns(Right::kAdmin).begin(), patterns(Right::kAdmin).end());
    std::ranges::sort(readable);
    std::string key(may);
    for (const std::string& pattern : readable) {
        key += '/';  // no part of a pattern
        key += pattern;
    }
    return key;
}

Status check_right(const Rights* rights, Right right, std::string_view project) {
    if (rights == nullptr || rights->may(right, project)) {
        return {};
    }
    const std::string shown = printable(project);
    return make_error(
        ErrorCode::kPermissionDenied,
        "{} has no {} right for project {}; `stepdb token create NAME --{}={}` on the "
        "server's machine makes a token that has",
        rights->holder(), right_name(right), shown, right_name(right), shown);
}

Status check_store_right(const Rights* rights, Right right, std::string_view what) {
    if (rights == nullptr || rights->may_everywhere(right)) {
        return {};
    }
    return make_error(ErrorCode::kPermissionDenied,
                      "{} may not {}, which takes the {} right for all projects; `stepdb token "
                      "create NAME --{}` on the server's machine makes a token that has it",
                      rights->holder(), what, right_name(right), right_name(right));
}

}  // namespace stepdb
