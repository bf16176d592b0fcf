// Which schemas carry the rows of a log that is still being written: what schema_plan.h does for
// one that can be read beforehand. The first sets of metrics get a schema each. Those that come
// later share one of all metrics there are, with a bitmap a row; metrics that are newer than it go
// by themselves, until they are as many as it has and it is made anew. So there are never more
// schemas than kSetsMax, one for each metric, and one for each doubling of their number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/schema.h"
#include "tools/import/schema_plan.h"

namespace stepdb {

// Single-threaded.
class GrowingSchemas {
  public:
    static constexpr size_t kSetsMax = 32;

    explicit GrowingSchemas(Axis axis) : axis_(axis) {}

    // Schemas that together carry a row of these metrics (ascending, at least one) and share none
    // of them, as indices into schemas(). A metric is an index into `names`, which only grows.
    Result<std::vector<uint32_t>> find(const std::vector<uint32_t>& metrics,
                                       const std::vector<std::string>& names);

    // Only grows.
    const std::vector<PlannedSchema>& schemas() const { return schemas_; }

  private:
    Result<uint32_t> add(std::vector<uint32_t> metrics, const std::vector<std::string>& names);
    void see(const std::vector<uint32_t>& metrics);
    Status share(const std::vector<std::string>& names);

    const Axis axis_;
    std::vector<PlannedSchema> schemas_;
    std::unordered_map<std::string, uint32_t> schema_of_set_;
    std::vector<uint8_t> is_seen_;  // by metric
    size_t seen_ = 0;
    uint32_t shared_ = UINT32_MAX;     // none yet
    std::vector<uint8_t> is_shared_;   // by metric
    std::vector<uint32_t> schema_of_;  // by metric: of it alone; UINT32_MAX: none
};

}  // namespace stepdb
