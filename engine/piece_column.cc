#include "engine/piece_column.h"

#include <utility>

#include "engine/codec/integer_codec.h"
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
        found = co_await column.read_axis(files, cost);
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
    auto column = std::make_shared<KeptColumn>();
    column->chunk = strips_section(block).subspan(place.offset, place.bytes);
    if (!column->chunk.empty()) {
        TRY_ASSIGN(column->parts, ColumnParts::read(column->chunk, block.info.rows));
        TRY(take_axis({}, axis_section(block), cost));
    }
    column_ = std::move(column);
    return {};
}

Task<Status> PieceColumn::read_column(SegmentFiles& files, ReadCost& cost) {
    const SegmentMeta& segment = *piece_.segment_block->segment;
    const size_t block = piece_.segment_block->block;
    const BlockCache::Place kept_at{segment.file_id(), block, piece_.column};
    column_ = files.cache().find<KeptColumn>(kept_at);
    if (column_ != nullptr) {
        co_return Status();
    }
    const Result<ChunkPlace> place = co_await read_place(files, cost);
    if (!place) {
        co_return place.error();
    }
    auto column = std::make_shared<KeptColumn>();
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

Task<Status> PieceColumn::read_axis(SegmentFiles& files, ReadCost& cost) {
    const SegmentMeta& segment = *piece_.segment_block->segment;
    const size_t block = piece_.segment_block->block;
    const BlockCache::Place kept_at{segment.file_id(), block, BlockCache::kAxis};
    axis_ = files.cache().find<KeptAxis>(kept_at);
    if (axis_ != nullptr) {
        co_return Status();
    }
    Result<File*> file = co_await files.get(segment);
    if (!file) {
        co_return file.error();
    }
    Result<std::vector<std::byte>> bytes = co_await read_axis_section(**file, segment, block);
    if (!bytes) {
        co_return bytes.error();
    }
    cost.bytes_read += bytes->size();
    const Bytes section = *bytes;
    const Status taken = take_axis(std::move(*bytes), section, cost);
    if (!taken) {
        co_return in_place(taken.error());
    }
    files.cache().put(kept_at, axis_, axis_->memory_bytes());
    co_return Status();
}

Status PieceColumn::take_axis(std::vector<std::byte> bytes, Bytes section, ReadCost& cost) {
    const BlockInfo& info = info_of(piece_);
    TRY_ASSIGN(const AxisParts parts, read_axis_parts(section, info));
    TRY_ASSIGN(BlockKeys keys, BlockKeys::read(section, info));
    cost.vectors_decoded += keys.vectors_decoded();
    axis_ = std::make_shared<const KeptAxis>(KeptAxis{std::move(bytes), parts, std::move(keys)});
    return {};
}

Error PieceColumn::in_place(const Error& error) const {
    return piece_.block != nullptr
               ? error
               : error.within(piece_.segment_block->segment->describe(piece_.segment_block->block));
}

uint32_t PieceColumn::end_row() const {
    return piece_.range.last == kKeyMax ? keys().rows()
                                        : keys().lower_bound(piece_.range.last + 1, 0);
}

Result<size_t> PieceColumn::add_below(Key end, const BucketRow& buckets, size_t from,
                                      ReadCost& cost) {
    return add_rows(std::min(end_row_, keys().lower_bound(end, next_row_)), buckets, from, cost);
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
        bucket = bucket_of(buckets.edges, bucket, keys()[next_row_]);
        const bool is_last = bucket + 1 == buckets.buckets.size();
        const uint32_t until =
            is_last ? end
                    : std::min(end, keys().lower_bound(buckets.edges[bucket + 1], next_row_ + 1));
        const Status added =
            reader_->add_to(buckets.buckets[bucket], buckets.needs, keys(), next_row_, until);
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
    if (next_row_ >= end_row_ || keys()[next_row_] != key) {
        return false;
    }
    const auto present = reader_->first_present(next_row_);
    if (!present) {
        return in_place(present.error());
    }
    return *present == next_row_;
}

Result<uint64_t> PieceColumn::next_sequence(ReadCost& cost) {
    uint64_t sequence = 0;
    const Status read = read_sequences(next_row_, {&sequence, 1}, cost);
    if (!read) {
        return in_place(read.error());
    }
    return sequence;
}

Status PieceColumn::read_sequences(uint32_t first, std::span<uint64_t> sequences,
                                   ReadCost& cost) const {
    count_vectors(first, sequences.size(), cost);
    return decode_integer_range(axis_->parts.sequences, keys().rows(), first,
                                {reinterpret_cast<int64_t*>(sequences.data()), sequences.size()});
}

// Of one column of the axis.
void PieceColumn::count_vectors(uint32_t first, size_t rows, ReadCost& cost) const {
    cost.vectors_decoded +=
        (first + rows + kPackedValuesMax - 1) / kPackedValuesMax - first / kPackedValuesMax;
}

Result<PieceRows> PieceColumn::read_rows(ReadCost& cost) {
    PieceRows read;
    read.level = piece_.level;
    if (next_row_ >= end_row_) {
        return read;
    }
    const uint32_t first = std::exchange(next_row_, end_row_);
    const size_t count = end_row_ - first;
    const size_t vectors_before = reader_->vectors_decoded();
    std::vector<uint32_t> rows;
    rows.reserve(count);
    read.values.reserve(count);
    Status status = reader_->read_rows(first, end_row_, rows, read.values);
    cost.vectors_decoded += reader_->vectors_decoded() - vectors_before;
    std::vector<uint64_t> sequences(count);
    std::vector<int64_t> times(count);
    if (status) {
        status = read_sequences(first, sequences, cost);
    }
    const bool is_timed = info_of(piece_).axis == Axis::kTimed;
    if (status && !is_timed) {
        count_vectors(first, count, cost);
        status = decode_integer_range(axis_->parts.times, keys().rows(), first, times);
    }
    if (!status) {
        return in_place(status.error());
    }
    read.keys.reserve(rows.size());
    for (const uint32_t row : rows) {
        read.keys.push_back(keys()[row]);
    }
    if (rows.size() == count) {
        read.sequences = std::move(sequences);
        read.times = is_timed ? read.keys : std::move(times);
        return read;
    }
    for (const uint32_t row : rows) {
        read.sequences.push_back(sequences[row - first]);
        read.times.push_back(is_timed ? keys()[row] : times[row - first]);
    }
    return read;
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
        range = KeyRange{keys()[**first], keys()[**last]};
    }
    return range;
}

}  // namespace stepdb
