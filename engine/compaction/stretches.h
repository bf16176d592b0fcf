// Which blocks of a group are merged by copying their chunks, and which by decoding them: a pure
// function of what the index says of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/compaction/merge_limits.h"
#include "engine/segment/block.h"

namespace stepdb {

// Blocks that hold the same rows, of different columns; mostly one. Positions in what is planned.
using Tile = std::vector<size_t>;

struct MergeStretch {
    MergeStretch() = default;

    bool copied = false;
    // In key order; of a copied stretch no two share a key, and it becomes the rows of merged
    // blocks as it is. Of one that is not copied each is one block.
    std::vector<Tile> tiles;
};

// What the merge of the group knows.
struct StretchRules {
    uint64_t schema = 0;        // of the merged blocks
    Key last_key = kKeyMax;     // rows above go
    uint64_t dead_through = 0;  // of some column, points with a sequence up to this go
    MergeLimits limits;
};

// Stretches in key order. A block can be copied if it is of the schema, all of it counts, and none
// of its keys lies within another block of a column that it has. Small blocks are decoded and
// packed anew, and so are blocks between such ones if there are only few of them.
std::vector<MergeStretch> plan_stretches(std::span<const BlockInfo> blocks,
                                         const StretchRules& rules);

}  // namespace stepdb
