#include "engine/segment/block.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/base/checksum.h"
#include "engine/base/coding.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/kernels.h"
#include "engine/codec/varint.h"
#include "engine/model/limits.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"
#include "engine/segment/summary_section.h"

namespace stepdb {

namespace {

// Axis section:
//   u8 format        1
//   u8 axis          0 stepped, 1 timed
//   u8[2] reserved   0
//   varint n, n bytes   keys: of a stepped block steps, of a timed block integers
//   varint n, n bytes   times, integers; none (n = 0) of a timed block
//   varint n, n bytes   sequences, integers
constexpr uint8_t kAxisFormat = 1;

template <typename T>
std::vector<T> reordered(std::span<const T> values, const std::vector<uint32_t>& order) {
    if (order.empty()) {
        return {values.begin(), values.end()};
    }
    std::vector<T> out;
    out.reserve(values.size());
    for (const uint32_t row : order) {
        out.push_back(values[row]);
    }
    return out;
}

std::span<const int64_t> as_integers(const std::vector<uint64_t>& values) {
    return {reinterpret_cast<const int64_t*>(values.data()), values.size()};
}

void append_part(const std::vector<std::byte>& part, std::vector<std::byte>& out) {
    append_varint(out, part.size());
    out.insert(out.end(), part.begin(), part.end());
}

std::vector<std::byte> encode_axis(const AxisColumns& columns, Axis axis) {
    std::vector<std::byte> out = {std::byte{kAxisFormat}, static_cast<std::byte>(axis), {}, {}};
    std::vector<std::byte> part;
    if (axis == Axis::kStepped) {
        encode_steps(columns.keys, part);
    } else {
        encode_integers(columns.keys, part);
    }
    append_part(part, out);
    part.clear();
    if (axis == Axis::kStepped) {
        encode_integers(columns.times, part);
    }
    append_part(part, out);
    part.clear();
    encode_integers(as_integers(columns.sequences), part);
    append_part(part, out);
    return out;
}

Result<Bytes> read_part(ByteReader& reader, std::string_view what) {
    uint64_t bytes = 0;
    if (!read_varint(reader, bytes) || bytes > reader.remaining()) {
        return corruption(fmt::format("axis section ends within its {}", what));
    }
    return reader.get_bytes(bytes);
}

// The decoded axis must say what is known of the block from elsewhere.
Status check_axis(const AxisColumns& columns, const BlockInfo& info) {
    for (size_t row = 1; row < columns.keys.size(); ++row) {
        if (columns.keys[row] < columns.keys[row - 1] ||
            (columns.keys[row] == columns.keys[row - 1] &&
             columns.sequences[row] < columns.sequences[row - 1])) {
            return corruption(fmt::format("row {} sorts before the row above it", row));
        }
    }
    const auto [time_min, time_max] = std::ranges::minmax(columns.times);
    const auto [sequence_min, sequence_max] = std::ranges::minmax(columns.sequences);
    if (columns.keys.front() != info.key_min || columns.keys.back() != info.key_max ||
        time_min != info.time_min || time_max != info.time_max ||
        sequence_min != info.sequence_min || sequence_max != info.sequence_max) {
        return corruption(
            fmt::format("keys {}..{}, times {}..{}, sequences {}..{}; expected {}..{}, "
                        "{}..{}, {}..{}",
                        columns.keys.front(), columns.keys.back(), time_min, time_max, sequence_min,
                        sequence_max, info.key_min, info.key_max, info.time_min, info.time_max,
                        info.sequence_min, info.sequence_max));
    }
    return {};
}

Status check_size(const BlockInfo& info) {
    if (info.rows == 0 || info.rows > kBlockRowsMax || info.columns == 0 ||
        info.columns > kSchemaMetricsMax) {
        return corruption(
            fmt::format("a block of {} rows and {} columns; 1 to {} and 1 to {} are "
                        "possible",
                        info.rows, info.columns, kBlockRowsMax, kSchemaMetricsMax));
    }
    return {};
}

}  // namespace

BlockBuilder::BlockBuilder(const BlockInfo& info, std::span<const Key> keys,
                           std::span<const int64_t> times, std::span<const uint64_t> sequences,
                           size_t summary_values_min)
    : info_(info), summary_values_min_(summary_values_min) {
    CHECK(!keys.empty() && keys.size() <= kBlockRowsMax && times.size() == keys.size() &&
              sequences.size() == keys.size(),
          "{} keys, {} times, {} sequences", keys.size(), times.size(), sequences.size());
    const auto sorts_before = [&](uint32_t a, uint32_t b) {
        return keys[a] != keys[b] ? keys[a] < keys[b] : sequences[a] < sequences[b];
    };
    order_.resize(keys.size());
    std::iota(order_.begin(), order_.end(), 0U);
    if (std::ranges::is_sorted(order_, sorts_before)) {
        order_.clear();
    } else {
        std::ranges::stable_sort(order_, sorts_before);
    }
    axis_.keys = reordered(keys, order_);
    axis_.times = reordered(info.axis == Axis::kTimed ? keys : times, order_);
    axis_.sequences = reordered(sequences, order_);
    info_.rows = static_cast<uint32_t>(keys.size());
    info_.key_min = axis_.keys.front();
    info_.key_max = axis_.keys.back();
    const auto [time_min, time_max] = std::ranges::minmax(axis_.times);
    info_.time_min = time_min;
    info_.time_max = time_max;
    const auto [sequence_min, sequence_max] = std::ranges::minmax(axis_.sequences);
    info_.sequence_min = sequence_min;
    info_.sequence_max = sequence_max;
    has_equal_keys_ = std::ranges::adjacent_find(axis_.keys) != axis_.keys.end();
    chunk_bytes_.reserve(info_.columns);
    content_seed_ = content_seed(info_);
    values_.resize(keys.size());
}

void BlockBuilder::use_buffer(LargeBuffer buffer) {
    CHECK(used_ == 0, "{} bytes of chunks", used_);
    bytes_ = std::move(buffer);
}

// Where `bytes` can be written next. What there is not room for moves to where there probably is
// for all that comes, going by the columns so far.
std::byte* BlockBuilder::room(size_t bytes) {
    if (bytes_.capacity() - used_ < bytes) {
        constexpr size_t kGrowthMax = 16;
        const size_t columns = std::max<size_t>(chunk_bytes_.size(), 1);
        const size_t expected = used_ / columns * (info_.columns + info_.columns / 32);
        LargeBuffer larger(std::clamp(expected, 2 * used_, kGrowthMax * used_) + bytes);
        std::copy_n(bytes_.data(), used_, larger.data());
        bytes_ = std::move(larger);
    }
    return bytes_.data() + used_;
}

void BlockBuilder::append(Bytes section) {
    std::ranges::copy(section, room(section.size()));
    used_ += section.size();
}

// The buffer itself, unless it is small or a good part of it is empty.
LargeBuffer BlockBuilder::take_bytes() {
    constexpr size_t kCopiedMax = 256U << 10U;
    if (used_ <= kCopiedMax || used_ + used_ / 4 < bytes_.capacity()) {
        LargeBuffer exact(used_);
        std::copy_n(bytes_.data(), used_, exact.data());
        return exact;
    }
    bytes_.resize(used_);
    return std::exchange(bytes_, {});
}

void BlockBuilder::add_column(uint32_t column, std::span<const double> values,
                              std::span<const uint8_t> present) {
    CHECK(values.size() == info_.rows && (present.empty() || present.size() == info_.rows),
          "column {}: {} values, {} presence bytes for {} rows", column, values.size(),
          present.size(), info_.rows);
    begin_column(column);
    if (present.empty() || std::ranges::find(present, uint8_t{0}) == present.end()) {
        add_full(values);
    } else {
        add_sparse(values, present);
    }
}

void BlockBuilder::add_present(uint32_t column, std::span<const int64_t> rows,
                               std::span<const double> values) {
    CHECK(order_.empty() && !rows.empty() && rows.size() <= info_.rows &&
              values.size() == rows.size(),
          "column {}: {} values of {} among {} rows, {} out of order", column, values.size(),
          rows.size(), info_.rows, order_.size());
    begin_column(column);
    add_sorted(rows, values);
}

void BlockBuilder::add_words(uint32_t column, std::span<const uint32_t> words) {
    CHECK(words.size() == info_.rows, "column {}: {} words for {} rows", column, words.size(),
          info_.rows);
    begin_column(column);
    if (!order_.empty()) {
        words_.resize(words.size());
        for (size_t i = 0; i < order_.size(); ++i) {
            words_[i] = words[order_[i]];
        }
        words = words_;
    }
    if (info_.rows >= summary_values_min_) {
        if (has_equal_keys_) {
            kernels().widen(words.data(), words.size(), values_.data());
            add_summary(summarize_rows(axis_, all_rows(), values_));
        } else {
            add_summary(summarize(axis_.keys, axis_.times, words));
        }
    }
    std::byte* const to = room(full_chunk_bytes_max(words.size()));
    end_chunk(static_cast<size_t>(encode_full_chunk(words, to) - to));
}

// The chunk of the column begun has been written: of so many bytes, 0 if it has no value.
void BlockBuilder::end_chunk(size_t bytes) {
    if (bytes != 0) {
        const uint64_t before = strips_.empty() ? 0 : strips_.back().bytes;
        if (opens_strip(before, bytes)) {
            close_strip();
            strips_.push_back({static_cast<uint32_t>(chunk_bytes_.size()), used_, 0, 0});
        }
        strips_.back().bytes += static_cast<uint32_t>(bytes);
        used_ += bytes;
    }
    chunk_bytes_.push_back(static_cast<uint32_t>(bytes));
}

// Checksums the last strip, while it is in the cache.
void BlockBuilder::close_strip() {
    if (!strips_.empty()) {
        Strip& strip = strips_.back();
        strip.checksum = xxh3(Bytes(bytes_.data() + strip.offset, strip.bytes), content_seed_);
    }
}

// Columns since the last one stay without a value.
void BlockBuilder::begin_column(uint32_t column) {
    CHECK(column >= chunk_bytes_.size() && column < info_.columns, "column {} after {} of {}",
          column, chunk_bytes_.size(), info_.columns);
    chunk_bytes_.resize(column, 0);
}

std::span<const int64_t> BlockBuilder::all_rows() {
    if (all_rows_.empty()) {
        all_rows_.resize(info_.rows);
        std::iota(all_rows_.begin(), all_rows_.end(), 0);
    }
    return all_rows_;
}

void BlockBuilder::add_full(std::span<const double> values) {
    if (!order_.empty()) {
        for (size_t i = 0; i < order_.size(); ++i) {
            values_[i] = values[order_[i]];
        }
        values = values_;
    }
    add_sorted(all_rows(), values);
}

void BlockBuilder::add_sparse(std::span<const double> values, std::span<const uint8_t> present) {
    rows_.resize(info_.rows);
    size_t count = 0;
    for (uint32_t i = 0; i < info_.rows; ++i) {
        const uint32_t row = order_.empty() ? i : order_[i];
        if (present[row] != 0) {
            values_[count] = values[row];
            rows_[count] = i;
            ++count;
        }
    }
    add_sorted(std::span(rows_).first(count), std::span(values_).first(count));
}

// The chunk of the column begun: `rows` have a value, ascending.
void BlockBuilder::add_sorted(std::span<const int64_t> rows, std::span<const double> values) {
    if (rows.size() >= summary_values_min_) {
        add_summary(summarize_present(rows, values));
    }
    if (rows.size() == info_.rows) {
        std::byte* const to = room(full_chunk_bytes_max(values.size()));
        end_chunk(static_cast<size_t>(encode_full_chunk(values, to) - to));
        return;
    }
    sparse_chunk_.clear();
    if (!rows.empty()) {
        encode_sparse_chunk(info_.rows, rows, values, sparse_chunk_);
        std::ranges::copy(sparse_chunk_, room(sparse_chunk_.size()));
    }
    end_chunk(sparse_chunk_.size());
}

Summary BlockBuilder::summarize_present(std::span<const int64_t> rows,
                                        std::span<const double> values) const {
    const bool all_count = rows.size() == info_.rows && !has_equal_keys_;
    return all_count ? summarize(axis_.keys, axis_.times, values)
                     : summarize_rows(axis_, rows, values);
}

// That of the column begun.
void BlockBuilder::add_summary(const Summary& summary) {
    // Deviations beyond float64 are left to those who look at the values.
    if (summary.deviations.is_plain()) {
        if (summaries_.empty()) {
            constexpr size_t kExpectedMax = 4096;
            summaries_.reserve(std::min(info_.columns - chunk_bytes_.size(), kExpectedMax));
        }
        summaries_.push_back({static_cast<uint32_t>(chunk_bytes_.size()), summary});
    }
}

std::shared_ptr<const EncodedBlock> BlockBuilder::finish(std::shared_ptr<MemoryBudget> budget) {
    chunk_bytes_.resize(info_.columns, 0);
    const auto has_value = [](uint32_t bytes) { return bytes != 0; };
    const auto first = std::ranges::find_if(chunk_bytes_, has_value);
    if (first != chunk_bytes_.end()) {
        const auto last = std::find_if(chunk_bytes_.rbegin(), chunk_bytes_.rend(), has_value);
        info_.first_column = static_cast<uint32_t>(first - chunk_bytes_.begin());
        info_.end_column = static_cast<uint32_t>(chunk_bytes_.rend() - last);
    }
    close_strip();
    info_.strips_bytes = used_;
    const std::vector<std::byte> axis = encode_axis(axis_, info_.axis);
    const std::vector<std::byte> directory = encode_plain_directory(strips_, chunk_bytes_);
    info_.axis_bytes = static_cast<uint32_t>(axis.size());
    info_.directory_bytes = static_cast<uint32_t>(directory.size());
    std::vector<std::byte> summaries;
    if (!summaries_.empty()) {
        summaries = encode_summaries(summaries_, info_.axis);
    }
    info_.summaries_bytes = static_cast<uint32_t>(summaries.size());
    append(axis);
    append(directory);
    append(summaries);
    auto block = std::make_shared<EncodedBlock>();
    block->info = info_;
    block->bytes = take_bytes();
    block->charge = MemoryCharge(std::move(budget), block->memory_bytes());
    return block;
}

Summary summarize_rows(const AxisColumns& axis, std::span<const int64_t> rows,
                       std::span<const double> values) {
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<double> kept;
    keys.reserve(rows.size());
    times.reserve(rows.size());
    kept.reserve(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
        const auto row = static_cast<size_t>(rows[i]);
        const bool replaced =
            i + 1 < rows.size() && axis.keys[static_cast<size_t>(rows[i + 1])] == axis.keys[row];
        if (!replaced) {
            keys.push_back(axis.keys[row]);
            times.push_back(axis.times[row]);
            kept.push_back(values[i]);
        }
    }
    return summarize(keys, times, kept);
}

Summary summarize_column(const AxisColumns& axis, const ColumnValues& column) {
    std::vector<int64_t> rows;
    rows.reserve(column.values.size());
    for (size_t row = 0; row < axis.keys.size(); ++row) {
        if (column.presence.empty() || (column.presence[row / 64] >> (row % 64) & 1U) != 0) {
            rows.push_back(static_cast<int64_t>(row));
        }
    }
    return summarize_rows(axis, rows, column.values);
}

std::vector<std::byte> encode_axis_section(const AxisColumns& axis, Axis kind) {
    return encode_axis(axis, kind);
}

Result<AxisParts> read_axis_parts(Bytes section, const BlockInfo& info) {
    TRY(check_size(info));
    ByteReader reader(section);
    const auto format = reader.get<uint8_t>();
    const auto axis = reader.get<uint8_t>();
    const auto reserved = reader.get<uint16_t>();
    if (!reader.failed() && format != kAxisFormat) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "axis section has format {}; this program reads {}", format, kAxisFormat);
    }
    if (axis != static_cast<uint8_t>(info.axis) || reserved != 0) {
        return corruption(fmt::format("axis section of {} bytes with axis {}, expected {}",
                                      section.size(), axis, static_cast<unsigned>(info.axis)));
    }
    AxisParts parts;
    TRY_ASSIGN(parts.keys, read_part(reader, "keys"));
    TRY_ASSIGN(parts.times, read_part(reader, "times"));
    TRY_ASSIGN(parts.sequences, read_part(reader, "sequences"));
    const bool timed = info.axis == Axis::kTimed;
    if (!reader.finished() || (timed && !parts.times.empty())) {
        return corruption(
            fmt::format("axis section of {} bytes has more than it should", section.size()));
    }
    return parts;
}

