// Which schemas carry the rows of a log. A schema is best for rows that have all of its metrics:
// presence costs a bitmap a row, and every schema a tail of its own in the store. So the sets of
// metrics that occur together often, or of which there are few, get a schema each, and what is left
// shares one schema of all its metrics.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/schema.h"
#include "tools/import/log_row.h"

namespace stepdb {

struct PlannedSchema {
    PlannedSchema() = default;

    std::shared_ptr<const Schema> schema;
    std::vector<uint32_t> metrics;  // of its columns, as indices into the log's list, ascending
};

// Made by SchemaPlanner for one log.
class SchemaPlan {
  public:
    const std::vector<PlannedSchema>& schemas() const { return schemas_; }

    // The schema for a row that the planner has seen, as an index into schemas().
    uint32_t find(const LogRow& row);

  private:
    friend class SchemaPlanner;

    std::vector<PlannedSchema> schemas_;
    std::unordered_map<std::string, uint32_t> schema_of_set_;
    uint32_t shared_ = 0;  // of sets not in the map
    uint32_t last_ = 0;    // rows of one kind come in runs
};

class SchemaPlanner {
  public:
    void see(const LogRow& row);
    uint64_t rows() const { return rows_; }
    // Values of every metric so far.
    const std::vector<uint64_t>& points() const { return points_; }

    // `metrics` is the log's list.
    Result<SchemaPlan> plan(Axis axis, const std::vector<std::string>& metrics) const;

  private:
    static constexpr size_t kFewSets = 16;               // so many always get a schema each
    static constexpr uint64_t kOftenRows = 64;           // so do sets with so many rows
    static constexpr size_t kSetsCountedMax = 4096;      // these two bound what irregular logs take
    static constexpr size_t kSetMetricsMax = 4U << 20U;  // of all sets that are counted

    struct Set {
        std::vector<uint32_t> metrics;
        uint64_t rows = 0;
    };

    std::unordered_map<std::string, size_t> ids_;  // into sets_
    std::vector<Set> sets_;                        // in order of appearance
    std::vector<uint8_t> uncounted_;               // metrics of sets beyond these
    bool has_uncounted_ = false;
    size_t set_metrics_ = 0;
    std::vector<uint64_t> points_;
    uint64_t rows_ = 0;
    size_t last_ = 0;
};

}  // namespace stepdb
