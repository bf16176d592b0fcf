#include "engine/crowded_cursor.h"

#include <algorithm>

#include "engine/query_memory.h"

namespace stepdb {

namespace {

// Rows kept of a range; less where the budget is short.
constexpr size_t kRangeRowsMax = 64U << 10U;

class CrowdedCursor final : public SeriesCursor {
  public:
    CrowdedCursor(SegmentFiles& files, ReadCost& cost, std::vector<SeriesPiece> pieces, Key from,
                  std::shared_ptr<MemoryBudget> budget)
        : files_(files),
          cost_(cost),
          pieces_(std::move(pieces)),
          charge_(std::move(budget)),
          from_(from) {}

    Task<Result<bool>> next(Points& batch) override {
        batch.clear();
        while (batch.keys.empty() && !done_) {
            const Status loaded = co_await load_range();
            if (!loaded) {
                co_return loaded.error();
            }
            std::vector<PieceSlice> slices;
            for (const PieceRows& rows : loaded_) {
                if (!rows.keys.empty()) {
                    slices.push_back({&rows, 0, rows.keys.size()});
                }
            }
            merge_in_groups(std::move(slices), batch);
            done_ = to_ == kKeyMax;
            from_ = done_ ? from_ : to_ + 1;
        }
        co_return !batch.keys.empty();
    }

  private:
    // All rows from from_ to to_, which comes down while they are more than there is room for.
    Task<Status> load_range() {
        loaded_.clear();
        kept_rows_ = 0;
        to_ = kKeyMax;
        std::erase_if(pieces_, [this](const SeriesPiece& piece) {
            return piece.key_max < from_ || piece.range.last < from_;
        });
        for (SeriesPiece piece : pieces_) {
            piece.range.first = std::max(piece.range.first, from_);
            if (std::max(piece.key_min, piece.range.first) > to_) {
                continue;
            }
            const Status room = make_room(rows_at_most(piece));
            if (!room) {
                co_return room;
            }
            piece.range.last = std::min(piece.range.last, to_);
            Result<PieceRows> rows = co_await load_piece(files_, piece, cost_);
            if (!rows) {
                co_return rows.error();
            }
            kept_rows_ += rows->keys.size();
            loaded_.push_back(std::move(*rows));
            while (kept_rows_ > kRangeRowsMax && narrow()) {
            }
        }
        co_return charge_query_memory(charge_, kept_rows_ * kLoadedRowBytes);
    }

    // For a piece of so many rows to be decoded. The error if narrowing does not help any more.
    Status make_room(size_t rows) {
        while (!charge_.try_set((kept_rows_ + rows) * kLoadedRowBytes)) {
            if (!narrow()) {
                return charge_query_memory(charge_, (kept_rows_ + rows) * kLoadedRowBytes);
            }
        }
        return {};
    }

    // Takes to_ down to before the middle of the longest piece, and lets go of what lies above.
    // False if all that is kept has one key.
    bool narrow() {
        const auto longest = std::ranges::max_element(
            loaded_, {}, [](const PieceRows& rows) { return rows.keys.size(); });
        if (longest == loaded_.end() || longest->keys.empty()) {
            return false;
        }
        const Key first = longest->keys.front();
        const Key middle = longest->keys[longest->keys.size() / 2];
        to_ = middle > first ? middle - 1 : first;
        const size_t before = kept_rows_;
        kept_rows_ = 0;
        for (PieceRows& rows : loaded_) {
            const auto end = std::ranges::upper_bound(rows.keys, to_) - rows.keys.begin();
            const auto count = static_cast<size_t>(end);
            rows.keys.resize(count);
            rows.times.resize(count);
            rows.sequences.resize(count);
            rows.values.resize(count);
            kept_rows_ += count;
        }
        return kept_rows_ < before;
    }

    SegmentFiles& files_;
    ReadCost& cost_;
    std::vector<SeriesPiece> pieces_;
    MemoryCharge charge_;
    Key from_;
    Key to_ = kKeyMax;
    std::vector<PieceRows> loaded_;  // of this range
    size_t kept_rows_ = 0;
    bool done_ = false;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_crowded_cursor(SegmentFiles& files, ReadCost& cost,
                                                  std::vector<SeriesPiece> pieces, Key from,
                                                  std::shared_ptr<MemoryBudget> budget) {
    return std::make_unique<CrowdedCursor>(files, cost, std::move(pieces), from, std::move(budget));
}

}  // namespace stepdb
