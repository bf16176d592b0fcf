// Catalog checkpoints: everything the log said of runs, schemas and writers up to a sequence, in
// one file. Cold metadata, so it is LZ4-compressed. docs/format.md, "Catalog".
//
//   page 0   common file header, magic "STEPDBCT", details[0] = sequence
//   4096     u64 raw bytes, u64 compressed bytes, u64 checksum of the 16 bytes before and of the
//            compressed bytes (seeded with the place), then the LZ4 block
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/task.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/run_activity.h"
#include "engine/catalog/writer_table.h"
#include "engine/io/file_system.h"
#include "engine/model/file_header.h"

namespace stepdb {

// Version 2 knows discarded attempts, attributes, deletes, retention, activity and highest keys.
inline constexpr FileKind kCatalogKind{"STEPDBCT", "catalog", 2};

// The highest key logged with a schema in an attempt: what late rows are counted against. Merged
// blocks do not tell it, since they are not of the schema the rows came with.
struct HighestKey {
    uint64_t run = 0;
    uint64_t schema = 0;
    uint32_t attempt = 0;
    Key key = 0;

    auto operator<=>(const HighestKey&) const = default;
};

struct CatalogCheckpoint {
    Catalog catalog;
    WriterTable writers;
    RunActivities activities;
    // Nothing in files of before segments were merged: then the blocks tell them.
    std::optional<std::vector<HighestKey>> highest_keys;
};

// The body: u64 bytes of the catalog, the catalog, the writers, the activities, u64 count of
// highest keys and these as u64 run, u64 schema, u32 attempt, i64 key.
std::vector<std::byte> encode_checkpoint(const Catalog& catalog, const WriterTable& writers,
                                         const RunActivities& activities,
                                         const std::vector<HighestKey>& highest_keys);

// Writes and syncs the file (SyncSite::kCatalogData), not its directory.
Task<Status> write_catalog_file(FileSystem& files, std::string path, Id128 store, uint64_t file_id,
                                uint64_t sequence, std::vector<std::byte> body);

// kCorruption naming the file if anything in it is not as written.
Task<Result<CatalogCheckpoint>> read_catalog_file(FileSystem& files, std::string path, Id128 store,
                                                  uint64_t file_id);

// The same over the bytes of the file; messages do not name it. `sequence`, if not null, is set to
// the checkpoint's sequence when the header is intact.
Result<CatalogCheckpoint> decode_catalog_file(Bytes file, const Id128& store, uint64_t file_id,
                                              uint64_t* sequence = nullptr);
// That every byte of it is as written. Nothing is unpacked.
Status check_catalog_file(Bytes file, const Id128& store, uint64_t file_id);
// The part of such a file behind its header, which says `version`.
Result<CatalogCheckpoint> decode_catalog_body(Bytes file, const Id128& store, uint64_t file_id,
                                              uint32_t version);

}  // namespace stepdb
