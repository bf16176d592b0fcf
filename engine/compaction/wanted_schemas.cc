#include <map>
#include <set>

#include "engine/compaction/merge.h"
#include "engine/compaction/merge_plan.h"

namespace stepdb {

std::vector<WantedSchema> wanted_schemas(
    const std::vector<std::shared_ptr<const SegmentMeta>>& sources, const Catalog& catalog) {
    // What each attempt has of each axis; attempts of a sweep have the same.
    std::map<std::tuple<uint64_t, uint32_t, Axis>, std::set<uint64_t>> attempts;
    for (const auto& segment : sources) {
        for (const SegmentBlock& block : segment->blocks()) {
            attempts[{block.info.run, block.info.attempt, block.info.axis}].insert(
                block.info.schema);
        }
    }
    std::set<std::pair<std::string, std::set<uint64_t>>> seen;
    std::set<std::pair<std::string, SchemaHash>> found;
    std::vector<WantedSchema> wanted;
    for (auto& [attempt, schemas] : attempts) {
        const std::shared_ptr<const Run> run = catalog.find_run(std::get<0>(attempt));
        if (run == nullptr || schemas.size() < 2 || !seen.emplace(run->project, schemas).second) {
            continue;
        }
        MergePlan plan = plan_merge(catalog, std::vector(schemas.begin(), schemas.end()));
        for (Schema& schema : plan.wanted) {
            if (found.emplace(run->project, schema.hash()).second) {
                wanted.emplace_back(run->project, std::move(schema));
            }
        }
    }
    return wanted;
}

}  // namespace stepdb
