#include "tools/shell_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text.h"

namespace stepdb {

namespace {

bool is_pattern(std::string_view word) {
    return word.find_first_of("*{}~\"'") != std::string_view::npos;
}

// As it stands in a query: quoted if it would not be read as one word that means itself.
std::string as_word(const std::string& name) {
    constexpr std::string_view kSpecial = " ,|()\"'~*{}#";
    if (name.find_first_of(kSpecial) == std::string::npos) {
        return name;
    }
    std::string quoted = "\"";
    for (const char c : name) {
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    }
    return quoted + "\"";
}

}  // namespace

std::vector<std::string> ShellNames::ask(const std::string& query, size_t column) {
    std::vector<std::string> names;
    AnswerHandler handler;
    handler.on_block = [&](const ResultBlock& block) {
        for (const std::string_view name : block.column(column).texts()) {
            names.emplace_back(name);
        }
        return names.size() < kNamesMax;
    };
    const Result<QueryEnd> end = asker_.ask(QueryText(query), handler);
    if (!end && end.error().code() != ErrorCode::kCancelled) {
        return {};
    }
    return names;
}

const std::vector<std::string>& ShellNames::all_runs() {
    const auto now = std::chrono::steady_clock::now();
    if (runs_.empty() || now - asked_at_ > kFresh) {
        runs_ = ask("runs", 0);
        asked_at_ = now;
    }
    return runs_;
}

std::vector<std::string> ShellNames::runs(std::string_view word) {
    std::vector<std::string> found;
    for (const std::string& run : all_runs()) {
        if (run.starts_with(word)) {
            found.push_back(run);
        }
    }
    return found;
}

std::string ShellNames::last_runs() {
    std::vector<std::string> last = all_runs();
    if (last.size() > kRunsAsked) {
        last.erase(last.begin(), last.end() - static_cast<std::ptrdiff_t>(kRunsAsked));
    }
    return fmt::format("{}", fmt::join(last, ", "));
}

std::vector<std::string> ShellNames::ask_for_words(const std::string& query, size_t column) {
    std::vector<std::string> names = ask(query, column);
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (std::string& name : names) {
        name = as_word(name);
    }
    return names;
}

std::vector<std::string> ShellNames::metrics(std::string_view word) {
    const std::string runs = last_runs();
    return runs.empty() || is_pattern(word)
               ? std::vector<std::string>()
               : ask_for_words(fmt::format("metrics {}** @ {}", word, runs), 1);
}

std::vector<std::string> ShellNames::attributes(std::string_view word) {
    const std::string runs = last_runs();
    return runs.empty() || is_pattern(word) ? std::vector<std::string>()
                                            : ask_for_words("attributes " + runs, 1);
}

}  // namespace stepdb
