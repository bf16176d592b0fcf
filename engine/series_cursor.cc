#include "engine/series_cursor.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/crowded_cursor.h"
#include "engine/model/limits.h"
#include "engine/piece_column.h"

namespace stepdb {

namespace {

void collect(const GroupPieces& group, const SeriesPiece& like, std::vector<SeriesPiece>& out) {
    const auto add = [&](SeriesPiece piece, Key key_min, Key key_max) {
        piece.key_min = key_min;
        piece.key_max = key_max;
        if (piece.range.overlaps(key_min, key_max)) {
            out.push_back(piece);
        }
    };
    for (const SegmentPiece& segment_block : group.segment_blocks) {
        SeriesPiece piece = like;
        piece.segment_block = &segment_block;
        const BlockInfo& info = segment_block.segment->blocks()[segment_block.block].info;
        if (info.sequence_max > like.deleted_through && info.may_hold(piece.column)) {
            add(piece, info.key_min, info.key_max);
        }
    }
    for (const auto& block : group.blocks) {
        SeriesPiece piece = like;
        piece.block = block.get();
        if (block->info.sequence_max > like.deleted_through && block->info.may_hold(piece.column)) {
            add(piece, block->info.key_min, block->info.key_max);
        }
    }
    for (const TailPiece& tail : group.tail) {
        SeriesPiece piece = like;
        piece.tail = &tail;
        add(piece, tail.key_min, tail.key_max);
    }
}

// Drops rows up to a deleted sequence.
void drop_deleted(PieceRows& rows, uint64_t deleted_through) {
    if (deleted_through == 0) {
        return;
    }
    size_t kept = 0;
    for (size_t row = 0; row < rows.keys.size(); ++row) {
        if (rows.sequences[row] > deleted_through) {
            rows.keys[kept] = rows.keys[row];
            rows.times[kept] = rows.times[row];
            rows.sequences[kept] = rows.sequences[row];
            rows.values[kept] = rows.values[row];
            ++kept;
        }
    }
    rows.keys.resize(kept);
    rows.times.resize(kept);
    rows.sequences.resize(kept);
    rows.values.resize(kept);
}

PieceRows read_tail(const TailPiece& tail, uint32_t column, KeyRange range) {
    const TailChunk& chunk = *tail.chunk;
    std::vector<double> values(tail.rows);
    std::vector<uint8_t> present(tail.rows, 1);
    chunk.read_column(column, tail.rows, values.data(), present.data());
    std::vector<uint32_t> order(tail.rows);
    std::iota(order.begin(), order.end(), 0U);
    const auto keys = chunk.keys();
    // Arrival order is sequence order: a stable sort by key sorts by (key, sequence).
    if (!std::is_sorted(keys.begin(), keys.begin() + tail.rows)) {
        std::ranges::stable_sort(order, {}, [&](uint32_t row) { return keys[row]; });
    }
    PieceRows rows;
    for (const uint32_t row : order) {
        if (present[row] != 0 && range.contains(keys[row])) {
            rows.keys.push_back(keys[row]);
            rows.times.push_back(chunk.times()[row]);
            rows.sequences.push_back(chunk.sequences()[row]);
            rows.values.push_back(values[row]);
        }
    }
    return rows;
}

// The rows of a loaded piece that are not yet handed out.
struct LoadedPiece {
    PieceRows rows;
    size_t at = 0;

    Key next_key() const { return rows.keys[at]; }
    bool done() const { return at == rows.keys.size(); }
};

// Rows loaded at once, unless a single piece has more.
constexpr size_t kWindowRowsMax = 128U << 10U;

// Loads pieces in the order of their first keys, a window at a time with all its reads in flight
// together, and hands out whatever is below the first key of those still to be loaded. So a piece
// that a few late rows stretch over the whole series costs its own rows, not everybody's.
class PieceCursor final : public SeriesCursor {
  public:
    PieceCursor(SegmentFiles& files, ReadCost& cost, std::vector<SeriesPiece> pieces,
                std::shared_ptr<MemoryBudget> budget)
        : files_(files), cost_(cost), pieces_(std::move(pieces)), charge_(std::move(budget)) {}

    Task<Result<bool>> next(Points& batch) override {
        batch.clear();
        while (crowded_ == nullptr && batch.keys.empty() &&
               (at_ < pieces_.size() || !open_.empty())) {
            const Status loaded = co_await load_window();
            if (!loaded) {
                co_return loaded.error();
            }
            hand_out(batch);
        }
        if (crowded_ != nullptr) {
            co_return co_await crowded_->next(batch);
        }
        co_return !batch.keys.empty();
    }

