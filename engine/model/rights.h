// What the holder of a token may do, project by project. The session of a connection carries it,
// from hello to the places that look at it: WritePath, which refuses frames, and bind_query(), for
// which runs that may not be read do not exist.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace stepdb {

// Admin includes all others, none of which includes another.
enum class Right : uint8_t {
    kRead,     // queries and watches see the project's runs
    kWrite,    // rows and everything else that changes runs, deletes too
    kAdmin,    // besides: the project's retention; of all projects: backups
    kMetrics,  // of all projects or of no use: what the server tells of itself, without any name
};

inline constexpr std::array<Right, 4> kRights = {Right::kRead, Right::kWrite, Right::kAdmin,
                                                 Right::kMetrics};

// "read", "write", "admin", "metrics".
std::string_view right_name(Right right);

// A project's id in which `*` stands for any characters, none too; `P/*`, as queries name all runs
// of a project, is the same as `P`. kInvalidArgument if it can be none.
Result<std::string> parse_project_pattern(std::string_view text);

class Rights {
  public:
    // Nothing at first. `holder` stands in errors, such as "token 'ci'".
    explicit Rights(std::string holder) : holder_(std::move(holder)) {}

    // `pattern` is one of parse_project_pattern().
    void grant(Right right, std::string pattern);

    bool may(Right right, std::string_view project) const;
    // Of every project that there is or may come.
    bool may_everywhere(Right right) const;

    const std::string& holder() const { return holder_; }
    // Granted as such, in the order of the grants.
    const std::vector<std::string>& patterns(Right right) const {
        return patterns_[static_cast<size_t>(right)];
    }
    // The same for those who may read the same; "" if that is everything.
    std::string reading_key() const;

  private:
    std::string holder_;
    std::array<std::vector<std::string>, kRights.size()> patterns_;
};

// Rights that are null are those of who needs none: a server without tokens, the engine itself.

inline bool may_read(const Rights* rights, std::string_view project) {
    return rights == nullptr || rights->may(Right::kRead, project);
}

// kPermissionDenied that names holder, right and project, and how the right is given.
Status check_right(const Rights* rights, Right right, std::string_view project);

// Likewise for what concerns the whole store, `what` being such as "back up the store": it takes
// the right everywhere.
Status check_store_right(const Rights* rights, Right right, std::string_view what);

}  // namespace stepdb
