// A block of a segment that is being merged: reads it piece by piece, and keeps the pieces that the
// next column is likely to want until it is told to let go.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/model/schema.h"
#include "engine/segment/block.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/segment_reader.h"

namespace stepdb {

class SourceBlock {
  public:
    // `segment`, open as `file`, and `schema`, the block's, outlive this.
    SourceBlock(const SegmentMeta& segment, size_t block, File& file, const Schema& schema);

    const BlockInfo& info() const { return place().info; }
    const SegmentBlock& place() const { return segment_->blocks()[block_]; }
    const Schema& schema() const { return *schema_; }
    uint64_t segment_id() const { return segment_->file_id(); }
    size_t number() const { return block_; }  // in its segment

    // Every error names segment and block.
    Task<Result<AxisColumns>> read_axis();
    // Of a column without a value here, nothing.
    Task<Result<ColumnValues>> read_column(uint32_t column);

    // The sections as they lie in the file, verified, for copying them. `read_strip` reads one of
    // directory().strips(), which is there after read_directory.
    Task<Result<std::vector<std::byte>>> read_axis_section();
    Task<Result<std::vector<std::byte>>> read_directory_section();
    Task<Result<std::vector<std::byte>>> read_summaries_section();
    Task<Status> read_directory();
    const BlockDirectory& directory() const { return *directory_; }
    Task<Result<std::vector<std::byte>>> read_strip(size_t strip);
    // The same for who reads several sections or strips at once, from file(), and brings the bytes:
    // of axis and directory section together, which makes directory() be there, and of one strip.
    uint64_t front_bytes() const { return uint64_t{info().axis_bytes} + info().directory_bytes; }
    Result<AxisColumns> take_front(Bytes front);
    Status check_strip(size_t strip, Bytes bytes) const;
    File& file() const { return *file_; }
    // All of the block, unchecked.
    Task<Result<std::vector<std::byte>>> read_bytes();

    // What is kept, and its end.
    size_t kept_bytes() const;
    void let_go();

    uint64_t bytes_read() const { return bytes_read_; }

  private:
    Task<Result<std::vector<std::byte>>> read_checked(uint64_t offset, uint64_t bytes,
                                                      uint64_t seed, uint64_t checksum);
    Status check(uint64_t offset, Bytes bytes, uint64_t seed, uint64_t checksum) const;
    Status take_directory(std::vector<std::byte> section);
    Task<Status> load_strip(size_t strip);
    uint64_t seed_at(uint64_t offset) const;

    const SegmentMeta* segment_;
    size_t block_;
    File* file_;
    const Schema* schema_;
    uint64_t bytes_read_ = 0;
    std::vector<std::byte> whole_;  // a small block is read at once
    std::vector<std::byte> directory_bytes_;
    std::optional<BlockDirectory> directory_;
    // The strip read last, and where its chunks lie.
    std::optional<size_t> strip_;
    std::vector<std::byte> strip_bytes_;
    std::vector<ChunkPlace> strip_places_;
};

}  // namespace stepdb
