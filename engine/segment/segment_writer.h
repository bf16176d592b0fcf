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

// Lets who must not wait, the log, write first.
class WriteTurns {
  public:
    virtual ~WriteTurns() = default;
    // Ends when the next piece may be written.
    virtual Task<void> next() = 0;
};

// Writes one segment, a block at a time, in pieces of kSegmentWriteBytes, a few of which are under
// way at once: the disk takes several times what it takes one by one. After an error the file may
// be there in part; the caller removes it. Used on the executor of the file system.
class SegmentWriter {
  public:
    // Asks `turns`, if there are any, before every piece; they outlive the writer.
    SegmentWriter(FileSystem& files, std::string path, Id128 store, uint64_t file_id,
                  WriteTurns* turns = nullptr);

    // `expected_bytes` of the file, if they are known and the file will not have fewer, are
    // reserved: writes that need not make a file longer do not wait for each other.
    Task<Status> create(uint64_t expected_bytes = 0);

    // Begins a block, and reserves room for a large one; blocks come in the order of sorts_before.
    // Its strips follow, in as many parts as the caller likes, then once more its summaries. `info`
    // says how long each section is.
    Task<Status> begin_block(BlockInfo info, Bytes axis, Bytes directory, Bytes summaries);
    Task<Status> put_rest(Bytes bytes);
    // `pieces`, one behind the other, stay where they are until it has ended.
    Task<Status> put_pieces(std::span<const Bytes> pieces);
    // A block of fewer rows leaves its summaries in memory.
    Task<Status> put_block(std::shared_ptr<const EncodedBlock> block, size_t summary_rows_min = 0);
    // A block that was found damaged in file `file_id`, with the bytes that are there.
    Task<Status> put_damaged(SegmentBlock block, uint64_t file_id, Bytes bytes);

    size_t blocks() const { return placed_.size(); }
    // What has been put so far.
    uint64_t bytes() const { return written_ + used_; }

    // Ends the file, which has at least one block, and syncs it as `site`; the name is durable only
    // once the caller has synced the directory. `names` holds every run and schema that the blocks
    // name.
    Task<Result<std::shared_ptr<const SegmentMeta>>> finish(SegmentNames names, SyncSite site);

    // Nothing is written any more when it has ended; to be called where finish() is not.
    Task<void> abandon();

  private:
    // What writes under way hold on to, whatever becomes of the writer.
    struct Output;

    static Task<void> write_piece(std::shared_ptr<Output> output,
                                  std::unique_ptr<AlignedBuffer> piece, uint64_t offset,
                                  size_t bytes);
    Task<Status> reserve(uint64_t bytes);
    void check_order(const BlockInfo& info) const;
    Task<Status> put(Bytes bytes);
    // Starts writing what the buffer holds.
    Task<Status> write_out();
    // Waits until no more than `pieces` are under way.
    Task<Status> wait_for_room(size_t pieces);

    FileSystem& files_;
    std::string path_;
    Id128 store_;
    uint64_t file_id_;
    WriteTurns* turns_;
    std::shared_ptr<Output> output_;
    std::unique_ptr<AlignedBuffer> buffer_;
    uint64_t reserved_ = 0;
    uint64_t written_ = 0;  // bytes before those in the buffer
    size_t used_ = 0;
    std::vector<SegmentBlock> placed_;
};

// Writes and syncs (SyncSite::kSegmentData) a segment of these blocks, sorted. `blocks` is not
// empty and of one store.
Task<Result<std::shared_ptr<const SegmentMeta>>> write_segment(
    FileSystem& files, std::string path, Id128 store, uint64_t file_id,
    std::vector<std::shared_ptr<const EncodedBlock>> blocks, SegmentNames names,
    WriteTurns* turns = nullptr);

}  // namespace stepdb
