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

void encode_run(ByteWriter& writer, const Run& run) {
    writer.put(run.id);
    writer.put_text(run.project);
    writer.put_text(run.name);
    writer.put(run.state);
    writer.put(run.created_us);
    writer.put(run.created_sequence);
    writer.put(static_cast<uint32_t>(run.attempts.size()));
    for (const Attempt& attempt : run.attempts) {
        writer.put(attempt.number);
        writer.put(attempt.parent_run);
        writer.put(attempt.parent_attempt);
        writer.put(attempt.parent_cut);
        writer.put(attempt.opened_sequence);
    }
}

Result<std::shared_ptr<const Run>> decode_run(ByteReader& reader) {
    auto run = std::make_shared<Run>();
    run->id = reader.get<uint64_t>();
    run->project = reader.get_text(kIdBytesMax);
    run->name = reader.get_text(kIdBytesMax);
    const auto state = reader.get<uint8_t>();
    run->state = static_cast<RunState>(state);
    run->created_us = reader.get<int64_t>();
    run->created_sequence = reader.get<uint64_t>();
    const auto attempts = reader.get<uint32_t>();
    constexpr size_t kAttemptBytes = 32;
    if (reader.failed() || state > static_cast<uint8_t>(RunState::kFailed) || attempts == 0 ||
        attempts > reader.remaining() / kAttemptBytes) {
        return corrupt(fmt::format("catalog: run {} with state {} and {} attempts in {} bytes",
                                   run->id, state, attempts, reader.remaining()));
    }
    for (uint32_t i = 0; i < attempts; ++i) {
        Attempt attempt;
        attempt.number = reader.get<uint32_t>();
        attempt.parent_run = reader.get<uint64_t>();
        attempt.parent_attempt = reader.get<uint32_t>();
        attempt.parent_cut = reader.get<Key>();
        attempt.opened_sequence = reader.get<uint64_t>();
        run->attempts.push_back(attempt);
    }
    return std::shared_ptr<const Run>(std::move(run));
}

}  // namespace

const Attempt* Run::find_attempt(uint32_t number) const {
    const auto at = std::lower_bound(
        attempts.begin(), attempts.end(), number,
        [](const Attempt& attempt, uint32_t wanted) { return attempt.number < wanted; });
    return at != attempts.end() && at->number == number ? &*at : nullptr;
}

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

void Catalog::put_run(std::shared_ptr<const Run> run) {
    next_run_id_ = std::max(next_run_id_, run->id + 1);
    if (!runs_by_id_.contains(run->id)) {
        const size_t names = run->project.size() + run->name.size();
        index_bytes_ += kRunIndexBytes + names;
        content_bytes_ += sizeof(Run) + run->attempts.size() * sizeof(Attempt) + names;
    }
    runs_by_id_[run->id] = run;
    runs_[std::pair(run->project, run->name)] = std::move(run);
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
    return writer.take();
}

Result<Catalog> Catalog::decode(Bytes bytes) {
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
        TRY_ASSIGN(std::shared_ptr<const Run> run, decode_run(reader));
        catalog.put_run(std::move(run));
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
