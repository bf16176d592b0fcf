#include "engine/bucket_scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/model/limits.h"
#include "engine/overlay.h"
#include "engine/piece_column.h"
#include "engine/query_memory.h"

namespace stepdb {

namespace {

// Blocks that are loaded at once have at most as many rows, unless a single one has more: what a
// query looks at before others have their turn.
constexpr size_t kWindowRowsMax = 512U << 10U;

// Going around a point costs about what reading some hundred rows does.
constexpr size_t kOverlayRowsMax = 256U << 10U;
constexpr size_t kRowsPerOverlayRow = 16;

class PieceBuckets final : public BucketScan {
  public:
    PieceBuckets(SegmentFiles& files, ReadCost& cost, std::vector<SeriesPiece> pieces,
                 const BucketRow& row, std::shared_ptr<MemoryBudget> budget)
        : files_(files),
          cost_(cost),
          pieces_(std::move(pieces)),
          row_(row),
          charge_(budget),
          overlay_charge_(budget),
          budget_(std::move(budget)) {}

    Task<Result<size_t>> next() override {
        while (!is_done()) {
            const size_t looked_at_before = looked_at_;
            const Status advanced = co_await advance();
            if (!advanced) {
                co_return advanced.error();
            }
            if (looked_at_ != looked_at_before) {
                co_return looked_at_ - looked_at_before;
            }
        }
        const Status paid = pay_owed();
        if (!paid) {
            co_return paid.error();
        }
        co_return size_t{0};
    }

  private:
    // A block whose last value in a bucket has not been looked for, as more of it may come.
    struct Owed {
        std::unique_ptr<PieceColumn> column;
        size_t bucket = 0;
        uint64_t points = 0;  // of the bucket then
    };

    Status pay_owed() {
        const Owed owed = std::exchange(owed_, Owed());
        if (owed.column == nullptr || row_.buckets[owed.bucket].points() != owed.points) {
            return {};
        }
        return owed.column->pay_last(row_.buckets[owed.bucket], cost_);
    }
    bool is_done() const {
        return cursor_ == nullptr && base_at_ == base_.size() && overlay_at_ == overlay_.size() &&
               at_ == pieces_.size();
    }

    Task<Status> advance() {
        if (cursor_ != nullptr) {
            return read_batch();
        }
        if (base_at_ < base_.size()) {
            return add_window();
        }
        add_overlay_below(std::nullopt);
        return begin_group();
    }

    // Past the pieces that share keys with piece `first`, or with one that does.
    size_t group_end(size_t first) const {
        Key reach = pieces_[first].reach();
        size_t end = first + 1;
        while (end < pieces_.size() && pieces_[end].key_min <= reach) {
            reach = std::max(reach, pieces_[end++].reach());
        }
        return end;
    }

    // Blocks that share no key with others, as long as there are such; else what shares keys.
    Task<Status> begin_group() {
        base_.clear();
        base_at_ = 0;
        size_t end = at_;
        while (at_ < pieces_.size()) {
            end = group_end(at_);
            if (end != at_ + 1 || !PieceColumn::can_load(pieces_[at_])) {
                break;
            }
            base_.push_back(pieces_[at_++]);
        }
        if (base_.empty() && at_ < pieces_.size()) {
            return begin_overlap(std::exchange(at_, end), end);
        }
        return nothing_more();
    }

    static Task<Status> nothing_more() { co_return Status(); }

    Task<Status> begin_overlap(size_t first, size_t end) {
        const std::span<const SeriesPiece> pieces = std::span(pieces_).subspan(first, end - first);
        PieceGroup group = split_group(pieces);
        size_t base_rows = 0;
        for (const SeriesPiece& piece : group.base) {
            base_rows += rows_at_most(piece);
        }
        if (group.overlay_rows > std::min(kOverlayRowsMax, base_rows / kRowsPerOverlayRow)) {
            begin_cursor(pieces);
            co_return Status();
        }
        Result<std::vector<OverlayPoint>> points =
            co_await load_overlay(files_, cost_, std::move(group.overlay), overlay_charge_);
        if (!points && points.error().code() != ErrorCode::kResourceExhausted) {
            co_return points.error();
        }
        if (!points) {
            begin_cursor(std::span(pieces_).subspan(first, end - first));
            co_return Status();
        }
        looked_at_ += group.overlay_rows;
        overlay_ = std::move(*points);
        overlay_at_ = 0;
        base_ = std::move(group.base);
        co_return Status();
    }

