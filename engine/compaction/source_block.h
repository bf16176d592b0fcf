// A block that goes into a segment: one of a segment that is being merged, of which pieces are read
// one by one and kept as long as the next column is likely to want them, or one in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
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
    // A block in memory, which outlives this, is copied only: there are info, memory, directory,
    // take_front, check_strip and let_go.
    explicit SourceBlock(const EncodedBlock& block) : memory_(&block) {}

    const BlockInfo& info() const { return memory_ != nullptr ? memory_->info : place().info; }
    const EncodedBlock* memory() const { return memory_; }  // null: it is in a segment
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
    // of axis and directory section, which makes directory() be there, of one strip, and of the
    // summaries section.
    uint64_t front_bytes() const { return uint64_t{info().axis_bytes} + info().directory_bytes; }
    Result<AxisColumns> take_front(Bytes axis, Bytes directory);
    Result<std::vector<ColumnSummary>> take_summaries(Bytes section) const;
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
    std::string describe() const;

    const EncodedBlock* memory_ = nullptr;
    const SegmentMeta* segment_ = nullptr;
    size_t block_ = 0;
    File* file_ = nullptr;
    const Schema* schema_ = nullptr;
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
