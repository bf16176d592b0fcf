// Writing segments.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/segment/block.h"
#include "engine/segment/segment_format.h"
#include "engine/segment/segment_reader.h"

namespace stepdb {

// Creates the file `path`, writes the blocks sorted, in pieces of kSegmentWriteBytes, and syncs it
// (SyncSite::kSegmentData); the name is durable only once the caller has synced the directory.
// `blocks` is not empty and of one store; `names` holds every run and schema that they name. After
// an error the file may be there in part; the caller removes it.
Task<Result<std::shared_ptr<const SegmentMeta>>> write_segment(
    FileSystem& files, std::string path, Id128 store, uint64_t file_id,
    std::vector<std::shared_ptr<const EncodedBlock>> blocks, SegmentNames names);

}  // namespace stepdb
