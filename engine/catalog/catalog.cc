#include "engine/catalog/catalog.h"

#include <algorithm>
#include <set>

#include "engine/base/coding.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

// Nodes of the maps over runs and schemas with what the allocator adds.
constexpr size_t kRunIndexBytes = 192;
constexpr size_t kSchemaIndexBytes = 224;

Error corrupt(std::string message) {
    return Error(ErrorCode::kCorruption, std::move(message));
}

}  // namespace

std::shared_ptr<const Run> Catalog::find_run(std::string_view project,
                                             std::string_view name) const {
    const auto at = runs_.find(std::pair(std::string(project), std::string(name)));
    return at == runs_.end() ? nullptr : at->second;
}

std::shared_ptr<const Run> Catalog::find_run(uint64_t id) const {
    const auto at = runs_by_id_.find(id);
    return at == runs_by_id_.end() ? nullptr : at->second;
}

std::vector<std::string> Catalog::projects() const {
    std::set<std::string> names;
    for (const auto& [key, run] : runs_) {
        names.insert(key.first);
    }
    for (const auto& [project, schemas] : project_schemas_) {
        names.insert(project);
    }
    return {names.begin(), names.end()};
}

const StoredSchema* Catalog::find_schema(std::string_view project, const SchemaHash& hash) const {
    const auto in_project = project_schemas_.find(project);
    if (in_project == project_schemas_.end()) {
        return nullptr;
    }
    const auto at = in_project->second.find(hash);
    return at == in_project->second.end() ? nullptr : find_schema(at->second);
}

const StoredSchema* Catalog::find_schema(uint64_t id) const {
    const auto at = schemas_by_id_.find(id);
    return at == schemas_by_id_.end() ? nullptr : &at->second;
}

const StoredSchema* Catalog::find_schema_content(const SchemaHash& hash) const {
    const auto at = schemas_by_hash_.find(hash);
    return at == schemas_by_hash_.end() ? nullptr : find_schema(at->second);
}

std::vector<StoredSchema> Catalog::schemas() const {
    std::vector<StoredSchema> all;
    all.reserve(schemas_by_id_.size());
    for (const auto& [id, stored] : schemas_by_id_) {
        all.push_back(stored);
    }
    std::ranges::sort(all, {}, &StoredSchema::id);
    return all;
}

std::vector<uint64_t> Catalog::forks_of(uint64_t run) const {
    const auto at = forks_.find(run);
    return at == forks_.end() ? std::vector<uint64_t>() : at->second;
}

void Catalog::put_run(std::shared_ptr<const Run> run) {
    next_run_id_ = std::max(next_run_id_, run->id + 1);
    std::shared_ptr<const Run>& there = runs_by_id_[run->id];
    if (there == nullptr) {
        index_bytes_ += kRunIndexBytes + run->project.size() + run->name.size();
        if (const uint64_t parent = run->fork_parent(); parent != 0) {
            forks_[parent].push_back(run->id);
        }
    } else {
        content_bytes_ -= there->memory_bytes();
    }
    content_bytes_ += run->memory_bytes();
    there = run;
    runs_[std::pair(run->project, run->name)] = std::move(run);
}

void Catalog::remove_run(uint64_t id) {
    const auto at = runs_by_id_.find(id);
    if (at == runs_by_id_.end()) {
        return;
    }
    const std::shared_ptr<const Run> run = std::move(at->second);
    runs_by_id_.erase(at);
    runs_.erase(std::pair(run->project, run->name));
    index_bytes_ -= kRunIndexBytes + run->project.size() + run->name.size();
    content_bytes_ -= run->memory_bytes();
    if (const auto siblings = forks_.find(run->fork_parent()); siblings != forks_.end()) {
        std::erase(siblings->second, id);
        if (siblings->second.empty()) {
            forks_.erase(siblings);
        }
    }
}

void Catalog::set_retention(std::string_view project, int64_t age_us) {
    if (age_us == 0) {
        retention_.erase(std::string(project));
    } else {
        retention_[std::string(project)] = age_us;
    }
}

void Catalog::put_schema(std::string_view project, uint64_t id,
                         std::shared_ptr<const Schema> schema) {
    next_schema_id_ = std::max(next_schema_id_, id + 1);
    const SchemaHash hash = schema->hash();
    const size_t content = schema->memory_bytes();
    if (schemas_by_id_.try_emplace(id, StoredSchema{id, std::move(schema)}).second) {
        schemas_by_hash_.emplace(hash, id);
        content_bytes_ += content;
    }
    if (project_schemas_[std::string(project)].emplace(hash, id).second) {
        index_bytes_ += kSchemaIndexBytes;
    }
}

