// Writing segments.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/segment/block.h"
#include "engine/segment/segment_format.h"
#include "engine/segment/segment_reader.h"

namespace stepdb {

// Writes one segment, a block at a time, in pieces of kSegmentWriteBytes. After an error the file
// may be there in part; the caller removes it. Used on the executor of the file system.
class SegmentWriter {
  public:
    SegmentWriter(FileSystem& files, std::string path, Id128 store, uint64_t file_id);

    Task<Status> create();

    // Begins a block; blocks come in the order of sorts_before. Its strips follow, in as many parts
    // as the caller likes, then once more its summaries. `info` says how long each section is.
    Task<Status> begin_block(BlockInfo info, Bytes axis, Bytes directory, Bytes summaries);
    Task<Status> put_rest(Bytes bytes);
    // `pieces`, one behind the other, stay where they are until it has ended.
    Task<Status> put_pieces(std::span<const Bytes> pieces);
    Task<Status> put_block(std::shared_ptr<const EncodedBlock> block);
    // A block that was found damaged in file `file_id`, with the bytes that are there.
    Task<Status> put_damaged(SegmentBlock block, uint64_t file_id, Bytes bytes);

    size_t blocks() const { return placed_.size(); }
    // What has been put so far.
    uint64_t bytes() const { return written_ + used_; }

    // Ends the file, which has at least one block, and syncs it as `site`; the name is durable only
    // once the caller has synced the directory. `names` holds every run and schema that the blocks
    // name.
    Task<Result<std::shared_ptr<const SegmentMeta>>> finish(SegmentNames names, SyncSite site);

  private:
    void check_order(const BlockInfo& info) const;
    Task<Status> put(Bytes bytes);
    Task<Status> write_out();

    FileSystem& files_;
    std::string path_;
    Id128 store_;
    uint64_t file_id_;
    std::unique_ptr<File> file_;
    AlignedBuffer buffer_;
    uint64_t written_ = 0;  // bytes before those in the buffer
    size_t used_ = 0;
    std::vector<SegmentBlock> placed_;
};

// Writes and syncs (SyncSite::kSegmentData) a segment of these blocks, sorted. `blocks` is not
// empty and of one store.
Task<Result<std::shared_ptr<const SegmentMeta>>> write_segment(
    FileSystem& files, std::string path, Id128 store, uint64_t file_id,
    std::vector<std::shared_ptr<const EncodedBlock>> blocks, SegmentNames names);

}  // namespace stepdb
