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
    // With as many columns as it may get, without what the catalog has of the runs.
    size_t memory_bytes() const { return memory_bytes_; }

    // Of the runs' own attributes, not of those that the server works out; stays as long as the
    // list. Null if it is not known yet.
    std::shared_ptr<const AttributeColumn> find_column(const std::string& name) const;
    // Looks into each run, and keeps what it finds in place of that of another name.
    std::shared_ptr<const AttributeColumn> make_column(const std::string& name) const;

  private:
    static constexpr size_t kColumnsMax = 8;
    using Columns = std::map<std::string, std::shared_ptr<const AttributeColumn>>;

    std::vector<SelectedRun> runs_;
    size_t memory_bytes_ = 0;
    mutable Guarded<Columns> columns_;
};

class KnownRuns {
  public:
    using Runs = std::shared_ptr<const RunList>;

    // Fewer are found as quickly as they are copied.
    static constexpr size_t kRunsMin = 256;
    explicit KnownRuns(size_t runs_min = kRunsMin) : runs_min_(runs_min) {}

    bool are_enough(size_t runs) const { return runs >= runs_min_; }

    // Of all lists together: those of some hundred thousand runs.
    static constexpr size_t kBytesMax = 32U << 20U;

    // Null if they are not known of this catalog. Lets go of what is of another: every query comes
    // here, and runs that were deleted shall not stay for their lists.
    Runs find(const std::shared_ptr<const Catalog>& catalog,
              const std::vector<RunPattern>& patterns);
    // In place of those used longest ago; not if they are too few, or too many.
    void keep(const std::shared_ptr<const Catalog>& catalog,
              const std::vector<RunPattern>& patterns, Runs runs);

  private:
    struct Entry {
        std::weak_ptr<const Catalog> catalog;
        std::string patterns;
        Runs runs;

        size_t memory_bytes() const { return patterns.capacity() + runs->memory_bytes(); }
    };

    const size_t runs_min_;
    Guarded<std::list<Entry>> entries_;  // those used last first
};

}  // namespace stepdb
