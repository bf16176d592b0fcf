// What one reader has taken apart of blocks, for the next series of the same blocks: metrics of a
// run lie in the same blocks with the same keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/model/bucket.h"
#include "engine/segment/block.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/block_keys.h"
#include "engine/segment/column_reader.h"

namespace stepdb {

// The axis of a block; of one in a segment with its bytes.
struct OpenAxis {
    std::vector<std::byte> bytes;
    AxisParts parts;
    BlockKeys keys;

    size_t memory_bytes() const { return sizeof(*this) + bytes.capacity() + keys.memory_bytes(); }
};

// Of blocks in memory, which outlive this: segments have the block cache. Keeps the last few.
class OpenBlocks {
  public:
    struct Entry {
        const EncodedBlock* block = nullptr;
        std::optional<BlockDirectory> directory;
        std::shared_ptr<const OpenAxis> axis;
    };

    // What there is of the block so far, to be completed.
    Entry& of(const EncodedBlock& block) {
        Entry& entry = entries_[slot_of(&block)];
        if (entry.block != &block) {
            entry = Entry();
            entry.block = &block;
        }
        return entry;
    }

  private:
    // Keys that are no stride take 32 KB a block at most: a megabyte.
    static constexpr size_t kEntries = 32;

    static size_t slot_of(const EncodedBlock* block) {
        return reinterpret_cast<uintptr_t>(block) / alignof(std::max_align_t) *
                   0x9E3779B97F4A7C15ULL >>
               59U;
    }

    std::array<Entry, kEntries> entries_;
};

// Which rows of a block go into which buckets: once for all series with these keys.
class BucketStretches {
  public:
    // The buckets that find() is about, for as long as nobody else uses this: edges are compared
    // with those of before, which is too much to be done for each block.
    void use(std::span<const Key> edges);

    // Of rows [begin, end), at least one, as bucket_of() places them. Valid until the next call.
    const std::vector<Stretch>& find(const std::shared_ptr<const OpenAxis>& axis, uint32_t begin,
                                     uint32_t end);

  private:
    static constexpr size_t kEntries = 16;

    struct Entry {
        std::weak_ptr<const OpenAxis> axis;  // whose memory is others' matter
        uint32_t begin = 0;
        uint32_t end = 0;
        std::vector<Stretch> stretches;
    };

    std::vector<Key> edges_;  // of the entries
    std::array<Entry, kEntries> entries_;
    size_t next_ = 0;  // to be replaced
};

}  // namespace stepdb
