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

// Counts what a reader does while this lives.
class CostMeter {
  public:
    CostMeter(const ColumnReader& reader, ReadCost& cost)
        : reader_(reader),
          cost_(cost),
          vectors_(reader.vectors_decoded()),
          values_(reader.values_decoded()),
          nodes_(reader.nodes_used()) {}
    ~CostMeter() {
        cost_.vectors_decoded += reader_.vectors_decoded() - vectors_;
        cost_.values_decoded += reader_.values_decoded() - values_;
        cost_.nodes_used += reader_.nodes_used() - nodes_;
    }
    CostMeter(const CostMeter&) = delete;
    CostMeter& operator=(const CostMeter&) = delete;

  private:
    const ColumnReader& reader_;
    ReadCost& cost_;
    const size_t vectors_;
    const size_t values_;
    const size_t nodes_;
};

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
    std::optional<Result<std::unique_ptr<PieceColumn>>> at_once = load_at_once(files, piece, cost);
    if (at_once) {
        co_return std::move(*at_once);
    }
    std::unique_ptr<PieceColumn> loaded(new PieceColumn(files, piece));
    PieceColumn& column = *loaded;
    Status found = co_await column.read_column(cost);
    if (found && !column.column_->chunk.empty()) {
        found = co_await column.read_axis(cost);
    }
    if (!found) {
        co_return found.error();
    }
    co_return begin(std::move(loaded), cost);
}

std::optional<Result<std::unique_ptr<PieceColumn>>> PieceColumn::load_at_once(
    SegmentFiles& files, const SeriesPiece& piece, ReadCost& cost) {
    std::unique_ptr<PieceColumn> loaded(new PieceColumn(files, piece));
    if (piece.block != nullptr) {
        const Status opened = loaded->open_in_memory(cost);
        if (!opened) {
            return opened.error();
        }
    } else {
        const Result<bool> found = loaded->find_in_cache();
        if (!found) {
            return loaded->in_place(found.error());
        }
        if (!*found) {
            return std::nullopt;
        }
    }
    return begin(std::move(loaded), cost);
}

// Everything that is wanted has been found; null if that is no value.
std::unique_ptr<PieceColumn> PieceColumn::begin(std::unique_ptr<PieceColumn> loaded,
                                                ReadCost& cost) {
    ++cost.pieces;
    if (loaded->column_->chunk.empty()) {
        return nullptr;
    }
    loaded->reader_.emplace(loaded->column_->parts);
    loaded->first_row_ = loaded->first_row();
    loaded->next_row_ = loaded->first_row_;
    loaded->end_row_ = loaded->end_row();
    ++cost.chunks_decoded;
    return loaded;
}

Status PieceColumn::open_in_memory(ReadCost& cost) {
    const EncodedBlock& block = *piece_.block;
    OpenBlocks::Entry& open = files_.open_blocks().of(block);
    if (!open.directory) {
        TRY_ASSIGN(open.directory, BlockDirectory::read(directory_section(block), block.info));
    }
    TRY_ASSIGN(const ChunkPlace place, open.directory->place(piece_.column));
    auto column = std::make_shared<OpenColumn>();
    column->chunk = strips_section(block).subspan(place.offset, place.bytes);
    if (!column->chunk.empty()) {
        TRY_ASSIGN(column->parts, ColumnParts::read(column->chunk, block.info.rows));
        if (open.axis == nullptr) {
            TRY_ASSIGN(open.axis, open_axis({}, axis_section(block), cost));
        }
        axis_ = open.axis;
    }
    column_ = std::move(column);
    return {};
}

// Of a block in a segment: false if the cache has not all that is wanted.
Result<bool> PieceColumn::find_in_cache() {
    BlockCache& cache = files_.cache();
    const auto places = cache.find<ChunkPlaces>(kept_at(BlockCache::kDirectory));
    if (places == nullptr) {
        return false;
    }
    const ChunkPlace place = (*places)[piece_.column];
    if (place.bytes == 0) {
        column_ = std::make_shared<OpenColumn>();
        return true;
    }
    axis_ = cache.find<OpenAxis>(kept_at(BlockCache::kAxis));
    if (axis_ == nullptr) {
        return false;
    }
    TRY(find_column(place));
    return column_ != nullptr;
}

Status PieceColumn::find_column(const ChunkPlace& place) {
    if (place.bytes == place.strip_bytes) {
        column_ = files_.cache().find<OpenColumn>(kept_at(piece_.column));
        return {};
    }
    auto strip =
        files_.cache().find<std::vector<std::byte>>(kept_at(BlockCache::kStrips + place.strip));
    return strip != nullptr ? take_column(std::move(strip), place) : Status();
}

Status PieceColumn::take_column(std::shared_ptr<const std::vector<std::byte>> strip,
                                const ChunkPlace& place) {
    auto column = std::make_shared<OpenColumn>();
    column->chunk = Bytes(*strip).subspan(place.offset - place.strip_offset, place.bytes);
    column->strip = std::move(strip);
    TRY_ASSIGN(column->parts, ColumnParts::read(column->chunk, info_of(piece_).rows));
    if (place.bytes == place.strip_bytes) {
        column->parts.gather();  // others may be about to use it
    }
    column_ = std::move(column);
    return {};
}

