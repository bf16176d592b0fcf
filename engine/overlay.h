// Points that lie among the keys of a series' blocks: late rows, replaced points, what a restart
// logged again. They are few beside the blocks, which therefore need not become rows for their
// sake: whoever reads a block goes around these points, and where a key is in both, asks which
// counts.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/series_cursor.h"

namespace stepdb {

struct OverlayPoint {
    Key key = 0;
    double value = 0;
    uint64_t sequence = 0;
    uint32_t level = 0;

    // Whether a point of a block at the same key counts, and this one does not.
    bool yields_to(uint32_t other_level, uint64_t other_sequence) const {
        return other_level != level ? other_level < level : other_sequence > sequence;
    }
};

// Pieces that overlap, taken apart. Both in the order of their lowest keys.
struct PieceGroup {
    PieceGroup() = default;

    std::vector<SeriesPiece> base;     // can be loaded as columns, and share no key with each other
    std::vector<SeriesPiece> overlay;  // all others
    size_t overlay_rows = 0;           // at most
};
PieceGroup split_group(std::span<const SeriesPiece> pieces);

// Sorts them by key, and leaves of equal keys the one that counts.
void keep_what_counts(std::vector<OverlayPoint>& points);

// The points of these pieces that count among them, one per key, by key. kResourceExhausted if
// `charge`, which they are charged to, has not the room.
Task<Result<std::vector<OverlayPoint>>> load_overlay(SegmentFiles& files, ReadCost& cost,
                                                     std::vector<SeriesPiece> pieces,
                                                     MemoryCharge& charge);

}  // namespace stepdb