    // Past those of base_ that fit into memory together.
    size_t window_end() {
        size_t rows = 0;
        size_t bytes = 0;
        size_t end = base_at_;
        while (end < base_.size() && end - base_at_ < kReadsInFlightMax) {
            const SeriesPiece& piece = base_[end];
            bytes += PieceColumn::bytes_at_most(piece);
            if ((end != base_at_ && rows + rows_at_most(piece) > kWindowRowsMax) ||
                !charge_.try_set(bytes)) {
                break;
            }
            rows += rows_at_most(piece);
            ++end;
        }
        return end;
    }

    Task<Status> add_window() {
        const size_t first = base_at_;
        const size_t end = window_end();
        if (end == first) {
            return read_without_room();
        }
        base_at_ = end;
        return add_pieces(first, end);
    }

    Task<Status> read_without_room() {
        const SeriesPiece piece = base_[base_at_];
        if (overlay_at_ != overlay_.size()) {
            co_return charge_query_memory(charge_, PieceColumn::bytes_at_most(piece));
        }
        ++base_at_;
        begin_cursor({&piece, 1});
        co_return Status();
    }

    Task<Status> add_pieces(size_t first, size_t end) {
        const Status loaded = co_await load(first, end);
        if (!loaded) {
            co_return loaded;
        }
        files_.stretches().use(row_.edges);
        for (size_t i = first; i < end; ++i) {
            looked_at_ += rows_at_most(base_[i]);
            if (loaded_[i - first] == nullptr) {
                continue;
            }
            PieceColumn& column = *loaded_[i - first];
            Status added;
            if (column.keys().has_distinct()) {
                added = add_column(std::move(loaded_[i - first]));
            } else {
                added = co_await lay_over(base_[i]);
                files_.stretches().use(row_.edges);
            }
            if (!added) {
                co_return added;
            }
        }
        loaded_.clear();
        charge_.set(owed_.column == nullptr ? 0
                                            : PieceColumn::bytes_at_most(owed_.column->piece()));
        co_return Status();
    }

    Task<Status> load(size_t first, size_t end) {
        loaded_.clear();
        loaded_.resize(end - first);
        failure_.reset();
        waiting_ = end - first;
        for (size_t slot = 0; slot < end - first; ++slot) {
            const SeriesPiece& piece = base_[first + slot];
            auto at_once = PieceColumn::load_at_once(files_, piece, cost_);
            if (at_once) {
                take(slot, std::move(*at_once));
                continue;
            }
            auto load = PieceColumn::load(files_, piece, cost_);
            start(std::move(load), [this, slot](auto column) { take(slot, std::move(column)); });
        }
        co_await done_;
        co_return failure_ ? Status(*failure_) : Status();
    }

    void take(size_t slot, Result<std::unique_ptr<PieceColumn>> column) {
        if (column) {
            loaded_[slot] = std::move(*column);
        } else if (!failure_) {
            failure_ = std::move(column).error();
        }
        if (--waiting_ == 0) {
            done_.fire();
        }
    }

    // The points of a block, and the others that come up to its last key.
    Status add_column(std::unique_ptr<PieceColumn> loaded) {
        PieceColumn& column = *loaded;
        const Key last_key = column.piece().reach();
        while (overlay_at_ < overlay_.size() && overlay_[overlay_at_].key <= last_key) {
            const OverlayPoint& point = overlay_[overlay_at_++];
            TRY_ASSIGN(bucket_, column.add_below(point.key, row_, bucket_, cost_));
            TRY_ASSIGN(const bool is_at, column.is_at(point.key));
            if (is_at) {
                TRY_ASSIGN(const bool yields, yields_to(point, column));
                if (yields) {
                    continue;
                }
                column.skip();
            }
            add_point(point);
        }
        TRY_ASSIGN(bucket_, column.add_rest(row_, bucket_, cost_));
        TRY(pay_owed());
        if (column.owes_last()) {
            owed_ = {std::move(loaded), bucket_, row_.buckets[bucket_].points()};
        }
        return {};
    }