Task<Status> PieceColumn::read_column(ReadCost& cost) {
    const Result<ChunkPlace> place = co_await read_place(cost);
    if (!place) {
        co_return place.error();
    }
    if (place->bytes == 0) {
        column_ = std::make_shared<OpenColumn>();
        co_return Status();
    }
    const SegmentMeta& segment = *piece_.segment_block->segment;
    Status taken = find_column(*place);
    if (taken && column_ == nullptr) {
        Result<File*> file = co_await files_.get(segment);
        if (!file) {
            co_return file.error();
        }
        Result<std::vector<std::byte>> read =
            co_await read_strip_of(**file, segment, piece_.segment_block->block, *place);
        if (!read) {
            co_return read.error();
        }
        cost.bytes_read += read->size();
        auto strip = std::make_shared<const std::vector<std::byte>>(std::move(*read));
        taken = take_column(strip, *place);
        keep(std::move(strip), *place);
    }
    if (!taken) {
        co_return in_place(taken.error());
    }
    co_return Status();
}

// Columns with a strip of their own are kept taken apart; of others the strip that they share is.
void PieceColumn::keep(std::shared_ptr<const std::vector<std::byte>> strip,
                       const ChunkPlace& place) {
    const size_t strip_bytes = strip->capacity();
    if (place.bytes != place.strip_bytes) {
        files_.cache().put(kept_at(BlockCache::kStrips + place.strip), std::move(strip),
                           strip_bytes);
    } else if (column_ != nullptr) {
        files_.cache().put(kept_at(piece_.column), column_,
                           sizeof(OpenColumn) + column_->parts.memory_bytes() + strip_bytes);
    }
}

Task<Result<ChunkPlace>> PieceColumn::read_place(ReadCost& cost) {
    auto places = files_.cache().find<ChunkPlaces>(kept_at(BlockCache::kDirectory));
    if (places == nullptr) {
        const SegmentMeta& segment = *piece_.segment_block->segment;
        Result<File*> file = co_await files_.get(segment);
        if (!file) {
            co_return file.error();
        }
        Result<std::vector<std::byte>> read =
            co_await read_directory(**file, segment, piece_.segment_block->block);
        if (!read) {
            co_return read.error();
        }
        cost.bytes_read += read->size();
        Result<ChunkPlaces> decoded = ChunkPlaces::read(*read, info_of(piece_));
        if (!decoded) {
            co_return in_place(decoded.error());
        }
        places = std::make_shared<const ChunkPlaces>(std::move(*decoded));
        files_.cache().put(kept_at(BlockCache::kDirectory), places, places->memory_bytes());
    }
    co_return (*places)[piece_.column];
}

Task<Status> PieceColumn::read_axis(ReadCost& cost) {
    axis_ = files_.cache().find<OpenAxis>(kept_at(BlockCache::kAxis));
    if (axis_ != nullptr) {
        co_return Status();
    }
    const SegmentMeta& segment = *piece_.segment_block->segment;
    Result<File*> file = co_await files_.get(segment);
    if (!file) {
        co_return file.error();
    }
    Result<std::vector<std::byte>> bytes =
        co_await read_axis_section(**file, segment, piece_.segment_block->block);
    if (!bytes) {
        co_return bytes.error();
    }
    cost.bytes_read += bytes->size();
    const Bytes section = *bytes;
    Result<std::shared_ptr<const OpenAxis>> axis = open_axis(std::move(*bytes), section, cost);
    if (!axis) {
        co_return in_place(axis.error());
    }
    axis_ = *std::move(axis);
    files_.cache().put(kept_at(BlockCache::kAxis), axis_, axis_->memory_bytes());
    co_return Status();
}

// `section` lies in `bytes`, if there are any.
Result<std::shared_ptr<const OpenAxis>> PieceColumn::open_axis(std::vector<std::byte> bytes,
                                                               Bytes section,
                                                               ReadCost& cost) const {
    const BlockInfo& info = info_of(piece_);
    TRY_ASSIGN(const AxisParts parts, read_axis_parts(section, info));
    TRY_ASSIGN(BlockKeys keys, BlockKeys::read(parts, info));
    cost.vectors_decoded += keys.vectors_decoded();
    return std::make_shared<const OpenAxis>(OpenAxis{std::move(bytes), parts, std::move(keys)});
}

BlockCache::Place PieceColumn::kept_at(uint32_t part) const {
    return {piece_.segment_block->segment->file_id(), piece_.segment_block->block, part};
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
    return add_up_to(std::min(end_row_, keys().lower_bound(end, next_row_)), buckets, from, cost);
}

Result<size_t> PieceColumn::add_rest(const BucketRow& buckets, size_t from, ReadCost& cost) {
    if (next_row_ != first_row_ || next_row_ >= end_row_) {
        return add_up_to(end_row_, buckets, from, cost);
    }
    const CostMeter meter(*reader_, cost);
    const std::vector<Stretch>& all = files_.stretches().find(axis_, next_row_, end_row_);
    const Status added = reader_->add_stretches(all, buckets, keys(), next_row_);
    if (!added) {
        return in_place(added.error());
    }
    next_row_ = end_row_;
    return all.back().bucket;
}

Status PieceColumn::pay_last(Bucket& bucket, ReadCost& cost) {
    const CostMeter meter(*reader_, cost);
    const Status paid = reader_->pay_last(bucket, keys());
    return paid ? paid : in_place(paid.error());
}

Result<size_t> PieceColumn::add_up_to(uint32_t end, const BucketRow& buckets, size_t from,
                                      ReadCost& cost) {
    const CostMeter meter(*reader_, cost);
    const size_t last = buckets.buckets.size() - 1;
    size_t bucket = from;
    while (next_row_ < end) {
        bucket = bucket_of(buckets.edges, bucket, keys()[next_row_]);
        const uint32_t until =
            bucket == last
                ? end
                : std::min(end, keys().lower_bound(buckets.edges[bucket + 1], next_row_ + 1));
        const Status added =
            reader_->add_to(buckets.buckets[bucket], buckets.needs, keys(), next_row_, until);
        if (!added) {
            return in_place(added.error());
        }
        next_row_ = until;
    }
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
