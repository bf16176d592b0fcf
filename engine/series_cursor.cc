#include "engine/series_cursor.h"

#include <algorithm>
#include <numeric>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// One level of a run's lineage: whose points, up to which key.
struct Level {
    uint64_t run = 0;
    uint32_t attempt = 0;
    Key cut = kKeyMax;
};

// From the attempt upwards. A cut further down also bounds everything above it.
std::vector<Level> lineage(const Catalog& catalog, const Run& run, uint32_t attempt, Axis axis) {
    std::vector<Level> levels;
    const Run* at_run = &run;
    std::shared_ptr<const Run> holder;
    Key cut = kKeyMax;
    while (levels.size() < kLineageDepthMax) {
        const Attempt* at = at_run->find_attempt(attempt);
        if (at == nullptr) {
            break;
        }
        levels.push_back({at_run->id, attempt, cut});
        if (at->parent_run == 0) {
            break;
        }
        const bool fork = at->parent_run != at_run->id;
        if (axis == Axis::kTimed) {
            // Timed metrics are not cut by a restart and not inherited by a fork.
            if (fork) {
                break;
            }
        } else {
            cut = std::min(cut, at->parent_cut);
        }
        attempt = at->parent_attempt;
        holder = catalog.find_run(at->parent_run);
        if (holder == nullptr) {
            break;
        }
        at_run = holder.get();
    }
    return levels;
}

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
        add(piece, info.key_min, info.key_max);
    }
    for (const auto& block : group.blocks) {
        SeriesPiece piece = like;
        piece.block = block.get();
        add(piece, block->info.key_min, block->info.key_max);
    }
    for (const TailPiece& tail : group.tail) {
        SeriesPiece piece = like;
        piece.tail = &tail;
        add(piece, tail.key_min, tail.key_max);
    }
}

