// What becomes of the metrics of one attempt when its blocks are merged: which schema the merged
// blocks of each have, so that a metric has one sequence of blocks, whichever schemas brought it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/model/schema.h"

namespace stepdb {

// Blocks to be written: some columns of a schema, from blocks of one or more schemas.
struct MergeGroup {
    MergeGroup() = default;

    uint64_t schema_id = 0;
    std::shared_ptr<const Schema> schema;
    std::vector<uint32_t> columns;         // of `schema`, ascending
    std::vector<uint64_t> source_schemas;  // ascending
};

struct MergePlan {
    MergePlan() = default;

    std::vector<MergeGroup> groups;  // by schema_id
    // Metrics that several schemas name and that no schema of the catalog lists by themselves; for
    // now they stay in blocks of the schemas that brought them.
    std::vector<Schema> wanted;
};

// The schemas, of one axis, that the blocks of an attempt have; ascending ids of the catalog.
//
// Metrics are taken together by the set of schemas that name them. Those of one schema alone stay
// with it. Those of several become blocks of the schema that lists exactly them: one of the
// several if there is one, else a schema made for it.
MergePlan plan_merge(const Catalog& catalog, std::span<const uint64_t> schema_ids);

}  // namespace stepdb
