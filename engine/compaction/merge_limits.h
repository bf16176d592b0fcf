// How large merged blocks become, which is what the memory of a merge goes into.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/model/limits.h"
#include "engine/segment/block.h"

namespace stepdb {

struct MergeLimits {
    uint32_t rows = kMergedRowsMax;               // of a block
    size_t values = kMergedValuesMax;             // of a block
    size_t summary_values = kSummaryValuesMin;    // from how many on a column gets a summary
    size_t kept_bytes = kMergeBytesMax / 4;       // of source blocks, between two columns
    size_t summaries_bytes = kMergeBytesMax / 2;  // of theirs, so that values need not be decoded
    // Chunks of fewer rows on average are packed anew instead of copied: a vector of values costs
    // some bytes by itself.
    uint32_t part_rows = 128;

    // For a merge that takes about `bytes`: a value takes 12 bytes with its place, up to 8 encoded,
    // and these once more while the block is put together.
    static constexpr MergeLimits of(size_t bytes) {
        MergeLimits limits;
        limits.values = std::clamp<size_t>(bytes / 32, 64, kMergedValuesMax);
        limits.rows = static_cast<uint32_t>(std::min<size_t>(limits.values / 8, kMergedRowsMax));
        limits.summary_values = std::min<size_t>(kSummaryValuesMin, limits.rows / 16);
        limits.kept_bytes = bytes / 4;
        limits.summaries_bytes = bytes / 2;
        limits.part_rows = std::min<uint32_t>(limits.part_rows, limits.rows / 32);
        return limits;
    }
};

}  // namespace stepdb