Result<AxisColumns> decode_axis(Bytes section, const BlockInfo& info) {
    TRY_ASSIGN(const AxisParts parts, read_axis_parts(section, info));
    const bool timed = info.axis == Axis::kTimed;
    AxisColumns columns;
    columns.keys.resize(info.rows);
    columns.times.resize(info.rows);
    columns.sequences.resize(info.rows);
    TRY(timed ? decode_integers(parts.keys, columns.keys) : decode_steps(parts.keys, columns.keys));
    if (timed) {
        columns.times = columns.keys;
    } else {
        TRY(decode_integers(parts.times, columns.times));
    }
    TRY(decode_integers(parts.sequences, {reinterpret_cast<int64_t*>(columns.sequences.data()),
                                          columns.sequences.size()}));
    TRY(check_axis(columns, info));
    return columns;
}

Result<ChunkPlace> find_chunk(Bytes directory, const BlockInfo& info, uint32_t column) {
    TRY(check_size(info));
    TRY_ASSIGN(const BlockDirectory read, BlockDirectory::read(directory, info));
    return read.place(column);
}

Result<ColumnValues> decode_chunk(Bytes chunk, const BlockInfo& info) {
    TRY(check_size(info));
    return decode_chunk_bytes(chunk, info.rows);
}

Bytes axis_section(const EncodedBlock& block) {
    return Bytes(block.bytes).subspan(block.info.strips_bytes, block.info.axis_bytes);
}
Bytes directory_section(const EncodedBlock& block) {
    return Bytes(block.bytes)
        .subspan(block.info.strips_bytes + block.info.axis_bytes, block.info.directory_bytes);
}
Bytes strips_section(const EncodedBlock& block) {
    return Bytes(block.bytes).first(block.info.strips_bytes);
}
Bytes summaries_section(const EncodedBlock& block) {
    return Bytes(block.bytes).last(block.info.summaries_bytes);
}

}  // namespace stepdb
