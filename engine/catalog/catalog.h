// Projects, runs and schemas: who exists. One Catalog value is a consistent view; the engine keeps
// one that is ahead of the disk (to check frames against) and publishes another, which readers
// share. Runs and schemas inside are immutable and shared between versions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/catalog/run.h"
#include "engine/model/schema.h"

namespace stepdb {

struct StoredSchema {
    uint64_t id = 0;  // store-wide, never reused
    std::shared_ptr<const Schema> schema;
};

class Catalog {
  public:
    // By (project, name) in byte order.
    using RunMap =
        std::map<std::pair<std::string, std::string>, std::shared_ptr<const Run>, std::less<>>;

    const RunMap& runs() const { return runs_; }
    std::shared_ptr<const Run> find_run(std::string_view project, std::string_view name) const;
    std::shared_ptr<const Run> find_run(uint64_t id) const;
    // Undeleted forks of a run, by id.
    std::vector<uint64_t> forks_of(uint64_t run) const;
    // Projects named by a run or a schema, sorted.
    std::vector<std::string> projects() const;

    // Since their last write after so many microseconds runs of these projects are deleted.
    const std::map<std::string, int64_t, std::less<>>& retention() const { return retention_; }

    // A schema known in this project.
    const StoredSchema* find_schema(std::string_view project, const SchemaHash& hash) const;
    const StoredSchema* find_schema(uint64_t id) const;
    size_t schema_count() const { return schemas_by_id_.size(); }
    // All of them, by id.
    std::vector<StoredSchema> schemas() const;

    // --- Changes; only the engine makes them ---

    // Adds a run or replaces it by a changed one.
    void put_run(std::shared_ptr<const Run> run);
    // Nothing happens if it is not there. Its id is not given out again.
    void remove_run(uint64_t id);
    // 0: never.
    void set_retention(std::string_view project, int64_t age_us);
    // Makes the schema known in the project; shares the content with other projects that have it.
    void put_schema(std::string_view project, uint64_t id, std::shared_ptr<const Schema> schema);
    // The id of a content any project has, so that it keeps one id.
    const StoredSchema* find_schema_content(const SchemaHash& hash) const;

    // Memory, about: of the maps, which every copy of the catalog has, and of the runs and schemas,
    // which copies share.
    size_t index_bytes() const { return index_bytes_; }
    size_t content_bytes() const { return content_bytes_; }

    uint64_t next_run_id() const { return next_run_id_; }
    uint64_t next_schema_id() const { return next_schema_id_; }

    // The checkpoint's body (docs/format.md, "Catalog").
    std::vector<std::byte> encode() const;
    // `version`: of the file that holds it.
    static Result<Catalog> decode(Bytes bytes, uint32_t version);

  private:
    RunMap runs_;
    std::map<uint64_t, std::vector<uint64_t>> forks_;  // by parent
    std::map<std::string, int64_t, std::less<>> retention_;
    std::unordered_map<uint64_t, std::shared_ptr<const Run>> runs_by_id_;
    std::unordered_map<uint64_t, StoredSchema> schemas_by_id_;
    std::unordered_map<SchemaHash, uint64_t, Id128Hash> schemas_by_hash_;
    std::map<std::string, std::map<SchemaHash, uint64_t>, std::less<>> project_schemas_;
    uint64_t next_run_id_ = 1;
    uint64_t next_schema_id_ = 1;
    size_t index_bytes_ = 0;
    size_t content_bytes_ = 0;
};

}  // namespace stepdb
