// Merging segments into one. The truth of every point stays what it was: rows keep key, time and
// sequence, values their bits; a value that a newer one of its key replaces becomes absent, and
// rows without a value go. Blocks never mix attempts or axes.
//
// Memory does not depend on what is merged: one window of rows, the values of one block and its
// encoded form, some source blocks, and what is known of the blocks of one
// attempt without reading them.
//
// Everything a merge is given is immutable, so it may run on an executor of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/catalog/catalog.h"
#include "engine/compaction/live_rows.h"
#include "engine/compaction/merge_limits.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/segment/segment_reader.h"
#include "engine/segment/segment_writer.h"

namespace stepdb {

// A block of a segment: the segment's file id and the block's number there.
using BlockPlace = std::pair<uint64_t, size_t>;

struct MergeInput {
    MergeInput() = default;

    FileSystem* files = nullptr;   // of `executor`, on which the merge runs
    Executor* executor = nullptr;  // others get a turn after every column
    Id128 store;
    std::vector<std::shared_ptr<const SegmentMeta>> sources;
    std::shared_ptr<const Catalog> catalog;  // knows every schema of the sources
    std::shared_ptr<const LiveRows> live;
    // Blocks of the sources that were found damaged: carried along as they are, as are those that
    // have been so before.
    std::set<BlockPlace> damaged;
    std::string path;  // of the new segment
    uint64_t file_id = 0;
    WriteTurns* turns = nullptr;  // asked before every piece that is written, if there are any
    MergeLimits limits;
    // Set when the merge is to end early, with kCancelled.
    std::shared_ptr<std::atomic<bool>> cancelled;
};

struct MergeOutcome {
    MergeOutcome() = default;

    // Null if nothing is left of the sources; no file has been made then.
    std::shared_ptr<const SegmentMeta> segment;
    // Why there is no result. The file may be there in part; the caller removes it.
    std::optional<Error> error;
    // The source that could not be read, if that was why; and the block, if just that is damaged.
    std::optional<uint64_t> unreadable;
    std::optional<size_t> damaged_block;
    uint64_t bytes_read = 0;
    uint64_t bytes_written = 0;
    uint64_t rows_copied = 0;   // in blocks of which no value was decoded to write them
    uint64_t rows_encoded = 0;  // in the others
};

// Writes the new segment and syncs it (SyncSite::kCompactedData), not its name.
Task<MergeOutcome> merge_segments(MergeInput input);

// Schemas that the merge would like to have, so that metrics which several schemas name become one
// sequence of blocks: see merge_plan.h. By project.
struct WantedSchema {
    WantedSchema(std::string its_project, Schema its_schema)
        : project(std::move(its_project)), schema(std::move(its_schema)) {}

    std::string project;
    Schema schema;
};
std::vector<WantedSchema> wanted_schemas(
    const std::vector<std::shared_ptr<const SegmentMeta>>& sources, const Catalog& catalog);

}  // namespace stepdb
