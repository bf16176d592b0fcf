#include "engine/overlay.h"

#include <algorithm>
#include <map>

#include "engine/crowded_cursor.h"
#include "engine/piece_column.h"
#include "engine/query_memory.h"

namespace stepdb {

PieceGroup split_group(std::span<const SeriesPiece> pieces) {
    PieceGroup group;
    std::vector<const SeriesPiece*> by_rows;
    by_rows.reserve(pieces.size());
    for (const SeriesPiece& piece : pieces) {
        by_rows.push_back(&piece);
    }
    std::ranges::stable_sort(by_rows, std::greater(),
                             [](const SeriesPiece* piece) { return rows_at_most(*piece); });
    // The largest first: what they leave over is what goes around them.
    std::map<Key, const SeriesPiece*> base;
    for (const SeriesPiece* piece : by_rows) {
        const auto after = base.upper_bound(piece->reach());
        const bool is_apart =
            after == base.begin() || std::prev(after)->second->reach() < piece->key_min;
        if (PieceColumn::can_load(*piece) && is_apart) {
            base.emplace(piece->key_min, piece);
        } else {
            group.overlay.push_back(*piece);
            group.overlay_rows += rows_at_most(*piece);
        }
    }
    group.base.reserve(base.size());
    for (const auto& [key, piece] : base) {
        group.base.push_back(*piece);
    }
    std::ranges::stable_sort(group.overlay, {}, &SeriesPiece::key_min);
    return group;
}

void keep_what_counts(std::vector<OverlayPoint>& points) {
    // Of equal keys the one that counts comes first.
    std::ranges::stable_sort(points, [](const OverlayPoint& a, const OverlayPoint& b) {
        return a.key != b.key ? a.key < b.key : b.yields_to(a.level, a.sequence);
    });
    const auto replaced =
        std::unique(points.begin(), points.end(),
                    [](const OverlayPoint& a, const OverlayPoint& b) { return a.key == b.key; });
    points.erase(replaced, points.end());
}

Task<Result<std::vector<OverlayPoint>>> load_overlay(SegmentFiles& files, ReadCost& cost,
                                                     std::vector<SeriesPiece> pieces,
                                                     MemoryCharge& charge) {
    std::vector<OverlayPoint> points;
    size_t rows_at_once = 0;
    for (const SeriesPiece& piece : pieces) {
        rows_at_once = std::max(rows_at_once, rows_at_most(piece));
        const size_t rows = points.size() + rows_at_most(piece);
        const Status charged = charge_query_memory(
            charge, rows * sizeof(OverlayPoint) + rows_at_once * kLoadedRowBytes);
        if (!charged) {
            co_return charged.error();
        }
        const Result<PieceRows> loaded = co_await load_piece(files, piece, cost);
        if (!loaded) {
            co_return loaded.error();
        }
        for (size_t row = 0; row < loaded->keys.size(); ++row) {
            OverlayPoint point;
            point.key = loaded->keys[row];
            point.value = loaded->values[row];
            point.sequence = loaded->sequences[row];
            point.level = loaded->level;
            points.push_back(point);
        }
    }
    keep_what_counts(points);
    co_return points;
}

}  // namespace stepdb
