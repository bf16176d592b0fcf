// Which runs some patterns select, kept for the next query with the same patterns while the catalog
// stays as it is: to match, name and order a hundred thousand runs takes longer than to go through
// them. Any thread.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/io/guarded.h"
#include "engine/model/attribute.h"
#include "query/ast.h"

namespace stepdb {

class Catalog;
struct SelectedRun;

// Runs as a query of nothing else binds them, each with its place here.
class RunList {
  public:
    // What each run has of an attribute; null: nothing.
    using AttributeColumn = std::vector<const AttributeValue*>;

    explicit RunList(std::vector<SelectedRun> runs);
    ~RunList();
    RunList(const RunList&) = delete;
    RunList& operator=(const RunList&) = delete;

    const std::vector<SelectedRun>& runs() const { return runs_; }

    // Of the runs' own attributes, not of those that the server works out; stays as long as the
    // list. Looked up in each run once; null for more names than are kept.
    std::shared_ptr<const AttributeColumn> column(const std::string& name) const;

  private:
    static constexpr size_t kColumnsMax = 8;
    using Columns = std::map<std::string, std::shared_ptr<const AttributeColumn>>;

    std::vector<SelectedRun> runs_;
    mutable Guarded<Columns> columns_;
};

class KnownRuns {
  public:
    using Runs = std::shared_ptr<const RunList>;

    // Fewer are found as quickly as they are copied.
    static constexpr size_t kRunsMin = 256;
    // Of all that is kept together, a fifth of a kilobyte each.
    static constexpr size_t kRunsMax = 128U << 10U;

    static bool is_worth_keeping(size_t runs) { return kRunsMin <= runs && runs <= kRunsMax; }

    // Null if they are not known of this catalog.
    Runs find(const std::shared_ptr<const Catalog>& catalog,
              const std::vector<RunPattern>& patterns);
    // In place of what is of another catalog, or was used longest ago. `runs` are worth keeping.
    void keep(const std::shared_ptr<const Catalog>& catalog,
              const std::vector<RunPattern>& patterns, Runs runs);

  private:
    struct Entry {
        std::weak_ptr<const Catalog> catalog;
        std::string patterns;
        Runs runs;
    };

    Guarded<std::list<Entry>> entries_;  // those used last first
};

}  // namespace stepdb
