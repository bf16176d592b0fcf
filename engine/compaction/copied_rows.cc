#include "engine/compaction/copied_rows.h"

#include <algorithm>
#include <limits>

#include "engine/model/row_summary.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"
#include "engine/segment/summary_section.h"

namespace stepdb {

namespace {

constexpr uint32_t kAllColumns = std::numeric_limits<uint32_t>::max();

template <typename T>
void append(const std::vector<T>& from, std::vector<T>& to) {
    to.insert(to.end(), from.begin(), from.end());
}

template <typename T>
bool ends_with(const std::vector<T>& all, const std::vector<T>& end) {
    return std::equal(all.end() - std::ssize(end), all.end(), end.begin());
}

size_t decoded_summaries_bytes(const BlockInfo& info) {
    return info.summaries_bytes == 0
               ? 0
               : sizeof(ColumnSummary) * (info.end_column - info.first_column);
}

// With rows, from `first` on, as keys and times.
Summary summarize_part(size_t first, size_t rows, const ColumnValues& column) {
    if (column.presence.empty()) {
        return summarize_rows_from(static_cast<Key>(first), column.values);
    }
    std::vector<Key> present;
    for (size_t row = 0; row < rows; ++row) {
        if ((column.presence[row / 64] >> (row % 64) & 1U) != 0) {
            present.push_back(static_cast<Key>(first + row));
        }
    }
    return summarize(present, present, column.values);
}

}  // namespace

CopiedRows::CopiedRows(std::vector<std::vector<SourceBlock*>> tiles, const MergeGroup& group,
                       const MergeLimits& limits, RangeReader& reader)
    : group_(group), limits_(limits), reader_(reader) {
    for (size_t tile = 0; tile < tiles.size(); ++tile) {
        tile_rows_.push_back(tiles[tile].front()->info().rows);
        for (SourceBlock* block : tiles[tile]) {
            sources_.emplace_back();
            sources_.back().block = block;
            sources_.back().tile = tile;
        }
    }
    const BlockInfo& like = sources_.front().block->info();
    info_.run = like.run;
    info_.schema = like.schema;
    info_.attempt = like.attempt;
    info_.axis = like.axis;
    info_.columns = like.columns;
}

Task<Result<bool>> CopiedRows::open() {
    uint64_t bytes = 0;
    for (const Source& source : sources_) {
        bytes += source.block->info().total_bytes();
    }
    is_loaded_ = bytes <= limits_.kept_bytes;
    std::vector<FileRange> ranges;
    const Status read = co_await read_fronts(&ranges);
    if (!read) {
        failed_ = sources_[reader_.failed() % sources_.size()].block;
        co_return read.error();
    }
    const Result<bool> taken = take_fronts(ranges);
    if (!taken || !*taken) {
        co_return taken;
    }
    const Status summaries = take_summaries(ranges);
    if (!summaries) {
        co_return summaries.error();
    }
    co_return true;
}

// The front of each source, with its strips if they are loaded, then the summaries of each.
Task<Status> CopiedRows::read_fronts(std::vector<FileRange>* ranges) {
    if (sources_.front().block->memory() != nullptr) {
        co_return Status();
    }
    for (const Source& source : sources_) {
        const SourceBlock& block = *source.block;
        const uint64_t strips_bytes = is_loaded_ ? block.info().strips_bytes : 0;
        ranges->emplace_back(block.file(), block.place().offset,
                             block.front_bytes() + strips_bytes);
    }
    size_t decoded_bytes = 0;
    for (const Source& source : sources_) {
        const SourceBlock& block = *source.block;
        decoded_bytes += decoded_summaries_bytes(block.info());
        const bool has_room = decoded_bytes <= limits_.summaries_bytes;
        ranges->emplace_back(block.file(), block.place().summaries_offset(),
                             has_room ? block.info().summaries_bytes : 0);
    }
    co_return co_await reader_.read(ranges);
}

Result<bool> CopiedRows::take_fronts(const std::vector<FileRange>& ranges) {
    for (size_t i = 0; i < sources_.size(); ++i) {
        Source& source = sources_[i];
        const EncodedBlock* memory = source.block->memory();
        const BlockInfo& info = source.block->info();
        const Bytes axis_bytes =
            memory != nullptr ? axis_section(*memory) : ranges[i].read.first(info.axis_bytes);
        const Bytes directory_bytes =
            memory != nullptr ? directory_section(*memory)
                              : ranges[i].read.subspan(info.axis_bytes, info.directory_bytes);
        const Result<AxisColumns> axis = source.block->take_front(axis_bytes, directory_bytes);
        if (!axis) {
            failed_ = source.block;
            return axis.error();
        }
        const bool first_of_tile = i == 0 || sources_[i - 1].tile != source.tile;
        if (!append_axis(*axis, first_of_tile)) {
            return false;
        }
        if (is_loaded_) {
            source.strips = memory != nullptr ? strips_section(*memory)
                                              : ranges[i].read.subspan(source.block->front_bytes());
        }
    }
    info_.rows = static_cast<uint32_t>(axis_.keys.size());
    info_.key_min = axis_.keys.front();
    info_.key_max = axis_.keys.back();
    const auto [time_min, time_max] = std::ranges::minmax(axis_.times);
    info_.time_min = time_min;
    info_.time_max = time_max;
    const auto [sequence_min, sequence_max] = std::ranges::minmax(axis_.sequences);
    info_.sequence_min = sequence_min;
    info_.sequence_max = sequence_max;
    axis_section_ = encode_axis_section(axis_, info_.axis);
    info_.axis_bytes = static_cast<uint32_t>(axis_section_.size());
    return true;
}

// As many as there is room for; of the others the values are looked at.
Status CopiedRows::take_summaries(const std::vector<FileRange>& ranges) {
    if (info_.rows < limits_.summary_values) {
        return {};
    }
    size_t decoded_bytes = 0;
    for (size_t i = 0; i < sources_.size(); ++i) {
        Source& source = sources_[i];
        const EncodedBlock* memory = source.block->memory();
        decoded_bytes += decoded_summaries_bytes(source.block->info());
        const Bytes section =
            memory != nullptr ? summaries_section(*memory) : ranges[sources_.size() + i].read;
        if (section.empty() || decoded_bytes > limits_.summaries_bytes) {
            continue;
        }
        Result<std::vector<ColumnSummary>> summaries = source.block->take_summaries(section);
        if (!summaries) {
            failed_ = source.block;
            return summaries.error();
        }
        source.summaries = std::move(*summaries);
    }
    return {};
}

bool CopiedRows::append_axis(const AxisColumns& axis, bool first_of_tile) {
    if (!first_of_tile) {
        return ends_with(axis_.keys, axis.keys) && ends_with(axis_.times, axis.times) &&
               ends_with(axis_.sequences, axis.sequences);
    }
    if (std::ranges::adjacent_find(axis.keys) != axis.keys.end()) {
        return false;
    }
    append(axis.keys, axis_.keys);
    append(axis.times, axis_.times);
    append(axis.sequences, axis_.sequences);
    return true;
}

Task<Result<const CopiedBlock*>> CopiedRows::next() {
    while (end_column_ < info_.columns) {
        begin_block();
        const Status loaded = co_await load_columns();
        if (!loaded) {
            co_return loaded.error();
        }
        const Status added = add_columns();
        if (!added) {
            co_return added.error();
        }
        if (!block_.strips.empty()) {
            end_block();
            co_return &block_;
        }
    }
    co_return nullptr;
}

void CopiedRows::begin_block() {
    from_column_ = end_column_;
    block_ = CopiedBlock();
    heads_.clear();
    strips_.clear();
    chunk_bytes_.assign(info_.columns, 0);
    summaries_.clear();
}

// Columns as many as there is room for, of each source its share.
Task<Status> CopiedRows::load_columns() {
    end_column_ = kAllColumns;
    if (is_loaded_) {
        co_return Status();
    }
    uint64_t all_bytes = 0;
    for (const Source& source : sources_) {
        all_bytes += source.block->info().strips_bytes;
    }
    for (const Source& source : sources_) {
        const std::vector<Strip>& strips = source.block->directory().strips();
        const uint64_t share = limits_.kept_bytes * source.block->info().strips_bytes / all_bytes;
        size_t end = strip_of(source, from_column_);
        for (uint64_t bytes = 0; end < strips.size(); ++end) {
            if (bytes != 0 && bytes + strips[end].bytes > share) {
                end_column_ = std::min(end_column_, strips[end].first_column);
                break;
            }
            bytes += strips[end].bytes;
        }
    }
    std::vector<FileRange> ranges;
    for (Source& source : sources_) {
        const std::vector<Strip>& strips = source.block->directory().strips();
        source.first_strip = strip_of(source, from_column_);
        source.strip = source.first_strip;
        source.is_checked = false;
        uint64_t bytes = 0;
        for (size_t strip = source.first_strip;
             strip < strips.size() && strips[strip].first_column < end_column_; ++strip) {
            bytes += strips[strip].bytes;
        }
        const uint64_t offset = strips.empty() ? 0 : strips[source.first_strip].offset;
        if (source.block->memory() != nullptr) {
            source.strips = strips_section(*source.block->memory()).subspan(offset, bytes);
        } else {
            ranges.emplace_back(source.block->file(),
                                source.block->place().strips_offset() + offset, bytes);
        }
    }
    const Status read = co_await reader_.read(&ranges);
    if (!read) {
        failed_ = sources_[reader_.failed()].block;
        co_return read;
    }
    for (size_t i = 0; i < ranges.size(); ++i) {
        sources_[i].strips = ranges[i].read;
    }
    co_return Status();
}

// The strip that has the column, if one has; else the first one behind it, or the last.
size_t CopiedRows::strip_of(const Source& source, uint32_t column) const {
    const std::vector<Strip>& strips = source.block->directory().strips();
    const auto after =
        std::ranges::upper_bound(strips, column, {}, [](const Strip& s) { return s.first_column; });
    return static_cast<size_t>(std::max<ptrdiff_t>(1, after - strips.begin())) - 1;
}

Status CopiedRows::add_columns() {
    const auto first = std::ranges::lower_bound(group_.columns, from_column_);
    const auto end = std::lower_bound(first, group_.columns.end(), end_column_);
    for (auto column = first; column != end; ++column) {
        TRY(add_column(*column));
    }
    return {};
}

Status CopiedRows::add_column(uint32_t column) {
    parts_.clear();
    tile_parts_.clear();
    bool has_value = false;
    for (size_t i = 0; i < sources_.size();) {
        const size_t tile = sources_[i].tile;
        Bytes chunk;
        TilePart of_tile;
        for (; i < sources_.size() && sources_[i].tile == tile; ++i) {
            Source& source = sources_[i];
            if (source.block->info().may_hold(column)) {
                of_tile.holder = source.block;
                of_tile.summary = summary_of(source, column);
                TRY_ASSIGN(chunk, chunk_of(source, column));
            }
        }
        Status taken = append_chunk_parts(chunk, tile_rows_[tile], parts_);
        if (!taken) {
            failed_ = of_tile.holder;
            return taken;
        }
        of_tile.parts_end = parts_.size();
        tile_parts_.push_back(of_tile);
        has_value = has_value || !chunk.empty();
    }
    if (has_value) {
        put(column);
        if (info_.rows >= limits_.summary_values) {
            TRY(add_summary(column));
        }
    }
    return {};
}

// Columns are asked for in ascending order.
const Summary* CopiedRows::summary_of(Source& source, uint32_t column) {
    const std::vector<ColumnSummary>& all = source.summaries;
    while (source.next_summary < all.size() && all[source.next_summary].column < column) {
        ++source.next_summary;
    }
    const bool is_there =
        source.next_summary < all.size() && all[source.next_summary].column == column;
    return is_there ? &all[source.next_summary].summary : nullptr;
}

Result<Bytes> CopiedRows::chunk_of(Source& source, uint32_t column) {
    const BlockDirectory& directory = source.block->directory();
    const std::vector<Strip>& strips = directory.strips();
    while (source.strip + 1 < strips.size() && strips[source.strip + 1].first_column <= column) {
        ++source.strip;
        source.is_checked = false;
    }
    if (strips.empty() || strips[source.strip].first_column > column) {
        return Bytes();
    }
    const Strip& strip = strips[source.strip];
    const uint64_t loaded_at = strips[source.first_strip].offset;
    if (!source.is_checked) {
        failed_ = source.block;
        TRY(source.block->check_strip(
            source.strip, source.strips.subspan(strip.offset - loaded_at, strip.bytes)));
        TRY_ASSIGN(source.places, directory.places(source.strip));
        source.is_checked = true;
        failed_ = nullptr;
    }
    const ChunkPlace& place = source.places[column - strip.first_column];
    return place.bytes == 0 ? Bytes()
                            : source.strips.subspan(place.offset - loaded_at, place.bytes);
}

// The chunk of the parts, and the strip it lies in.
void CopiedRows::put(uint32_t column) {
    std::span<const ChunkPart> parts = parts_;
    if (is_one_constant(parts)) {
        parts = parts.first(1);
    }
    uint64_t bytes = 0;
    for (const ChunkPart& part : parts) {
        bytes += part.chunk.size();
    }
    if (parts.size() > 1) {
        encode_parts_head(parts, heads_.emplace_back());
        bytes += heads_.back().size();
    }
    if (opens_strip(strips_.empty() ? 0 : strips_.back().bytes, bytes)) {
        const uint64_t offset = strips_.empty() ? 0 : strips_.back().offset + strips_.back().bytes;
        if (!strips_.empty()) {
            strips_.back().checksum = checksum_.value();
        }
        checksum_.begin(content_seed(info_));
        strips_.push_back({column, offset, 0, 0});
    }
    strips_.back().bytes += static_cast<uint32_t>(bytes);
    chunk_bytes_[column] = static_cast<uint32_t>(bytes);
    if (parts.size() > 1) {
        put_piece(heads_.back());
    }
    for (const ChunkPart& part : parts) {
        put_piece(part.chunk);
    }
}

void CopiedRows::put_piece(Bytes piece) {
    if (!piece.empty()) {
        checksum_.add(piece);
        block_.strips.push_back(piece);
    }
}

// No key comes twice, so all points count. Deviations beyond float64 are left to those who look at
// the values.
Status CopiedRows::add_summary(uint32_t column) {
    Summary summary;
    size_t first_row = 0;
    size_t part = 0;
    for (size_t tile = 0; tile < tile_parts_.size(); ++tile) {
        const TilePart& of_tile = tile_parts_[tile];
        if (of_tile.summary != nullptr) {
            summary.append(*of_tile.summary);
        } else if (of_tile.holder != nullptr) {
            TRY(decode_summary(column, *of_tile.holder, first_row,
                               std::span(parts_).subspan(part, of_tile.parts_end - part), summary));
        }
        part = of_tile.parts_end;
        first_row += tile_rows_[tile];
    }
    if (summary.points() >= limits_.summary_values && summary.deviations.is_plain()) {
        summaries_.push_back({column, summary});
    }
    return {};
}

// Appends what the values of these parts say.
Status CopiedRows::decode_summary(uint32_t column, const SourceBlock& holder, size_t first_row,
                                  std::span<const ChunkPart> parts, Summary& summary) {
    for (const ChunkPart& part : parts) {
        if (!part.chunk.empty()) {
            const Result<ColumnValues> values = decode_chunk_bytes(part.chunk, part.rows);
            if (!values) {
                failed_ = &holder;
                return values.error().within(fmt::format("column {}", column));
            }
            Summary of_part = summarize_part(first_row, part.rows, *values);
            for (SummaryPoint* point :
                 {&of_part.first, &of_part.last, &of_part.min, &of_part.max}) {
                const auto row = static_cast<size_t>(point->key);
                point->key = axis_.keys[row];
                point->time = axis_.times[row];
            }
            summary.append(of_part);
        }
        first_row += part.rows;
    }
    return {};
}

void CopiedRows::end_block() {
    strips_.back().checksum = checksum_.value();
    block_.info = info_;
    block_.axis = axis_section_;
    block_.directory = encode_directory(strips_, chunk_bytes_);
    if (!summaries_.empty()) {
        block_.summaries = encode_summaries(summaries_, info_.axis);
    }
    const auto has_value = [](uint32_t bytes) { return bytes != 0; };
    const auto first = std::ranges::find_if(chunk_bytes_, has_value);
    const auto last = std::find_if(chunk_bytes_.rbegin(), chunk_bytes_.rend(), has_value);
    BlockInfo& info = block_.info;
    info.first_column = static_cast<uint32_t>(first - chunk_bytes_.begin());
    info.end_column = static_cast<uint32_t>(chunk_bytes_.rend() - last);
    info.directory_bytes = static_cast<uint32_t>(block_.directory.size());
    info.summaries_bytes = static_cast<uint32_t>(block_.summaries.size());
    info.strips_bytes = strips_.back().offset + strips_.back().bytes;
}

}  // namespace stepdb
