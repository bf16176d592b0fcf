// Which runs some patterns select, kept for the next query with the same patterns while the catalog
// stays as it is: to match, name and order a hundred thousand runs takes longer than to go through
// them. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/io/guarded.h"
#include "engine/model/attribute.h"
#include "query/ast.h"
#include "query/value.h"

namespace stepdb {

class Catalog;
class SummaryPlaces;
struct SelectedRun;

// What each run of a list has of one attribute, close together: to look into a hundred thousand
// runs takes most of the time of a table of them. Texts and sets stay the runs' own, which outlive
// the column.
class AttributeColumn {
  public:
    void reserve(size_t runs) { cells_.reserve(runs); }
    // Null: nothing.
    void push_back(const AttributeValue* value);
    // No more comes.
    void finish() { texts_.clear(); }

    size_t size() const { return cells_.size(); }
    Value value(size_t at) const;

  private:
    struct Cell {
        Value::Kind kind = Value::Kind::kMissing;
        union {
            int64_t integer = 0;
            double number;
            const std::string* text;
            const StringSet* texts;
        };
    };

    std::vector<Cell> cells_;
    // Of equal texts the first stands for all: most attributes have few, which stay at hand.
    std::unordered_map<std::string_view, const std::string*> texts_;
};

// Runs as a query of nothing else binds them, each with its place here.
class RunList {
  public:
    explicit RunList(std::vector<SelectedRun> runs);
    ~RunList();
    RunList(const RunList&) = delete;
    RunList& operator=(const RunList&) = delete;

    const std::vector<SelectedRun>& runs() const { return runs_; }
    // Of all runs, ascending, each once.
    const std::vector<uint64_t>& ids() const { return ids_; }
    // With as many columns as it may get, without what the catalog has of the runs.
    size_t memory_bytes() const { return memory_bytes_; }

    // Of the runs' own attributes, not of those that the server works out; stays as long as the
    // list. Null if it is not known yet.
    std::shared_ptr<const AttributeColumn> find_column(const std::string& name) const;
    // Looks into each run, and keeps what it finds in place of that of another name.
    std::shared_ptr<const AttributeColumn> make_column(const std::string& name) const;

    // Where summaries of a metric of the runs were found last, in place of those of another metric.
    // They may be of segments that are no longer there. Null if it is not known.
    std::shared_ptr<const SummaryPlaces> find_summaries(const std::string& metric) const;
    void keep_summaries(const std::string& metric,
                        std::shared_ptr<const SummaryPlaces> places) const;

  private:
    static constexpr size_t kColumnsMax = 6;  // of each kind
    template <typename Column>
    using Columns = std::map<std::string, std::shared_ptr<const Column>>;

    std::vector<SelectedRun> runs_;
    std::vector<uint64_t> ids_;
    size_t memory_bytes_ = 0;
    mutable Guarded<Columns<AttributeColumn>> columns_;
    mutable Guarded<Columns<SummaryPlaces>> summaries_;
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

    // `reading_key`: of who asks (Rights::reading_key()); patterns select what they may read.
    // Null if they are not known of this catalog. Lets go of what is of another: every query comes
    // here, and runs that were deleted shall not stay for their lists.
    Runs find(const std::shared_ptr<const Catalog>& catalog,
              const std::vector<RunPattern>& patterns, std::string_view reading_key = "");
    // In place of those used longest ago; not if they are too few, or too many.
    void keep(const std::shared_ptr<const Catalog>& catalog,
              const std::vector<RunPattern>& patterns, Runs runs,
              std::string_view reading_key = "");

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