// Rows of a decoded block that are present and in range.
PieceRows select_rows(const AxisColumns& axis, const ColumnValues& column, KeyRange range) {
    PieceRows rows;
    const auto first = std::ranges::lower_bound(axis.keys, range.first) - axis.keys.begin();
    const auto last = std::ranges::upper_bound(axis.keys, range.last) - axis.keys.begin();
    const auto count = static_cast<size_t>(std::max<ptrdiff_t>(0, last - first));
    rows.keys.reserve(count);
    if (column.presence.empty()) {
        rows.keys.assign(axis.keys.begin() + first, axis.keys.begin() + last);
        rows.times.assign(axis.times.begin() + first, axis.times.begin() + last);
        rows.sequences.assign(axis.sequences.begin() + first, axis.sequences.begin() + last);
        rows.values.assign(column.values.begin() + first, column.values.begin() + last);
        return rows;
    }
    size_t value = 0;
    for (size_t row = 0; row < axis.keys.size(); ++row) {
        if ((column.presence[row / 64] >> (row % 64) & 1U) == 0) {
            continue;
        }
        if (range.contains(axis.keys[row])) {
            rows.keys.push_back(axis.keys[row]);
            rows.times.push_back(axis.times[row]);
            rows.sequences.push_back(axis.sequences[row]);
            rows.values.push_back(column.values[value]);
        }
        ++value;
    }
    return rows;
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

Result<PieceRows> read_memory_block(const EncodedBlock& block, uint32_t column, KeyRange range) {
    TRY_ASSIGN(const ChunkPlace place, find_chunk(directory_section(block), block.info, column));
    if (place.bytes == 0) {
        return PieceRows();
    }
    TRY_ASSIGN(const ColumnValues values,
               decode_chunk(strips_section(block).subspan(place.offset, place.bytes), block.info));
    TRY_ASSIGN(const AxisColumns axis, decode_axis(axis_section(block), block.info));
    return select_rows(axis, values, range);
}

Task<Result<PieceRows>> read_segment_block(SegmentFiles& files, const SegmentPiece& place,
                                           uint32_t column, KeyRange range, ReadCost& cost) {
    const SegmentMeta& segment = *place.segment;
    Result<File*> file = co_await files.get(segment);
    if (!file) {
        co_return file.error();
    }
    const BlockInfo& info = segment.blocks()[place.block].info;
    Result<std::vector<std::byte>> directory =
        co_await read_directory(**file, segment, place.block);
    if (!directory) {
        co_return directory.error();
    }
    cost.bytes_read += info.directory_bytes;
    Result<ChunkPlace> chunk = find_chunk(*directory, info, column);
    if (!chunk) {
        co_return chunk.error().within(segment.describe(place.block));
    }
    if (chunk->bytes == 0) {
        co_return PieceRows();
    }
    Result<ColumnValues> values = co_await read_column_at(**file, segment, place.block, *chunk);
    if (!values) {
        co_return values.error();
    }
    cost.bytes_read += chunk->strip_bytes + info.axis_bytes;
    Result<AxisColumns> axis = co_await read_axis(**file, segment, place.block);
    if (!axis) {
        co_return axis.error();
    }
    co_return select_rows(*axis, *values, range);
}

// Whether no key comes twice in rows sorted by key.
bool has_distinct_keys(const PieceRows& rows) {
    return std::ranges::adjacent_find(rows.keys) == rows.keys.end();
}

void append_point(const PieceRows& rows, size_t row, Points& points) {
    points.keys.push_back(rows.keys[row]);
    points.times.push_back(rows.times[row]);
    points.values.push_back(rows.values[row]);
}

// Loads pieces a window at a time, all reads of a window in flight together, and hands out their
// points cluster by cluster: pieces whose key ranges overlap are merged, others follow each other.
class PieceCursor final : public SeriesCursor {
  public:
    PieceCursor(SegmentFiles& files, ReadCost& cost, std::vector<SeriesPiece> pieces)
        : files_(files), cost_(cost), pieces_(std::move(pieces)) {}

    Task<Result<bool>> next(Points& batch) override {
        batch.clear();
        while (batch.keys.empty() && at_ < pieces_.size()) {
            const size_t end = window_end();
            const Status loaded = co_await load(at_, end);
            if (!loaded) {
                co_return loaded.error();
            }
            emit(batch);
            at_ = end;
        }
        co_return !batch.keys.empty();
    }

  private:
    // Past the last piece of a cluster, once there are enough pieces to keep the disk busy.
    size_t window_end() const {
        size_t end = at_;
        Key reach = kKeyMin;
        while (end < pieces_.size()) {
            const bool overlaps = end > at_ && pieces_[end].key_min <= reach;
            if (!overlaps && end - at_ >= kReadsInFlightMax) {
                break;
            }
            reach = std::max(reach, pieces_[end].key_max);
            ++end;
        }
        return end;
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
        co_return Status();
    }

    void emit(Points& batch) {
        size_t i = 0;
        while (i < loaded_.size()) {
            Key reach = pieces_[at_ + i].key_max;
            size_t end = i + 1;
            while (end < loaded_.size() && pieces_[at_ + end].key_min <= reach) {
                reach = std::max(reach, pieces_[at_ + end].key_max);
                ++end;
            }
            const auto begin = std::make_move_iterator(loaded_.begin());
            std::vector<PieceRows> cluster(begin + static_cast<ptrdiff_t>(i),
                                           begin + static_cast<ptrdiff_t>(end));
            merge_pieces(std::move(cluster), batch);
            i = end;
        }
    }

    SegmentFiles& files_;
    ReadCost& cost_;
    std::vector<SeriesPiece> pieces_;
    size_t at_ = 0;
    std::vector<PieceRows> loaded_;
    std::optional<Error> failure_;
    size_t waiting_ = 0;
    Signal done_;
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

std::vector<SeriesPiece> find_pieces(const Snapshot& snapshot, const Run& run, uint32_t attempt,
                                     std::string_view metric, KeyRange range) {
    std::vector<SeriesPiece> pieces;
    for (const Axis axis : {Axis::kStepped, Axis::kTimed}) {
        uint32_t level = 0;
        for (const Level& at : lineage(snapshot.catalog(), run, attempt, axis)) {
            const RunPieces* of_run = snapshot.pieces().find(at.run);
            SeriesPiece like;
            like.level = level++;
            like.range = {range.first, std::min(range.last, at.cut)};
            if (of_run == nullptr || like.range.empty()) {
                continue;
            }
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
    std::ranges::stable_sort(pieces, {}, &SeriesPiece::key_min);
    return pieces;
}

Task<Result<PieceRows>> load_piece(SegmentFiles& files, SeriesPiece piece, ReadCost& cost) {
    ++cost.pieces;
    Result<PieceRows> rows = PieceRows();
    if (piece.tail != nullptr) {
        rows = read_tail(*piece.tail, piece.column, piece.range);
    } else if (piece.block != nullptr) {
        rows = read_memory_block(*piece.block, piece.column, piece.range);
        ++cost.chunks_decoded;
    } else {
        rows = co_await read_segment_block(files, *piece.segment_block, piece.column, piece.range,
                                           cost);
        ++cost.chunks_decoded;
    }
    if (rows) {
        rows->level = piece.level;
        cost.values_decoded += rows->values.size();
    }
    co_return rows;
}

void merge_pieces(std::vector<PieceRows> pieces, Points& points) {
    std::erase_if(pieces, [](const PieceRows& rows) { return rows.keys.empty(); });
    if (pieces.size() == 1 && has_distinct_keys(pieces[0])) {
        const PieceRows& rows = pieces[0];
        points.keys.insert(points.keys.end(), rows.keys.begin(), rows.keys.end());
        points.times.insert(points.times.end(), rows.times.begin(), rows.times.end());
        points.values.insert(points.values.end(), rows.values.begin(), rows.values.end());
        return;
    }
    struct Candidate {
        Key key;
        uint32_t level;
        uint64_t sequence;
        uint32_t piece;
        uint32_t row;
    };
    std::vector<Candidate> candidates;
    for (uint32_t p = 0; p < pieces.size(); ++p) {
        for (uint32_t row = 0; row < pieces[p].keys.size(); ++row) {
            candidates.push_back(
                {pieces[p].keys[row], pieces[p].level, pieces[p].sequences[row], p, row});
        }
    }
    // The truth of a key sorts last among its candidates.
    std::ranges::sort(candidates, [](const Candidate& a, const Candidate& b) {
        if (a.key != b.key) {
            return a.key < b.key;
        }
        return a.level != b.level ? a.level > b.level : a.sequence < b.sequence;
    });
    for (size_t i = 0; i < candidates.size(); ++i) {
        if (i + 1 == candidates.size() || candidates[i + 1].key != candidates[i].key) {
            append_point(pieces[candidates[i].piece], candidates[i].row, points);
        }
    }
}

std::unique_ptr<SeriesCursor> make_cursor(SegmentFiles& files, ReadCost& cost,
                                          std::vector<SeriesPiece> pieces) {
    return std::make_unique<PieceCursor>(files, cost, std::move(pieces));
}

}  // namespace stepdb
