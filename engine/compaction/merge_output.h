// The segment that a merge or a flush writes: made with its first block, and with the names of what
// its blocks name.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/catalog/catalog.h"
#include "engine/compaction/copied_rows.h"
#include "engine/io/file_system.h"
#include "engine/segment/segment_writer.h"

namespace stepdb {

class MergeOutput {
  public:
    // The catalog knows all runs and schemas of the blocks. `expected_bytes` as in
    // SegmentWriter::create.
    MergeOutput(FileSystem& files, std::string path, Id128 store, uint64_t file_id,
                std::shared_ptr<const Catalog> catalog, WriteTurns* turns,
                uint64_t expected_bytes = 0)
        : writer_(files, std::move(path), store, file_id, turns),
          catalog_(std::move(catalog)),
          expected_bytes_(expected_bytes) {}

    // Blocks, as SegmentWriter takes them. Of begin_block strips and summaries follow by put_rest.
    Task<Status> put_block(std::shared_ptr<const EncodedBlock> block, size_t summary_rows_min = 0);
    Task<Status> put_copied(const CopiedBlock* block);
    Task<Status> put_damaged(SegmentBlock block, uint64_t file_id, Bytes bytes);
    Task<Status> begin_block(BlockInfo info, Bytes axis, Bytes directory, Bytes summaries);
    Task<Status> put_rest(Bytes bytes) { return writer_.put_rest(bytes); }

    // Syncs the segment as `site`; null if it has no block, and then there is no file.
    Task<Result<std::shared_ptr<const SegmentMeta>>> finish(SyncSite site);
    // Instead of finish(): nothing is written any more when it has ended.
    Task<void> abandon() { return writer_.abandon(); }

  private:
    Task<Status> begin(const BlockInfo& info);
    SegmentNames names() const;

    SegmentWriter writer_;
    std::shared_ptr<const Catalog> catalog_;
    uint64_t expected_bytes_;
    bool created_ = false;
    std::set<uint64_t> runs_;
    std::set<uint64_t> schemas_;
};

}  // namespace stepdb
