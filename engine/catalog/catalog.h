// Projects, runs and schemas: who exists. One Catalog value is a consistent view and cheap to copy:
// copies share what they have in common. The engine keeps one that is ahead of the disk (to check
// frames against) and publishes earlier ones, which readers share. Runs and schemas inside are
// immutable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/catalog/run.h"
#include "engine/catalog/shared_tree.h"
#include "engine/model/schema.h"

namespace stepdb {

struct StoredSchema {
    uint64_t id = 0;  // store-wide, never reused
    std::shared_ptr<const Schema> schema;
};

// Where a run lies among the runs, by project and name in byte order.
struct RunPath {
    std::string_view project;
    std::string_view name;

    auto operator<=>(const RunPath&) const = default;  // NOLINT(modernize-use-nullptr): its 0
};

struct RunByPath {
    static RunPath path(const std::shared_ptr<const Run>& run) { return {run->project, run->name}; }
    static const RunPath& path(const RunPath& path) { return path; }

    bool operator()(const auto& a, const auto& b) const { return path(a) < path(b); }
};

struct ById {
    static uint64_t id(uint64_t id) { return id; }
    static uint64_t id(const std::shared_ptr<const Run>& run) { return run->id; }
    static uint64_t id(const StoredSchema& schema) { return schema.id; }

    bool operator()(const auto& a, const auto& b) const { return id(a) < id(b); }
};

struct ByContent {
    static const SchemaHash& hash(const SchemaHash& hash) { return hash; }
    static const SchemaHash& hash(const StoredSchema& schema) { return schema.schema->hash(); }

    bool operator()(const auto& a, const auto& b) const { return hash(a) < hash(b); }
};

class Catalog {
  public:
    // Looked up by RunPath.
    using RunMap = SharedTree<std::shared_ptr<const Run>, RunByPath>;

    const RunMap& runs() const { return runs_; }
    std::shared_ptr<const Run> find_run(std::string_view project, std::string_view name) const;
    std::shared_ptr<const Run> find_run(uint64_t id) const;
    // Undeleted forks of a run, by id.
    std::vector<uint64_t> forks_of(uint64_t run) const;

    // Since their last write after so many microseconds runs of these projects are deleted.
    using Retention = std::map<std::string, int64_t, std::less<>>;
    const Retention& retention() const;

    // A schema known in this project. Like what the next two return, valid until the catalog
    // changes.
    const StoredSchema* find_schema(std::string_view project, const SchemaHash& hash) const;
    const StoredSchema* find_schema(uint64_t id) const;
    // The id of a content any project has, so that it keeps one id.
    const StoredSchema* find_schema_content(const SchemaHash& hash) const;
    size_t schema_count() const { return schemas_.size(); }
    // All of them, by id.
    const SharedTree<StoredSchema, ById>& schemas() const { return schemas_; }

    // --- Changes; only the engine makes them ---

    // What a change replaces is charged to it for as long as copies of the catalog hold it.
    void charge_replaced_to(std::shared_ptr<MemoryBudget> budget) { replaced_ = std::move(budget); }

    // Adds a run or replaces it by a changed one.
    void put_run(std::shared_ptr<const Run> run);
    // Nothing happens if it is not there. Its id is not given out again.
    void remove_run(uint64_t id);
    // 0: never.
    void set_retention(std::string_view project, int64_t age_us);
    // Makes the schema known in the project; shares the content with other projects that have it.
    void put_schema(std::string_view project, uint64_t id, std::shared_ptr<const Schema> schema);

    // Memory, about: of runs and schemas and of the trees over them, all shared with copies.
    size_t memory_bytes() const;

    uint64_t next_run_id() const { return next_run_id_; }
    uint64_t next_schema_id() const { return next_schema_id_; }

    // The checkpoint's body (docs/format.md, "Catalog").
    void encode(ByteWriter& writer) const;
    // `version`: of the file that holds it.
    static Result<Catalog> decode(Bytes bytes, uint32_t version);

  private:
    struct ProjectNumber {
        std::shared_ptr<const std::string> name;
        uint32_t number = 0;
    };
    struct ByProjectName {
        static std::string_view name(std::string_view name) { return name; }
        static std::string_view name(const ProjectNumber& project) { return *project.name; }

        bool operator()(const auto& a, const auto& b) const { return name(a) < name(b); }
    };
    using PairOfIds = std::pair<uint64_t, uint64_t>;

    uint32_t number_of_project(std::string_view project);
    static Status decode_schemas(ByteReader& reader, Catalog& catalog);
    static Status decode_project_schemas(ByteReader& reader, Catalog& catalog);
    static Status decode_runs(ByteReader& reader, uint32_t version, Catalog& catalog);

    RunMap runs_;
    SharedTree<std::shared_ptr<const Run>, ById> runs_by_id_;
    SharedTree<PairOfIds, std::less<>> forks_;  // parent and fork
    SharedTree<StoredSchema, ById> schemas_;
    SharedTree<StoredSchema, ByContent> schemas_by_content_;
    // Projects that know schemas, numbered in the order in which they came here.
    SharedTree<ProjectNumber, ByProjectName> projects_;
    SharedTree<PairOfIds, std::less<>> project_schemas_;  // number of the project, schema
    std::shared_ptr<const Retention> retention_;          // null: none
    uint64_t next_run_id_ = 1;
    uint64_t next_schema_id_ = 1;
    size_t content_bytes_ = 0;  // of runs and schemas
    std::shared_ptr<MemoryBudget> replaced_;
};

}  // namespace stepdb
