#include "tools/import/console_patterns.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text.h"
#include "tools/import/line_reader.h"

namespace stepdb {

namespace {

std::optional<size_t> group_of(const Regex& regex, std::string_view name) {
    const auto at = std::ranges::find(regex.names(), name);
    return at == regex.names().end()
               ? std::nullopt
               : std::optional<size_t>(static_cast<size_t>(at - regex.names().begin()) + 1);
}

Result<LineKind> make_kind(std::string_view expression) {
    TRY_ASSIGN(Regex regex, Regex::compile(expression));
    LineKind kind(std::move(regex));
    kind.step = group_of(kind.line, "step");
    kind.time = group_of(kind.line, "time");
    kind.rest = group_of(kind.line, "rest");
    for (size_t group = 1; group <= kind.line.names().size(); ++group) {
        const std::string& name = kind.line.names()[group - 1];
        if (!name.empty() && name != "step" && name != "time" && name != "rest") {
            kind.metrics.emplace_back(name, group);
        }
    }
    return kind;
}

Result<PairPattern> make_pairs(std::string_view expression) {
    TRY_ASSIGN(Regex regex, Regex::compile(expression));
    const std::optional<size_t> name = group_of(regex, "name");
    const std::optional<size_t> value = group_of(regex, "value");
    if (!name || !value) {
        return make_error(ErrorCode::kInvalidArgument,
                          "pairs need the groups (?P<name>...) and (?P<value>...)");
    }
    return PairPattern(std::move(regex), *name, *value);
}

Status take_pattern(std::string_view text, std::vector<LineKind>& kinds) {
    const size_t blank = std::min(text.find_first_of(" \t"), text.size());
    const std::string_view word = text.substr(0, blank);
    const std::string_view expression = trim(text.substr(blank), kLineBlanks);
    if (word == "line" && !expression.empty()) {
        TRY_ASSIGN(LineKind kind, make_kind(expression));
        kinds.push_back(std::move(kind));
        return {};
    }
    if (word == "pairs" && !expression.empty()) {
        if (kinds.empty()) {
            return make_error(ErrorCode::kInvalidArgument, "`pairs` stand behind a `line`");
        }
        TRY_ASSIGN(PairPattern pairs, make_pairs(expression));
        kinds.back().pairs.push_back(std::move(pairs));
        return {};
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "`line REGEX` or `pairs REGEX` is wanted, not '{}'", printable(text, 80));
}

Result<std::string> read_patterns(const std::string& path) {
    const Result<ByteSource> source = open_file(path);
    if (!source) {
        std::vector<std::string_view> names;
        for (const auto& [name, text] : built_in_console_patterns()) {
            names.push_back(name);
        }
        return source.error().within(
            fmt::format("--patterns takes {}, all (of them) or a file", fmt::join(names, ", ")));
    }
    LineReader lines(*source, path);
    std::string text;
    std::string_view line;
    for (;;) {
        TRY_ASSIGN(const bool more, lines.next(line));
        if (!more) {
            return text;
        }
        text += line;
        text += '\n';
    }
}

}  // namespace

Result<std::vector<LineKind>> parse_console_patterns(std::string_view text) {
    std::vector<LineKind> kinds;
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end), kLineBlanks);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const Status status = take_pattern(line, kinds);
        if (!status) {
            return status.error().within(fmt::format("line {}", number));
        }
    }
    if (kinds.empty()) {
        return make_error(ErrorCode::kInvalidArgument, "there is no `line REGEX` in it");
    }
    return kinds;
}

Result<std::vector<LineKind>> load_console_patterns(const std::string& name_or_path) {
    std::string text;
    for (const auto& [name, patterns] : built_in_console_patterns()) {
        if (name == name_or_path || name_or_path == "all") {
            text += patterns;
        }
    }
    if (text.empty()) {
        TRY_ASSIGN(text, read_patterns(name_or_path));
    }
    Result<std::vector<LineKind>> kinds = parse_console_patterns(text);
    if (!kinds) {
        return kinds.error().within(printable(name_or_path));
    }
    return kinds;
}

}  // namespace stepdb
