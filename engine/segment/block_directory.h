// The directory section of a block: where each column's chunk lies, and the checksums of the strips
// they lie in. docs/format.md, "Block".
//
//   u8 format        1; 2 where a chunk may be in parts
//   u8[3] reserved   0
//   varint           index nodes: bytes after the last strip; 0, reserved
//   varint           count of strips
//   varint n, n bytes   first column of each strip, as integers
//   varint n, n bytes   bytes of each strip, as integers
//   u64 each strip   XXH3-64 of its bytes, seeded with the block's content seed
//   rest             bytes of each column's chunk, as integers; 0 if it has none
//
// A strip begins with the first chunk of its first column; strips follow each other without gaps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/segment/block.h"

namespace stepdb {

// The seed of strip checksums: what the block holds, not where it lies, so that a block in memory
// and in a file is the same bytes. The directory, whose checksum has the place in it, binds them.
uint64_t content_seed(const BlockInfo& info);

// Where a strip begins, for chunks that come one after the other: whether the next one, of `bytes`,
// opens a strip behind one that has `strip_bytes` already (0: there is none yet).
bool opens_strip(uint64_t strip_bytes, uint64_t bytes);

// A directory over strips that were made by opens_strip, where chunks may be in parts.
// `chunk_bytes` has an entry per column.
std::vector<std::byte> encode_directory(std::span<const Strip> strips,
                                        std::span<const uint32_t> chunk_bytes);

// The same where no chunk is in parts.
std::vector<std::byte> encode_plain_directory(std::span<const Strip> strips,
                                              std::span<const uint32_t> chunk_bytes);

// A directory, taken apart; a view of the section.
class BlockDirectory {
  public:
    // Checks everything but the chunks' lengths within the strips; kCorruption,
    // kUnsupportedVersion.
    static Result<BlockDirectory> read(Bytes section, const BlockInfo& info);

    const std::vector<Strip>& strips() const { return strips_; }

    // Places of the chunks of strip `strip`: one for each column from its first to the next strip's
    // (exclusive). kCorruption if they do not fill the strip.
    Result<std::vector<ChunkPlace>> places(size_t strip) const;
    Result<ChunkPlace> place(uint32_t column) const;

    uint32_t columns_end(size_t strip) const;

  private:
    BlockDirectory(Bytes chunk_bytes, uint32_t columns)
        : chunk_bytes_(chunk_bytes), columns_(columns) {}

    friend class ChunkPlaces;

    Result<std::vector<int64_t>> lengths(size_t strip) const;
    Status check_lengths(size_t strip, std::span<const int64_t> lengths) const;

    Bytes chunk_bytes_;
    uint32_t columns_;
    std::vector<Strip> strips_;
};

// The places of all chunks of a block, for who reads many columns of it, one after the other. No
// view; four bytes a column.
class ChunkPlaces {
  public:
    // Errors as those of BlockDirectory.
    static Result<ChunkPlaces> read(Bytes section, const BlockInfo& info);

    // As BlockDirectory::place.
    ChunkPlace operator[](uint32_t column) const;

    size_t memory_bytes() const {
        return sizeof(*this) + strips_.capacity() * sizeof(Strip) +
               ends_.capacity() * sizeof(uint32_t);
    }

  private:
    std::vector<Strip> strips_;
    std::vector<uint32_t> ends_;  // of each column's chunk, from its strip's begin
};

}  // namespace stepdb
