// Reading a series of which more pieces overlap than fit into memory together: one range of keys
// after the other, as wide as there is room for, with every piece decoded again for each. Slower
// than loading each piece once, and in bounded memory whatever the pieces look like.
#pragma once

#include <memory>
#include <vector>

#include "engine/series_cursor.h"

namespace stepdb {

// What a loaded row takes, with its share of what decoding and merging need for a moment.
inline constexpr size_t kLoadedRowBytes =
    2 * (sizeof(Key) + sizeof(int64_t) + sizeof(uint64_t) + sizeof(double));

// `pieces` as find_pieces gives them; keys below `from` have been handed out.
std::unique_ptr<SeriesCursor> make_crowded_cursor(SegmentFiles& files, ReadCost& cost,
                                                  std::vector<SeriesPiece> pieces, Key from,
                                                  std::shared_ptr<MemoryBudget> budget);

}  // namespace stepdb