  private:
    Task<Status> load_window() {
        size_t rows = 0;
        size_t end = at_;
        while (end < pieces_.size() && end - at_ < kReadsInFlightMax &&
               (end == at_ || rows + rows_at_most(pieces_[end]) <= kWindowRowsMax)) {
            rows += rows_at_most(pieces_[end++]);
        }
        for (const LoadedPiece& piece : open_) {
            rows += piece.rows.keys.size();
        }
        if (!charge_.try_set(rows * kLoadedRowBytes)) {
            read_crowded();
            co_return Status();
        }
        const size_t first = std::exchange(at_, end);
        if (first < end) {
            co_return co_await load(first, end);
        }
        co_return Status();
    }

    // So many pieces overlap here that they do not fit into memory together. Everything below the
    // next one's first key has been handed out.
    void read_crowded() {
        open_.clear();
        crowded_ =
            make_crowded_cursor(files_, cost_, pieces_, pieces_[at_].key_min, charge_.budget());
        charge_.set(0);
    }

    Task<Status> load(size_t first, size_t last) {
        loaded_.assign(last - first, PieceRows());
        failure_.reset();
        waiting_ = last - first;
        for (size_t i = first; i < last; ++i) {
            Task<Result<PieceRows>> read = load_piece(files_, pieces_[i], cost_);
            start(std::move(read), [this, slot = i - first](Result<PieceRows> rows) {
                if (rows) {
                    loaded_[slot] = std::move(*rows);
                } else if (!failure_) {
                    failure_ = std::move(rows).error();
                }
                if (--waiting_ == 0) {
                    done_.fire();
                }
            });
        }
        co_await done_;
        if (failure_) {
            co_return *failure_;
        }
        for (PieceRows& rows : loaded_) {
            if (!rows.keys.empty()) {
                open_.push_back({std::move(rows), 0});
            }
        }
        loaded_.clear();
        co_return Status();
    }

    // Everything below the frontier; runs of rows that no other piece overlaps are copied, others
    // merged.
    void hand_out(Points& batch) {
        std::vector<PieceSlice> slices;
        const bool is_last = at_ == pieces_.size();
        for (LoadedPiece& piece : open_) {
            const auto begin = piece.rows.keys.begin() + static_cast<ptrdiff_t>(piece.at);
            const auto end =
                is_last ? piece.rows.keys.end()
                        : std::lower_bound(begin, piece.rows.keys.end(), pieces_[at_].key_min);
            if (begin != end) {
                const size_t count = static_cast<size_t>(end - begin);
                slices.push_back({&piece.rows, piece.at, piece.at + count});
                piece.at += count;
            }
        }
        merge_in_groups(std::move(slices), batch);
        std::erase_if(open_, [](const LoadedPiece& piece) { return piece.done(); });
    }

