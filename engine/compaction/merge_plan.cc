#include "engine/compaction/merge_plan.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// Metrics by the schemas that name them, as positions in schema_ids; metrics in the order in which
// the schemas list them.
using Classes = std::map<std::vector<uint32_t>, std::vector<std::string_view>>;

Classes classes_of(const std::vector<std::shared_ptr<const Schema>>& schemas) {
    std::unordered_map<std::string_view, std::vector<uint32_t>> named_by;
    std::vector<std::string_view> in_order;
    for (uint32_t i = 0; i < schemas.size(); ++i) {
        for (const std::string_view metric : schemas[i]->metrics()) {
            std::vector<uint32_t>& by = named_by[metric];
            if (by.empty()) {
                in_order.push_back(metric);
            }
            by.push_back(i);
        }
    }
    Classes classes;
    for (const std::string_view metric : in_order) {
        classes[named_by[metric]].push_back(metric);
    }
    return classes;
}

class Planner {
  public:
    Planner(const Catalog& catalog, std::span<const uint64_t> ids) : catalog_(catalog), ids_(ids) {
        schemas_.reserve(ids.size());
        for (const uint64_t id : ids) {
            const StoredSchema* schema = catalog.find_schema(id);
            CHECK(schema != nullptr, "schema {}", id);
            schemas_.push_back(schema->schema);
        }
    }

    MergePlan plan() {
        for (const auto& [by, metrics] : classes_of(schemas_)) {
            if (by.size() == 1) {
                add(ids_[by.front()], schemas_[by.front()], metrics, by);
                continue;
            }
            const std::optional<StoredSchema> schema = schema_of(by, metrics);
            if (schema) {
                add(schema->id, schema->schema, metrics, by);
                continue;
            }
            for (const uint32_t one : by) {
                add(ids_[one], schemas_[one], metrics, {one});
            }
        }
        MergePlan plan;
        plan.wanted = std::move(wanted_);
        for (auto& [id, group] : groups_) {
            std::ranges::sort(group.columns);
            plan.groups.push_back(std::move(group));
        }
        return plan;
    }

  private:
    // The schema that lists exactly these metrics.
    std::optional<StoredSchema> schema_of(const std::vector<uint32_t>& by,
                                          const std::vector<std::string_view>& metrics) {
        for (const uint32_t one : by) {
            if (schemas_[one]->width() == metrics.size()) {
                return StoredSchema{ids_[one], schemas_[one]};
            }
        }
        std::vector<std::string_view> names = metrics;
        // The same metrics are to give the same schema, whoever brought them.
        std::ranges::sort(names);
        std::ranges::stable_sort(names, natural_less);
        Result<Schema> schema = Schema::create(schemas_.front()->axis(), names);
        CHECK(schema.has_value(), "{}", schema.error().message());
        if (const StoredSchema* known = catalog_.find_schema_content(schema->hash())) {
            return *known;
        }
        wanted_.push_back(std::move(*schema));
        return std::nullopt;
    }

    void add(uint64_t id, const std::shared_ptr<const Schema>& schema,
             const std::vector<std::string_view>& metrics, const std::vector<uint32_t>& by) {
        MergeGroup& group = groups_[id];
        group.schema_id = id;
        group.schema = schema;
        for (const std::string_view metric : metrics) {
            group.columns.push_back(*schema->find(metric));
        }
        // Of a schema's own metrics and of those left with it the source is the same.
        group.source_schemas.clear();
        for (const uint32_t one : by) {
            group.source_schemas.push_back(ids_[one]);
        }
    }

    const Catalog& catalog_;
    std::span<const uint64_t> ids_;
    std::vector<std::shared_ptr<const Schema>> schemas_;
    std::map<uint64_t, MergeGroup> groups_;
    std::vector<Schema> wanted_;
};

}  // namespace

MergePlan plan_merge(const Catalog& catalog, std::span<const uint64_t> schema_ids) {
    return Planner(catalog, schema_ids).plan();
}

}  // namespace stepdb
