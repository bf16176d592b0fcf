#include "engine/catalog/catalog.h"

#include <algorithm>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// With what the allocator and the count of holders add.
size_t bytes_of(const Run& run) {
    return run.memory_bytes() + 48;
}
size_t bytes_of(const Schema& schema) {
    return schema.memory_bytes() + 32;
}

// Of entries in any order.
template <typename Entry, typename Order>
Result<SharedTree<Entry, Order>> tree_of(std::string_view what, std::vector<Entry> entries) {
    std::sort(entries.begin(), entries.end(), Order());
    const auto twice =
        std::adjacent_find(entries.begin(), entries.end(),
                           [](const Entry& a, const Entry& b) { return !Order()(a, b); });
    if (twice != entries.end()) {
        return corruption(fmt::format("catalog: entry {} of {} is the same {} as the one before",
                                      twice - entries.begin() + 1, entries.size(), what));
    }
    return SharedTree<Entry, Order>::build(std::move(entries));
}

}  // namespace

std::shared_ptr<const Run> Catalog::find_run(std::string_view project,
                                             std::string_view name) const {
    const auto* run = runs_.find(RunPath{project, name});
    return run == nullptr ? nullptr : *run;
}

std::shared_ptr<const Run> Catalog::find_run(uint64_t id) const {
    const auto* run = runs_by_id_.find(id);
    return run == nullptr ? nullptr : *run;
}

const Catalog::Retention& Catalog::retention() const {
    static const Retention none;
    return retention_ == nullptr ? none : *retention_;
}

const StoredSchema* Catalog::find_schema(std::string_view project, const SchemaHash& hash) const {
    const ProjectNumber* known_in = projects_.find(project);
    const StoredSchema* schema = known_in == nullptr ? nullptr : find_schema_content(hash);
    const bool known = schema != nullptr &&
                       project_schemas_.find(PairOfIds(known_in->number, schema->id)) != nullptr;
    return known ? schema : nullptr;
}

const StoredSchema* Catalog::find_schema(uint64_t id) const {
    return schemas_.find(id);
}

const StoredSchema* Catalog::find_schema_content(const SchemaHash& hash) const {
    return schemas_by_content_.find(hash);
}

std::vector<uint64_t> Catalog::forks_of(uint64_t run) const {
    std::vector<uint64_t> forks;
    for (auto at = forks_.lower_bound(PairOfIds(run, 0)); at != forks_.end() && at->first == run;
         ++at) {
        forks.push_back(at->second);
    }
    return forks;
}

void Catalog::put_run(std::shared_ptr<const Run> run) {
    next_run_id_ = std::max(next_run_id_, run->id + 1);
    if (const auto* there = runs_by_id_.find(run->id)) {
        content_bytes_ -= bytes_of(**there);
    } else if (const uint64_t parent = run->fork_parent(); parent != 0) {
        forks_.put(PairOfIds(parent, run->id), replaced_);
    }
    content_bytes_ += bytes_of(*run);
    runs_by_id_.put(run, replaced_);
    runs_.put(std::move(run), replaced_);
}

void Catalog::remove_run(uint64_t id) {
    const std::shared_ptr<const Run> run = find_run(id);
    if (run == nullptr) {
        return;
    }
    content_bytes_ -= bytes_of(*run);
    runs_by_id_.erase(id, replaced_);
    runs_.erase(run, replaced_);
    forks_.erase(PairOfIds(run->fork_parent(), id), replaced_);
}

void Catalog::set_retention(std::string_view project, int64_t age_us) {
    auto changed = std::make_shared<Retention>(retention());
    if (age_us == 0) {
        changed->erase(std::string(project));
    } else {
        (*changed)[std::string(project)] = age_us;
    }
    retention_ = std::move(changed);
}

uint32_t Catalog::number_of_project(std::string_view project) {
    if (const ProjectNumber* there = projects_.find(project)) {
        return there->number;
    }
    ProjectNumber added;
    added.name = std::make_shared<const std::string>(project);
    added.number = static_cast<uint32_t>(projects_.size());
    const uint32_t number = added.number;
    projects_.put(std::move(added), replaced_);
    return number;
}

void Catalog::put_schema(std::string_view project, uint64_t id,
                         std::shared_ptr<const Schema> schema) {
    next_schema_id_ = std::max(next_schema_id_, id + 1);
    if (schemas_.find(id) == nullptr) {
        content_bytes_ += bytes_of(*schema);
        schemas_by_content_.put({id, schema}, replaced_);
        schemas_.put({id, std::move(schema)}, replaced_);
    }
    const PairOfIds known(number_of_project(project), id);
    if (project_schemas_.find(known) == nullptr) {
        project_schemas_.put(known, replaced_);
    }
}

size_t Catalog::memory_bytes() const {
    return content_bytes_ + runs_.memory_bytes() + runs_by_id_.memory_bytes() +
           forks_.memory_bytes() + schemas_.memory_bytes() + schemas_by_content_.memory_bytes() +
           projects_.memory_bytes() + project_schemas_.memory_bytes();
}

