// A pattern of the language, ready to be asked about names. With regex.h the home of RE2.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "query/ast.h"
#include "query/required_literals.h"

namespace re2 {
class RE2;
}

namespace stepdb {

// What a capture of a pattern stands for in a name.
struct Capture {
    std::string name;
    std::string text;

    bool operator==(const Capture&) const = default;
};

// In globs `*` and `{name}` match within a segment, `**` across, `**/` also nothing. A regex is
// searched for. Time is linear in the name, memory bounded, whatever the pattern.
class NameMatcher {
  public:
    // kInvalidArgument at the pattern's place in `query_text`.
    static Result<NameMatcher> compile(const Pattern& pattern, std::string_view query_text);

    NameMatcher(NameMatcher&&) noexcept;
    NameMatcher& operator=(NameMatcher&&) noexcept;
    ~NameMatcher();

    bool matches(std::string_view name) const;
    // Likewise; `captures` becomes what the captures of the pattern, `{layer}` or `(?P<layer>...)`,
    // stand for in the name, by name.
    bool matches(std::string_view name, std::vector<Capture>& captures) const;
    // The only name it matches, if it is not a pattern.
    const std::string* exact() const { return is_exact_ ? &text_ : nullptr; }
    // What every name begins with that it matches.
    const std::string& prefix() const { return prefix_; }
    // The longest piece known that every name holds that it matches; may be empty.
    const std::string& literal() const { return literal_; }

  private:
    // A glob whose only star stands between two pieces of text: most are so, and few words of code
    // decide faster than an automaton.
    struct OneStar {
        std::string after;
        bool crosses = false;  // `**`
    };

    explicit NameMatcher(std::string text);
    Status compile_regex(const Pattern& pattern, std::string_view query_text);
    bool matches_star(std::string_view name) const;
    bool may_match_regex(std::string_view name) const { return has_in_order(name, literals_); }

    std::string text_;
    bool is_exact_ = false;
    std::string prefix_;
    std::optional<OneStar> one_star_;    // instead of a regex
    std::unique_ptr<re2::RE2> regex_;    // anchored for globs
    std::vector<std::string> literals_;  // what every name holds that the regex matches
    std::string literal_;
    bool search_ = false;
    std::vector<std::string> capture_names_;  // in byte order
    std::vector<int> capture_groups_;         // of the regex, by capture
};

// `text` with what captures stand for in place of `{name}`.
std::string fill_captures(std::string_view text, const std::vector<Capture>& captures);

}  // namespace stepdb
