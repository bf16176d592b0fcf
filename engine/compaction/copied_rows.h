// Rows of blocks that share no key become rows of one block after the other without their values
// being decoded: a chunk of a merged block is the chunks of its sources in parts
// (segment/chunk_parts.h), and its summary is put together of theirs. Keys, times and sequences are
// encoded anew. The blocks are all in segments or all in memory.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/base/checksum_stream.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/compaction/merge_limits.h"
#include "engine/compaction/merge_plan.h"
#include "engine/compaction/range_reader.h"
#include "engine/compaction/source_block.h"
#include "engine/segment/block.h"
#include "engine/segment/chunk_parts.h"

namespace stepdb {

// A merged block, its strips in pieces where they were read.
struct CopiedBlock {
    CopiedBlock() = default;

    BlockInfo info;
    Bytes axis;
    std::vector<std::byte> directory;
    std::vector<Bytes> strips;
    std::vector<std::byte> summaries;
};

class CopiedRows {
  public:
    // `tiles` in key order; of each, blocks of the same rows with different columns, ascending; of
    // the group's schema, and all of it counts. What is referred to outlives this.
    CopiedRows(std::vector<std::vector<SourceBlock*>> tiles, const MergeGroup& group,
               const MergeLimits& limits, RangeReader& reader);

    // Reads axes and directories. False if they turn out not to be such rows: a key comes twice in
    // a block, or the rows of a tile are not the same.
    Task<Result<bool>> open();

    // The next block; null behind the last. It is there until the next call.
    Task<Result<const CopiedBlock*>> next();

    // What an error is about.
    const SourceBlock* failed() const { return failed_; }

  private:
    struct Source {
        Source() = default;

        SourceBlock* block = nullptr;
        size_t tile = 0;
        std::vector<ColumnSummary> summaries;  // those that are known without decoding
        size_t next_summary = 0;               // of a column that has not been looked for
        Bytes strips;                          // from `first_strip` on, as far as they are loaded
        size_t first_strip = 0;
        size_t strip = 0;         // where the last chunk was looked for
        bool is_checked = false;  // that strip, and `places` are its chunks
        std::vector<ChunkPlace> places;
    };

    // What a tile adds to the present column.
    struct TilePart {
        const SourceBlock* holder = nullptr;  // null: no value
        const Summary* summary = nullptr;     // null: it is in the values
        size_t parts_end = 0;                 // of parts_
    };

    Task<Status> read_fronts(std::vector<FileRange>* ranges);
    Result<bool> take_fronts(const std::vector<FileRange>& ranges);
    Status take_summaries(const std::vector<FileRange>& ranges);
    bool append_axis(const AxisColumns& axis, bool first_of_tile);
    void begin_block();
    Task<Status> load_columns();
    size_t strip_of(const Source& source, uint32_t column) const;
    Status add_columns();
    Status add_column(uint32_t column);
    static const Summary* summary_of(Source& source, uint32_t column);
    Result<Bytes> chunk_of(Source& source, uint32_t column);
    void put(uint32_t column);
    void put_piece(Bytes piece);
    Status add_summary(uint32_t column);
    Status decode_summary(uint32_t column, const SourceBlock& holder, size_t first_row,
                          std::span<const ChunkPart> parts, Summary& summary);
    void end_block();

    std::vector<Source> sources_;  // by tile, then by column
    std::vector<uint32_t> tile_rows_;
    const MergeGroup& group_;
    const MergeLimits& limits_;
    RangeReader& reader_;
    const SourceBlock* failed_ = nullptr;

    BlockInfo info_;  // of all merged blocks, but for their columns
    AxisColumns axis_;
    std::vector<std::byte> axis_section_;
    bool is_loaded_ = false;    // all strips at once
    uint32_t from_column_ = 0;  // of the next block
    uint32_t end_column_ = 0;   // likewise

    CopiedBlock block_;
    std::vector<Strip> strips_;
    std::vector<uint32_t> chunk_bytes_;
    std::vector<ColumnSummary> summaries_;
    std::vector<ChunkPart> parts_;              // of the present column
    std::vector<TilePart> tile_parts_;          // likewise
    std::deque<std::vector<std::byte>> heads_;  // of chunks in parts
    ChecksumStream checksum_;                   // of the present strip
};

}  // namespace stepdb
