// Writing a segment of what was in memory. Blocks of a series are sealed small, while their rows
// are in a cache; here those that follow each other are put together as a merge would, without
// their values being decoded, so that most of what is logged is written once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/catalog/catalog.h"
#include "engine/compaction/merge_limits.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/segment/block.h"
#include "engine/segment/segment_reader.h"
#include "engine/segment/segment_writer.h"

namespace stepdb {

// All of it immutable, so that it may be written on an executor of its own.
struct FlushInput {
    FlushInput() = default;

    FileSystem* files = nullptr;   // of `executor`, on which the segment is written
    Executor* executor = nullptr;  // others get a turn after every block that is put together
    Id128 store;
    std::string path;
    uint64_t file_id = 0;
    std::shared_ptr<const Catalog> catalog;  // knows the runs and schemas of the blocks
    // At least one, in the order of sorts_before.
    std::vector<std::shared_ptr<const EncodedBlock>> blocks;
    WriteTurns* turns = nullptr;  // as in MergeInput
    MergeLimits limits;
};

// The blocks of a flush, by group, as one to three segments. Those of runs that have logged so much
// that a merge would gain nothing are apart: they are not written again for the others. And a run
// that logs a row a second beside one that logs gigabytes would be in as many pieces as these take
// segments; by themselves the quiet ones stay in few.
std::vector<std::vector<std::shared_ptr<const EncodedBlock>>> share_out(
    const std::vector<std::shared_ptr<const EncodedBlock>>& blocks, const MergeLimits& limits);

// Writes and syncs (SyncSite::kSegmentData) the segment, not its name. After an error the file may
// be there in part; the caller removes it.
Task<Result<std::shared_ptr<const SegmentMeta>>> write_flush_segment(FlushInput input);

}  // namespace stepdb
