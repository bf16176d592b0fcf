// Regular expressions of others than queries, such as those of a pattern file. With name_matcher.h
// the home of RE2: time is linear in the text and memory bounded, whatever the expression.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace re2 {
class RE2;
}

namespace stepdb {

class Regex {
  public:
    // RE2's syntax, over UTF-8. kInvalidArgument saying what is wrong with it.
    static Result<Regex> compile(std::string_view expression);

    Regex(Regex&&) noexcept;
    Regex& operator=(Regex&&) noexcept;
    ~Regex();

    // Of the groups, from group 1 on; empty for one without a name.
    const std::vector<std::string>& names() const { return names_; }

    // Finds the first match from byte `from` on; `groups` become views into the text, the whole
    // match and then the groups. One that took no part has a null data().
    bool search(std::string_view text, size_t from, std::vector<std::string_view>& groups) const;

  private:
    explicit Regex(std::unique_ptr<re2::RE2> regex);

    std::unique_ptr<re2::RE2> regex_;
    std::vector<std::string> names_;
};

}  // namespace stepdb