    SegmentFiles& files_;
    ReadCost& cost_;
    std::vector<SeriesPiece> pieces_;
    MemoryCharge charge_;
    size_t at_ = 0;                  // the next piece to load
    std::vector<LoadedPiece> open_;  // loaded and not handed out to the end
    std::vector<PieceRows> loaded_;
    std::optional<Error> failure_;
    size_t waiting_ = 0;
    Signal done_;
    std::unique_ptr<SeriesCursor> crowded_;  // reads what is left, if it does not fit
};

}  // namespace

Task<Result<File*>> SegmentFiles::get(const SegmentMeta& segment) {
    const auto at = open_.find(segment.file_id());
    if (at != open_.end()) {
        co_return at->second.get();
    }
    Result<std::unique_ptr<File>> file = co_await files_.open(segment.path(), OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    // Another task of this reader may have opened it meanwhile; the first one stays.
    const auto [slot, added] = open_.try_emplace(segment.file_id(), std::move(*file));
    co_return slot->second.get();
}

std::vector<LineageLevel> levels_of(const Snapshot& snapshot, RunView view, Axis axis) {
    // The view's run may be older; and looking one up among a hundred thousand takes longer than
    // all else that a summary takes.
    const RunPieces* own = snapshot.pieces().find(view.run->id);
    return own != nullptr ? lineage(snapshot.catalog(), *own->run, view.attempt, axis)
                          : lineage(snapshot.catalog(), view.run->id, view.attempt, axis);
}

std::vector<SeriesPiece> find_pieces(const Snapshot& snapshot, RunView view,
                                     std::string_view metric, KeyRange range) {
    std::vector<SeriesPiece> pieces;
    std::vector<LineageLevel> levels;
    for (const Axis axis : {Axis::kStepped, Axis::kTimed}) {
        // What reads nothing of others does so on neither axis.
        if (axis == Axis::kStepped || levels.size() > 1) {
            levels = levels_of(snapshot, view, axis);
        }
        uint32_t level = 0;
        for (const LineageLevel& at : levels) {
            if (view.own && at.run->id != view.run->id) {
                break;
            }
            const RunPieces* of_run = snapshot.pieces().find(at.run->id);
            SeriesPiece like;
            like.level = level++;
            like.range = {range.first, std::min(range.last, at.cut)};
            if (of_run == nullptr || like.range.empty()) {
                continue;
            }
            like.deleted_through = at.run->deleted_through(metric);
            for (const GroupPieces& group : of_run->groups) {
                if (group.attempt != at.attempt || group.schema->axis() != axis) {
                    continue;
                }
                if (const std::optional<uint32_t> column = group.schema->find(metric)) {
                    like.schema = group.schema.get();
                    like.column = *column;
                    collect(group, like, pieces);
                }
            }
        }
    }
    if (pieces.size() > 1) {
        std::ranges::stable_sort(pieces, {}, &SeriesPiece::key_min);
    }
    return pieces;
}

namespace {

// Of a block: just what lies in the range.
Task<Result<PieceRows>> load_rows(SegmentFiles& files, SeriesPiece piece, ReadCost& cost) {
    const auto column = co_await PieceColumn::load(files, piece, cost);
    if (!column) {
        co_return column.error();
    }
    if (*column == nullptr) {
        PieceRows none;
        none.level = piece.level;
        co_return none;
    }
    co_return (*column)->read_rows(cost);
}

}  // namespace

Task<Result<PieceRows>> load_piece(SegmentFiles& files, SeriesPiece piece, ReadCost& cost) {
    Result<PieceRows> rows = PieceRows();
    if (piece.tail != nullptr) {
        ++cost.pieces;
        rows = read_tail(*piece.tail, piece.column, piece.range);
        rows->level = piece.level;
    } else {
        rows = co_await load_rows(files, piece, cost);
    }
    if (rows) {
        drop_deleted(*rows, piece.deleted_through);
        cost.values_decoded += rows->values.size();
    }
    co_return rows;
}

size_t rows_at_most(const SeriesPiece& piece) {
    if (piece.tail != nullptr) {
        return piece.tail->rows;
    }
    return piece.block != nullptr
               ? piece.block->info.rows
               : piece.segment_block->segment->blocks()[piece.segment_block->block].info.rows;
}

void merge_slices(std::span<const PieceSlice> slices, Points& points) {
    if (slices.size() == 1 && slices[0].has_distinct_keys()) {
        const auto append = [&](auto& to, const auto& from) {
            to.insert(to.end(), from.begin() + static_cast<ptrdiff_t>(slices[0].begin),
                      from.begin() + static_cast<ptrdiff_t>(slices[0].end));
        };
        append(points.keys, slices[0].rows->keys);
        append(points.times, slices[0].rows->times);
        append(points.values, slices[0].rows->values);
        return;
    }
    struct Candidate {
        Key key;
        uint64_t sequence;
        const PieceRows* rows;
        size_t row;
    };
    std::vector<Candidate> candidates;
    for (const PieceSlice& slice : slices) {
        for (size_t row = slice.begin; row < slice.end; ++row) {
            candidates.push_back(
                {slice.rows->keys[row], slice.rows->sequences[row], slice.rows, row});
        }
    }
    // The truth of a key sorts last among its candidates.
    std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
        if (a.key != b.key) {
            return a.key < b.key;
        }
        return a.rows->level != b.rows->level ? a.rows->level > b.rows->level
                                              : a.sequence < b.sequence;
    });
    for (size_t i = 0; i < candidates.size(); ++i) {
        if (i + 1 == candidates.size() || candidates[i + 1].key != candidates[i].key) {
            const Candidate& truth = candidates[i];
            points.keys.push_back(truth.key);
            points.times.push_back(truth.rows->times[truth.row]);
            points.values.push_back(truth.rows->values[truth.row]);
        }
    }
}

void merge_in_groups(std::vector<PieceSlice> slices, Points& points) {
    std::ranges::stable_sort(slices, {}, &PieceSlice::first_key);
    for (size_t i = 0; i < slices.size();) {
        Key reach = slices[i].last_key();
        size_t end = i + 1;
        while (end < slices.size() && slices[end].first_key() <= reach) {
            reach = std::max(reach, slices[end].last_key());
            ++end;
        }
        merge_slices(std::span(slices).subspan(i, end - i), points);
        i = end;
    }
}

std::unique_ptr<SeriesCursor> make_cursor(SegmentFiles& files, ReadCost& cost,
                                          std::vector<SeriesPiece> pieces,
                                          std::shared_ptr<MemoryBudget> budget) {
    return std::make_unique<PieceCursor>(files, cost, std::move(pieces), std::move(budget));
}

}  // namespace stepdb