    // Whether the block's point at the same key, its next, is the one that counts.
    Result<bool> yields_to(const OverlayPoint& point, PieceColumn& column) {
        const uint32_t level = column.piece().level;
        if (level != point.level) {
            return point.yields_to(level, 0);
        }
        TRY_ASSIGN(const uint64_t sequence, column.next_sequence(cost_));
        return point.yields_to(level, sequence);
    }

    // A block that has keys twice becomes points among the others.
    Task<Status> lay_over(SeriesPiece piece) {
        std::vector<SeriesPiece> pieces = {piece};
        MemoryCharge charge(budget_);
        const Result<std::vector<OverlayPoint>> points =
            co_await load_overlay(files_, cost_, std::move(pieces), charge);
        if (!points) {
            co_return points.error();
        }
        std::vector<OverlayPoint> all(overlay_.begin() + static_cast<ptrdiff_t>(overlay_at_),
                                      overlay_.end());
        const Status charged = charge_query_memory(
            overlay_charge_, (all.size() + points->size()) * sizeof(OverlayPoint));
        if (!charged) {
            co_return charged;
        }
        all.insert(all.end(), points->begin(), points->end());
        keep_what_counts(all);
        overlay_ = std::move(all);
        overlay_at_ = 0;
        // No block behind it has a key as low.
        add_overlay_below(piece.reach());
        co_return Status();
    }

    // Points of the overlay up to this key, or all, which no block has come between.
    void add_overlay_below(std::optional<Key> last_key) {
        while (overlay_at_ < overlay_.size() &&
               (!last_key || overlay_[overlay_at_].key <= *last_key)) {
            add_point(overlay_[overlay_at_++]);
        }
    }

    void add_point(const OverlayPoint& point) {
        bucket_ = bucket_of(row_.edges, bucket_, point.key);
        row_.buckets[bucket_].add(point.key, point.value);
    }

    void begin_cursor(std::span<const SeriesPiece> pieces) {
        charge_.set(0);
        cursor_ = make_cursor(files_, cost_, {pieces.begin(), pieces.end()}, budget_);
    }

    Task<Status> read_batch() {
        SeriesCursor& cursor = *cursor_;
        const Result<bool> more = co_await cursor.next(batch_);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            cursor_.reset();
            co_return Status();
        }
        bucket_ = add_points(batch_.keys, batch_.values, row_, bucket_);
        looked_at_ += batch_.size();
        co_return Status();
    }

    SegmentFiles& files_;
    ReadCost& cost_;
    std::vector<SeriesPiece> pieces_;
    BucketRow row_;
    MemoryCharge charge_;          // of loaded_
    MemoryCharge overlay_charge_;  // of overlay_
    std::shared_ptr<MemoryBudget> budget_;
    size_t at_ = 0;      // the next piece to look at
    size_t bucket_ = 0;  // of the last point so far
    size_t looked_at_ = 0;
    // Of the pieces before at_, what is still to be added: blocks, and the points among their keys.
    std::vector<SeriesPiece> base_;
    size_t base_at_ = 0;
    std::vector<OverlayPoint> overlay_;
    size_t overlay_at_ = 0;
    std::vector<std::unique_ptr<PieceColumn>> loaded_;
    Owed owed_;
    std::optional<Error> failure_;
    size_t waiting_ = 0;
    Signal done_;
    std::unique_ptr<SeriesCursor> cursor_;  // instead of these
    Points batch_;
};

}  // namespace

std::unique_ptr<BucketScan> make_bucket_scan(SegmentFiles& files, ReadCost& cost,
                                             std::vector<SeriesPiece> pieces, const BucketRow& row,
                                             std::shared_ptr<MemoryBudget> budget) {
    CHECK(row.edges.size() == row.buckets.size() + 1 && !row.buckets.empty(),
          "{} edges of {} buckets", row.edges.size(), row.buckets.size());
    return std::make_unique<PieceBuckets>(files, cost, std::move(pieces), row, std::move(budget));
}

}  // namespace stepdb
