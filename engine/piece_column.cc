#include "engine/piece_column.h"

#include <utility>

#include "engine/segment/segment_reader.h"

namespace stepdb {

namespace {

// A strip is of about this many bytes, or of one chunk.
constexpr size_t kStripBytesMax = 64U << 10U;

const BlockInfo& info_of(const SeriesPiece& piece) {
    return piece.block != nullptr
               ? piece.block->info
               : piece.segment_block->segment->blocks()[piece.segment_block->block].info;
}

}  // namespace

bool PieceColumn::can_load(const SeriesPiece& piece) {
    return piece.tail == nullptr && info_of(piece).sequence_min > piece.deleted_through;
}

size_t PieceColumn::bytes_at_most(const SeriesPiece& piece) {
    const BlockInfo& info = info_of(piece);
    const size_t keys_bytes = size_t{info.rows} * sizeof(Key);
    return piece.block != nullptr
               ? keys_bytes
               : keys_bytes + info.axis_bytes + info.directory_bytes +
                     std::min<size_t>(info.strips_bytes,
                                      kStripBytesMax + size_t{info.rows} * sizeof(double));
}

Task<Result<std::unique_ptr<PieceColumn>>> PieceColumn::load(SegmentFiles& files, SeriesPiece piece,
                                                             ReadCost& cost) {
    std::unique_ptr<PieceColumn> loaded(new PieceColumn(piece));
    PieceColumn& column = *loaded;
    ++cost.pieces;
    Status found;
    if (piece.block != nullptr) {
        found = column.find_in_memory(cost);
    } else {
        found = co_await column.read_column(files, cost);
    }
    if (found && !column.column_->chunk.empty() && piece.block == nullptr) {
        found = co_await column.read_keys(files, cost);
    }
    if (!found) {
        co_return found.error();
    }
    if (column.column_->chunk.empty()) {
        co_return std::unique_ptr<PieceColumn>();
    }
    column.reader_.emplace(column.column_->parts);
    column.next_row_ = column.first_row();
    column.end_row_ = column.end_row();
    ++cost.chunks_decoded;
    co_return loaded;
}

Status PieceColumn::find_in_memory(ReadCost& cost) {
    const EncodedBlock& block = *piece_.block;
    TRY_ASSIGN(const ChunkPlace place,
               find_chunk(directory_section(block), block.info, piece_.column));
    auto column = std::make_shared<Column>();
    column->chunk = strips_section(block).subspan(place.offset, place.bytes);
    if (!column->chunk.empty()) {
        TRY_ASSIGN(column->parts, ColumnParts::read(column->chunk, block.info.rows));
        TRY_ASSIGN(BlockKeys keys, BlockKeys::read(axis_section(block), block.info));
        cost.vectors_decoded += keys.vectors_decoded();
        keys_ = std::make_shared<const BlockKeys>(std::move(keys));
    }
    column_ = std::move(column);
    return {};
}

Task<Status> PieceColumn::read_column(SegmentFiles& files, ReadCost& cost) {
    const SegmentMeta& segment = *piece_.segment_block->segment;
    const size_t block = piece_.segment_block->block;
    const BlockCache::Place kept_at{segment.file_id(), block, piece_.column};
    column_ = files.cache().find<Column>(kept_at);
    if (column_ != nullptr) {
        co_return Status();
    }
    const Result<ChunkPlace> place = co_await read_place(files, cost);
    if (!place) {
        co_return place.error();
    }
    auto column = std::make_shared<Column>();
    if (place->bytes != 0) {
        Result<File*> file = co_await files.get(segment);
        if (!file) {
            co_return file.error();
        }
        Result<std::vector<std::byte>> strip =
            co_await read_strip_of(**file, segment, block, *place);
        if (!strip) {
            co_return strip.error();
        }
        cost.bytes_read += strip->size();
        column->strip = std::move(*strip);
        column->chunk =
            Bytes(column->strip).subspan(place->offset - place->strip_offset, place->bytes);
        Result<ColumnParts> parts = ColumnParts::read(column->chunk, info_of(piece_).rows);
        if (!parts) {
            co_return in_place(parts.error());
        }
        column->parts = std::move(*parts);
    }
    column_ = std::move(column);
    files.cache().put(kept_at, column_, column_->memory_bytes());
    co_return Status();
}

Task<Result<ChunkPlace>> PieceColumn::read_place(SegmentFiles& files, ReadCost& cost) const {
    const SegmentMeta& segment = *piece_.segment_block->segment;
    const size_t block = piece_.segment_block->block;
    const BlockCache::Place kept_at{segment.file_id(), block, BlockCache::kDirectory};
    auto directory = files.cache().find<std::vector<std::byte>>(kept_at);
    if (directory == nullptr) {
        Result<File*> file = co_await files.get(segment);
        if (!file) {
            co_return file.error();
        }
        Result<std::vector<std::byte>> read = co_await read_directory(**file, segment, block);
        if (!read) {
            co_return read.error();
        }
        cost.bytes_read += read->size();
        directory = std::make_shared<const std::vector<std::byte>>(std::move(*read));
        files.cache().put(kept_at, directory, directory->size());
    }
    Result<ChunkPlace> place = find_chunk(*directory, info_of(piece_), piece_.column);
    if (!place) {
        co_return in_place(place.error());
    }
    co_return place;
}

Task<Status> PieceColumn::read_keys(SegmentFiles& files, ReadCost& cost) {
    const SegmentMeta& segment = *piece_.segment_block->segment;
    const size_t block = piece_.segment_block->block;
    const BlockCache::Place kept_at{segment.file_id(), block, BlockCache::kKeys};
    keys_ = files.cache().find<BlockKeys>(kept_at);
    if (keys_ != nullptr) {
        co_return Status();
    }
    Result<File*> file = co_await files.get(segment);
    if (!file) {
        co_return file.error();
    }
    const Result<std::vector<std::byte>> axis = co_await read_axis_section(**file, segment, block);
    if (!axis) {
        co_return axis.error();
    }
    cost.bytes_read += axis->size();
    Result<BlockKeys> keys = BlockKeys::read(*axis, info_of(piece_));
    if (!keys) {
        co_return in_place(keys.error());
    }
    cost.vectors_decoded += keys->vectors_decoded();
    keys_ = std::make_shared<const BlockKeys>(std::move(*keys));
    files.cache().put(kept_at, keys_, keys_->memory_bytes());
    co_return Status();
}

Error PieceColumn::in_place(const Error& error) const {
    return piece_.block != nullptr
               ? error
               : error.within(piece_.segment_block->segment->describe(piece_.segment_block->block));
}

uint32_t PieceColumn::end_row() const {
    return piece_.range.last == kKeyMax ? keys_->rows()
                                        : keys_->lower_bound(piece_.range.last + 1, 0);
}

Result<size_t> PieceColumn::add_below(Key end, const BucketRow& buckets, size_t from,
                                      ReadCost& cost) {
    return add_rows(std::min(end_row_, keys_->lower_bound(end, next_row_)), buckets, from, cost);
}

Result<size_t> PieceColumn::add_rest(const BucketRow& buckets, size_t from, ReadCost& cost) {
    return add_rows(end_row_, buckets, from, cost);
}

Result<size_t> PieceColumn::add_rows(uint32_t end, const BucketRow& buckets, size_t from,
                                     ReadCost& cost) {
    const ColumnReader& reader = *reader_;
    const size_t vectors_before = reader.vectors_decoded();
    const size_t values_before = reader.values_decoded();
    const size_t nodes_before = reader.nodes_used();
    size_t bucket = from;
    while (next_row_ < end) {
        bucket = bucket_of(buckets.edges, bucket, (*keys_)[next_row_]);
        const bool is_last = bucket + 1 == buckets.buckets.size();
        const uint32_t until =
            is_last ? end
                    : std::min(end, keys_->lower_bound(buckets.edges[bucket + 1], next_row_ + 1));
        const Status added =
            reader_->add_to(buckets.buckets[bucket], buckets.needs_ends, *keys_, next_row_, until);
        if (!added) {
            return in_place(added.error());
        }
        next_row_ = until;
    }
    cost.vectors_decoded += reader.vectors_decoded() - vectors_before;
    cost.values_decoded += reader.values_decoded() - values_before;
    cost.nodes_used += reader.nodes_used() - nodes_before;
    return bucket;
}

Result<bool> PieceColumn::is_at(Key key) {
    if (next_row_ >= end_row_ || (*keys_)[next_row_] != key) {
        return false;
    }
    const auto present = reader_->first_present(next_row_);
    if (!present) {
        return in_place(present.error());
    }
    return *present == next_row_;
}

Task<Result<uint64_t>> PieceColumn::next_sequence(SegmentFiles& files, ReadCost& cost) {
    if (sequences_.empty()) {
        Result<AxisColumns> axis = co_await read_axis_of(files, cost);
        if (!axis) {
            co_return axis.error();
        }
        sequences_ = std::move(axis->sequences);
    }
    co_return sequences_[next_row_];
}

Task<Result<AxisColumns>> PieceColumn::read_axis_of(SegmentFiles& files, ReadCost& cost) const {
    const BlockInfo& info = info_of(piece_);
    constexpr size_t kAxisColumns = 3;
    cost.vectors_decoded += kAxisColumns * node_count(info.rows);
    if (piece_.block != nullptr) {
        co_return decode_axis(axis_section(*piece_.block), info);
    }
    const SegmentMeta& segment = *piece_.segment_block->segment;
    Result<File*> file = co_await files.get(segment);
    if (!file) {
        co_return file.error();
    }
    cost.bytes_read += info.axis_bytes;
    co_return co_await read_axis(**file, segment, piece_.segment_block->block);
}

Result<std::optional<KeyRange>> PieceColumn::key_range() {
    const uint32_t begin = first_row();
    const uint32_t end = end_row();
    std::optional<KeyRange> range;
    if (begin >= end) {
        return range;
    }
    const auto first = reader_->first_present(begin);
    if (!first) {
        return in_place(first.error());
    }
    const auto last = reader_->last_present(end - 1);
    if (!last) {
        return in_place(last.error());
    }
    if (*first && **first < end) {
        range = KeyRange{(*keys_)[**first], (*keys_)[**last]};
    }
    return range;
}

}  // namespace stepdb