std::vector<std::byte> Catalog::encode() const {
    ByteWriter writer;
    writer.put(next_run_id_);
    writer.put(next_schema_id_);
    writer.put(static_cast<uint64_t>(schemas_by_id_.size()));
    for (const auto& [id, stored] : schemas_by_id_) {
        const std::vector<std::byte> content = stored.schema->encode();
        writer.put(id);
        writer.put(static_cast<uint32_t>(content.size()));
        writer.put_bytes(content);
    }
    writer.put(static_cast<uint64_t>(project_schemas_.size()));
    for (const auto& [project, schemas] : project_schemas_) {
        writer.put_text(project);
        writer.put(static_cast<uint64_t>(schemas.size()));
        for (const auto& [hash, id] : schemas) {
            writer.put(id);
        }
    }
    writer.put(static_cast<uint64_t>(runs_.size()));
    for (const auto& [key, run] : runs_) {
        encode_run(writer, *run);
    }
    writer.put(static_cast<uint64_t>(retention_.size()));
    for (const auto& [project, age_us] : retention_) {
        writer.put_text(project);
        writer.put(age_us);
    }
    return writer.take();
}

Result<Catalog> Catalog::decode(Bytes bytes, uint32_t version) {
    Catalog catalog;
    ByteReader reader(bytes);
    const auto next_run = reader.get<uint64_t>();
    const auto next_schema = reader.get<uint64_t>();
    const auto schemas = reader.get<uint64_t>();
    for (uint64_t i = 0; i < schemas && !reader.failed(); ++i) {
        const auto id = reader.get<uint64_t>();
        const auto length = reader.get<uint32_t>();
        Result<Schema> schema = Schema::decode(reader.get_bytes(length));
        if (!schema) {
            return corrupt(fmt::format("catalog: schema {}: {}", id, schema.error().message()));
        }
        const auto shared = std::make_shared<const Schema>(std::move(*schema));
        catalog.schemas_by_hash_.emplace(shared->hash(), id);
        catalog.schemas_by_id_.emplace(id, StoredSchema{id, shared});
        catalog.content_bytes_ += shared->memory_bytes();
    }
    const auto projects = reader.get<uint64_t>();
    for (uint64_t i = 0; i < projects && !reader.failed(); ++i) {
        const std::string project(reader.get_text(kIdBytesMax));
        const auto count = reader.get<uint64_t>();
        for (uint64_t j = 0; j < count && !reader.failed(); ++j) {
            const auto id = reader.get<uint64_t>();
            const StoredSchema* stored = catalog.find_schema(id);
            if (stored == nullptr) {
                return corrupt(fmt::format(
                    "catalog: project {} names schema {}, which is not there", project, id));
            }
            catalog.project_schemas_[project].emplace(stored->schema->hash(), id);
            catalog.index_bytes_ += kSchemaIndexBytes;
        }
    }
    const auto runs = reader.get<uint64_t>();
    for (uint64_t i = 0; i < runs && !reader.failed(); ++i) {
        TRY_ASSIGN(std::shared_ptr<const Run> run, decode_run(reader, version));
        catalog.put_run(std::move(run));
    }
    const auto retentions = version >= 2 ? reader.get<uint64_t>() : 0;
    for (uint64_t i = 0; i < retentions && !reader.failed(); ++i) {
        const std::string_view project = reader.get_text(kIdBytesMax);
        catalog.set_retention(project, reader.get<int64_t>());
    }
    if (!reader.finished()) {
        return corrupt(fmt::format("catalog: {} bytes, of which {} do not belong to it",
                                   bytes.size(), reader.remaining()));
    }
    for (const auto& [id, stored] : catalog.schemas_by_id_) {
        catalog.next_schema_id_ = std::max(catalog.next_schema_id_, id + 1);
    }
    if (catalog.next_run_id_ > next_run || catalog.next_schema_id_ > next_schema) {
        return corrupt(fmt::format(
            "catalog: run ids below {} and schema ids below {} are used, while {} and {} are next",
            catalog.next_run_id_, catalog.next_schema_id_, next_run, next_schema));
    }
    catalog.next_run_id_ = next_run;
    catalog.next_schema_id_ = next_schema;
    return catalog;
}

}  // namespace stepdb
