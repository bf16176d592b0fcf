// Reading segments. Every byte is checked against its checksum before it is believed; kCorruption
// names the file, the block and what was expected. Coroutines over the FileSystem's executor;
// everything here is stateless and may overlap.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/segment/block.h"
#include "engine/segment/segment_format.h"

namespace stepdb {

// What is kept in memory of a segment: its block index. Immutable; shared with snapshots.
class SegmentMeta {
  public:
    SegmentMeta(std::string path, const Id128& store, uint64_t file_id, const SegmentFooter& footer,
                std::vector<SegmentBlock> blocks);
    SegmentMeta(const SegmentMeta&) = delete;
    SegmentMeta& operator=(const SegmentMeta&) = delete;
    ~SegmentMeta();

    // The store has let go of the segment: `unused` is called when nobody holds this any more, on
    // whatever thread lets go last. Once, by the engine, which still holds it.
    void retire(std::function<void()> unused) const { unused_ = std::move(unused); }

    const std::string& path() const { return path_; }
    const Id128& store() const { return store_; }
    uint64_t file_id() const { return file_id_; }
    uint64_t file_bytes() const { return footer_.file_bytes; }
    const SegmentFooter& footer() const { return footer_; }

    // Sorted by (run, attempt, schema).
    const std::vector<SegmentBlock>& blocks() const { return blocks_; }
    // First and past-the-last index of a run's blocks.
    std::pair<size_t, size_t> blocks_of_run(uint64_t run) const;

    size_t memory_bytes() const;

    // "segment PATH"; "segment PATH block 3 (run 7, attempt 0, schema 2)".
    std::string describe() const;
    std::string describe(size_t block) const;

  private:
    std::string path_;
    Id128 store_;
    uint64_t file_id_;
    SegmentFooter footer_;
    std::vector<SegmentBlock> blocks_;
    // No part of what the segment is; written once, before the engine's own reference goes.
    mutable std::function<void()> unused_;
};

// Reads and checks header, footer and block index.
Task<Result<std::shared_ptr<const SegmentMeta>>> open_segment(FileSystem& files, std::string path,
                                                              Id128 store, uint64_t file_id);

// `file` is the segment's, open for reading; `segment` and it live until the task has ended.
// `column` is a column of the block's schema.
Task<Result<SegmentNames>> read_names(File& file, const SegmentMeta& segment);
Task<Result<AxisColumns>> read_axis(File& file, const SegmentMeta& segment, size_t block);
// A column without a value in the block has no values.
Task<Result<ColumnValues>> read_column(File& file, const SegmentMeta& segment, size_t block,
                                       uint32_t column);

// The same in two steps, for readers of many columns of a block: the verified directory section,
// then columns by it.
Task<Result<std::vector<std::byte>>> read_directory(File& file, const SegmentMeta& segment,
                                                    size_t block);
Task<Result<ColumnValues>> read_column_at(File& file, const SegmentMeta& segment, size_t block,
                                          ChunkPlace place);

// The verified bytes for who decodes a part of them: of the axis section, and of the strip that a
// chunk lies in.
Task<Result<std::vector<std::byte>>> read_axis_section(File& file, const SegmentMeta& segment,
                                                       size_t block);
Task<Result<std::vector<std::byte>>> read_strip_of(File& file, const SegmentMeta& segment,
                                                   size_t block, ChunkPlace place);

// What is known of the block's columns; empty if it has no summaries.
Task<Result<std::vector<ColumnSummary>>> read_summaries(File& file, const SegmentMeta& segment,
                                                        size_t block);
// The verified bytes of it.
Task<Result<std::vector<std::byte>>> read_summaries_section(File& file, const SegmentMeta& segment,
                                                            size_t block);

// Reads and decodes everything: header, footer, index, names, every block, padding.
Task<Status> verify_segment(FileSystem& files, std::string path, Id128 store, uint64_t file_id);

}  // namespace stepdb