void Catalog::encode(ByteWriter& writer) const {
    writer.put(next_run_id_);
    writer.put(next_schema_id_);
    writer.put(static_cast<uint64_t>(schemas_.size()));
    for (const auto& [id, schema] : schemas_) {
        const std::vector<std::byte> content = schema->encode();
        writer.put(id);
        writer.put(static_cast<uint32_t>(content.size()));
        writer.put_bytes(content);
    }
    writer.put(static_cast<uint64_t>(projects_.size()));
    for (const ProjectNumber& project : projects_) {
        writer.put_text(*project.name);
        const size_t count_at = writer.bytes().size();
        writer.put(uint64_t{0});
        uint64_t count = 0;
        for (auto at = project_schemas_.lower_bound(PairOfIds(project.number, 0));
             at != project_schemas_.end() && at->first == project.number; ++at) {
            writer.put(at->second);
            ++count;
        }
        writer.patch(count_at, count);
    }
    writer.put(static_cast<uint64_t>(runs_.size()));
    for (const std::shared_ptr<const Run>& run : runs_) {
        encode_run(writer, *run);
    }
    writer.put(static_cast<uint64_t>(retention().size()));
    for (const auto& [project, age_us] : retention()) {
        writer.put_text(project);
        writer.put(age_us);
    }
}

Status Catalog::decode_schemas(ByteReader& reader, Catalog& catalog) {
    const auto count = reader.get<uint64_t>();
    std::vector<StoredSchema> schemas;
    for (uint64_t i = 0; i < count && !reader.failed(); ++i) {
        const auto id = reader.get<uint64_t>();
        const auto length = reader.get<uint32_t>();
        Result<Schema> schema = Schema::decode(reader.get_bytes(length));
        if (!schema) {
            return corruption(fmt::format("catalog: schema {}: {}", id, schema.error().message()));
        }
        schemas.push_back({id, std::make_shared<const Schema>(std::move(*schema))});
        catalog.content_bytes_ += bytes_of(*schemas.back().schema);
    }
    TRY_ASSIGN(catalog.schemas_by_content_, (tree_of<StoredSchema, ByContent>("schema", schemas)));
    TRY_ASSIGN(catalog.schemas_, (tree_of<StoredSchema, ById>("schema", std::move(schemas))));
    return {};
}

Status Catalog::decode_project_schemas(ByteReader& reader, Catalog& catalog) {
    const auto projects = reader.get<uint64_t>();
    std::vector<PairOfIds> known;
    for (uint64_t i = 0; i < projects && !reader.failed(); ++i) {
        const std::string_view project = reader.get_text(kIdBytesMax);
        const uint32_t number = catalog.number_of_project(project);
        const auto count = reader.get<uint64_t>();
        for (uint64_t j = 0; j < count && !reader.failed(); ++j) {
            const auto id = reader.get<uint64_t>();
            if (catalog.find_schema(id) == nullptr) {
                return corruption(fmt::format(
                    "catalog: project {} names schema {}, which is not there", project, id));
            }
            known.emplace_back(number, id);
        }
    }
    TRY_ASSIGN(catalog.project_schemas_,
               (tree_of<PairOfIds, std::less<>>("schema of a project", std::move(known))));
    return {};
}

Status Catalog::decode_runs(ByteReader& reader, uint32_t version, Catalog& catalog) {
    const auto count = reader.get<uint64_t>();
    std::vector<std::shared_ptr<const Run>> runs;
    std::vector<PairOfIds> forks;
    for (uint64_t i = 0; i < count && !reader.failed(); ++i) {
        TRY_ASSIGN(std::shared_ptr<const Run> run, decode_run(reader, version));
        catalog.content_bytes_ += bytes_of(*run);
        catalog.next_run_id_ = std::max(catalog.next_run_id_, run->id + 1);
        if (run->fork_parent() != 0) {
            forks.emplace_back(run->fork_parent(), run->id);
        }
        runs.push_back(std::move(run));
    }
    TRY_ASSIGN(catalog.forks_, (tree_of<PairOfIds, std::less<>>("fork", std::move(forks))));
    TRY_ASSIGN(catalog.runs_by_id_, (tree_of<std::shared_ptr<const Run>, ById>("run", runs)));
    TRY_ASSIGN(catalog.runs_,
               (tree_of<std::shared_ptr<const Run>, RunByPath>("run", std::move(runs))));
    return {};
}

Result<Catalog> Catalog::decode(Bytes bytes, uint32_t version) {
    Catalog catalog;
    ByteReader reader(bytes);
    const auto next_run = reader.get<uint64_t>();
    const auto next_schema = reader.get<uint64_t>();
    TRY(decode_schemas(reader, catalog));
    TRY(decode_project_schemas(reader, catalog));
    TRY(decode_runs(reader, version, catalog));
    const auto retentions = version >= 2 ? reader.get<uint64_t>() : 0;
    for (uint64_t i = 0; i < retentions && !reader.failed(); ++i) {
        const std::string_view project = reader.get_text(kIdBytesMax);
        catalog.set_retention(project, reader.get<int64_t>());
    }
    if (!reader.finished()) {
        return corruption(fmt::format("catalog: {} bytes, of which {} do not belong to it",
                                      bytes.size(), reader.remaining()));
    }
    for (const StoredSchema& stored : catalog.schemas_) {
        catalog.next_schema_id_ = std::max(catalog.next_schema_id_, stored.id + 1);
    }
    if (catalog.next_run_id_ > next_run || catalog.next_schema_id_ > next_schema) {
        return corruption(fmt::format(
            "catalog: run ids below {} and schema ids below {} are used, while {} and {} are next",
            catalog.next_run_id_, catalog.next_schema_id_, next_run, next_schema));
    }
    catalog.next_run_id_ = next_run;
    catalog.next_schema_id_ = next_schema;
    return catalog;
}

}  // namespace stepdb
