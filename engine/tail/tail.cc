#include "engine/tail/tail.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "engine/tail/transpose.h"

namespace stepdb {

namespace {

size_t float64_count(Bytes bitmap) {
    size_t count = 0;
    for (const std::byte byte : bitmap) {
        count += static_cast<size_t>(std::popcount(static_cast<unsigned>(byte)));
    }
    return count;
}

// Value bytes of the present columns of row `row`.
size_t sparse_row_bytes(const RowsView& rows, uint32_t row) {
    const Bytes present = rows.presence_row(row);
    if (rows.layout() != ValueLayout::kMixed) {
        return float64_count(present) * (rows.layout() == ValueLayout::kFloat64 ? 8 : 4);
    }
    size_t bytes = 0;
    const Bytes wide = rows.float64_columns();
    for (size_t i = 0; i < present.size(); ++i) {
        const auto bits = static_cast<unsigned>(present[i]);
        const auto wide_bits = bits & static_cast<unsigned>(wide[i]);
        bytes += static_cast<size_t>(std::popcount(bits) + std::popcount(wide_bits)) * 4;
    }
    return bytes;
}

}  // namespace

TailChunk::TailChunk(const RowsView& like, uint32_t rows_max, size_t value_bytes_max,
                     std::shared_ptr<MemoryBudget> budget)
    : width_(like.width()),
      layout_(like.layout()),
      sparse_(like.has_presence()),
      rows_max_(rows_max),
      row_bytes_(like.full_row_bytes()),
      bitmap_bytes_(like.bitmap_bytes()),
      value_bytes_max_(value_bytes_max),
      float64_columns_(like.float64_columns().begin(), like.float64_columns().end()),
      axis_(rows_max * (sizeof(Key) + sizeof(int64_t) + sizeof(uint64_t))),
      keys_(reinterpret_cast<Key*>(axis_.data())),
      times_(reinterpret_cast<int64_t*>(axis_.data() + rows_max * sizeof(Key))),
      sequences_(
          reinterpret_cast<uint64_t*>(axis_.data() + rows_max * (sizeof(Key) + sizeof(int64_t)))),
      own_values_(value_bytes_max),
      values_(own_values_.data()) {
    if (sparse_) {
        offsets_.reset(new size_t[size_t{rows_max} + 1]);
        offsets_[0] = 0;
        presence_.reset(new std::byte[rows_max * bitmap_bytes_]);
    }
    if (layout_ == ValueLayout::kMixed) {
        uint32_t narrow = 0;
        for (uint32_t column = 0; column < width_; ++column) {
            if (column % 64 == 0) {
                narrow_before_.push_back(narrow);
            }
            narrow += is_float64(column) ? 0U : 1U;
        }
        narrow_before_.push_back(narrow);
    }
    charge_ = MemoryCharge(std::move(budget), memory_bytes());
}

TailChunk::TailChunk(const RowsView& rows, uint32_t first, uint32_t count,
                     std::shared_ptr<const SharedBuffer> memory,
                     std::shared_ptr<MemoryBudget> budget)
    : TailChunk(rows, count, 0, std::move(budget)) {
    CHECK(!sparse_ && rows.lies_in_frame(), "rows of {} columns cannot stay", width_);
    memory_ = std::move(memory);
    values_ = rows.values().data() + first * row_bytes_;
}

bool TailChunk::accepts(const RowsView& rows, uint32_t row) const {
    return rows.layout() == layout_ && rows.has_presence() == sparse_ && rows_ < rows_max_ &&
           std::ranges::equal(rows.float64_columns(), float64_columns_) &&
           (!sparse_ || offsets_[rows_] + sparse_row_bytes(rows, row) <= value_bytes_max_);
}

uint32_t TailChunk::append(const RowsView& rows, uint32_t first, uint32_t count, uint64_t sequence,
                           int64_t receive_time_us, Axis axis) {
    uint32_t taken = 0;
    size_t from = 0;
    if (sparse_) {
        for (uint32_t row = 0; row < first; ++row) {
            from += sparse_row_bytes(rows, row);
        }
        size_t at = offsets_[rows_];
        size_t source = from;
        while (taken < count && rows_ + taken < rows_max_) {
            const size_t bytes = sparse_row_bytes(rows, first + taken);
            if (at + bytes > value_bytes_max_) {
                break;
            }
            std::memcpy(own_values_.data() + at, rows.values().data() + source, bytes);
            std::memcpy(presence_.get() + (rows_ + taken) * bitmap_bytes_,
                        rows.presence_row(first + taken).data(), bitmap_bytes_);
            at += bytes;
            source += bytes;
            ++taken;
            offsets_[rows_ + taken] = at;
        }
    } else {
        taken = std::min(count, rows_max_ - rows_);
    }
    if (!sparse_ && memory_ == nullptr) {
        std::memcpy(own_values_.data() + rows_ * row_bytes_,
                    rows.values().data() + first * row_bytes_, taken * row_bytes_);
    }
    append_axis(rows, first, taken, receive_time_us, axis);
    std::iota(sequences_ + rows_, sequences_ + rows_ + taken, sequence);
    rows_ += taken;
    return taken;
}

// Loops that do one thing each, for narrow rows.
void TailChunk::append_axis(const RowsView& rows, uint32_t first, uint32_t count,
                            int64_t receive_time_us, Axis axis) {
    int64_t* const times = times_ + rows_;
    Key* const keys = keys_ + rows_;
    if (rows.has_times()) {
        for (uint32_t i = 0; i < count; ++i) {
            times[i] = rows.time(first + i);
        }
    } else {
        std::fill_n(times, count, receive_time_us);
    }
    if (axis == Axis::kTimed) {
        std::copy_n(times, count, keys);
        return;
    }
    for (uint32_t i = 0; i < count; ++i) {
        keys[i] = key_of_step(rows.step(first + i));
    }
}

size_t TailChunk::memory_bytes() const {
    return sizeof(*this) + axis_.capacity() + own_values_.capacity() +
           (sparse_ ? rows_max_ * (sizeof(size_t) + bitmap_bytes_) : 0) +
           narrow_before_.size() * 4 + float64_columns_.size() +
           (memory_ != nullptr ? rows_max_ * row_bytes_ : 0);
}

uint32_t TailChunk::narrow_columns(uint32_t column) const {
    if (layout_ != ValueLayout::kMixed) {
        return layout_ == ValueLayout::kFloat64 ? 0 : column;
    }
    uint32_t narrow = narrow_before_[column / 64];
    for (uint32_t c = column / 64 * 64; c < column; ++c) {
        narrow += is_float64(c) ? 0U : 1U;
    }
    return narrow;
}

// Byte offset of a column in a dense row: float32 columns first, then float64 ones.
size_t TailChunk::column_offset(uint32_t column) const {
    const uint32_t narrow = narrow_columns(column);
    return is_float64(column) ? size_t{narrow_columns(width_)} * 4 + size_t{column - narrow} * 8
                              : size_t{narrow} * 4;
}

void TailChunk::transpose(uint32_t first, uint32_t end, uint32_t* narrow, double* wide,
                          size_t stride) const {
    CHECK(!sparse_ && first < end && end <= width_, "columns {} to {} of {}", first, end, width_);
    const uint32_t narrow_first = narrow_columns(first);
    const uint32_t narrow_count = narrow_columns(end) - narrow_first;
    const uint32_t wide_first = first - narrow_first;
    const uint32_t wide_count = end - first - narrow_count;
    if (narrow_count != 0) {
        transpose_words(values_ + size_t{narrow_first} * 4, row_bytes_, rows_, narrow_count, narrow,
                        stride);
    }
    if (wide_count != 0) {
        const size_t offset = size_t{narrow_columns(width_)} * 4 + size_t{wide_first} * 8;
        transpose_doubles(values_ + offset, row_bytes_, rows_, wide_count, wide, stride);
    }
}

double TailChunk::value_at(size_t offset, bool wide) const {
    const std::byte* at = values_ + offset;
    return wide ? load_le<double>(at) : widen(load_le<uint32_t>(at));
}

// Value bytes of the present columns below `columns` of a row, of the sections asked for.
size_t TailChunk::present_bytes(uint32_t row, uint32_t columns, bool narrow, bool wide) const {
    const Bytes bitmap = presence_row(row);
    size_t bytes = 0;
    for (uint32_t base = 0; base < columns; base += 8) {
        auto bits = static_cast<unsigned>(bitmap[base / 8]);
        if (columns - base < 8) {
            bits &= (1U << (columns - base)) - 1;
        }
        const unsigned wide_mask = layout_ == ValueLayout::kFloat64 ? 0xFFU
                                   : layout_ == ValueLayout::kFloat32
                                       ? 0U
                                       : static_cast<unsigned>(float64_columns_[base / 8]);
        bytes += narrow ? static_cast<size_t>(std::popcount(bits & ~wide_mask)) * 4 : 0;
        bytes += wide ? static_cast<size_t>(std::popcount(bits & wide_mask)) * 8 : 0;
    }
    return bytes;
}

std::vector<TailChunk::SparsePosition> TailChunk::start_positions() const {
    std::vector<SparsePosition> positions(sparse_ ? rows_ : 0);
    for (uint32_t row = 0; row < positions.size(); ++row) {
        positions[row].narrow = offsets_[row];
        positions[row].wide = offsets_[row] + present_bytes(row, width_, true, false);
    }
    return positions;
}

void TailChunk::read_next_column(uint32_t column, std::vector<SparsePosition>& positions,
                                 double* values, uint8_t* present) const {
    if (!sparse_) {
        read_column(column, rows_, values, present);
        return;
    }
    const bool wide = is_float64(column);
    for (uint32_t row = 0; row < positions.size(); ++row) {
        present[row] = RowsView::test_bit(presence_row(row), column) ? 1 : 0;
        values[row] = 0;
        if (present[row] != 0) {
            size_t& at = wide ? positions[row].wide : positions[row].narrow;
            values[row] = value_at(at, wide);
            at += wide ? 8U : 4U;
        }
    }
}

void TailChunk::read_column(uint32_t column, uint32_t count, double* values,
                            uint8_t* present) const {
    const bool wide = is_float64(column);
    if (sparse_) {
        for (uint32_t row = 0; row < count; ++row) {
            present[row] = RowsView::test_bit(presence_row(row), column) ? 1 : 0;
            values[row] = 0;
            if (present[row] != 0) {
                const size_t before = wide ? present_bytes(row, width_, true, false) +
                                                 present_bytes(row, column, false, true)
                                           : present_bytes(row, column, true, false);
                values[row] = value_at(offsets_[row] + before, wide);
            }
        }
        return;
    }
    const size_t offset = column_offset(column);
    for (uint32_t row = 0; row < count; ++row) {
        values[row] = value_at(offset + row * row_bytes_, wide);
    }
}

uint32_t Tail::append(const RowsView& rows, uint32_t first, uint64_t sequence,
                      int64_t receive_time_us, Axis axis, uint32_t rows_max, size_t bytes_max,
                      const std::shared_ptr<const SharedBuffer>& stays) {
    uint32_t taken = 0;
    while (first + taken < rows.rows() && (rows_ == 0 || !full(rows_max, bytes_max))) {
        const uint32_t rows_left = std::min(rows.rows() - first - taken, rows_max - rows_);
        TailPiece& piece =
            stays == nullptr
                ? piece_for(rows, first + taken, rows_left, bytes_max)
                : add(std::make_shared<TailChunk>(
                      rows, first + taken, std::min(rows_left, rows_of_bytes(rows, bytes_max)),
                      stays, budget_));
        TailChunk& chunk = *chunks_.back();
        const size_t bytes_before = chunk.value_bytes();
        const uint32_t count =
            chunk.append(rows, first + taken, rows_left, sequence + taken, receive_time_us, axis);
        CHECK(count > 0, "{} rows of {} columns", rows_left, rows.width());
        for (const Key key : chunk.keys().subspan(piece.rows, count)) {
            piece.key_min = std::min(piece.key_min, key);
            piece.key_max = std::max(piece.key_max, key);
        }
        value_bytes_ += chunk.value_bytes() - bytes_before;
        piece.rows += count;
        rows_ += count;
        taken += count;
    }
    return taken;
}

// The last chunk, if it takes such rows, or a new one: as large as what there is already, so that
// a short series stays small and a long one has few chunks.
TailPiece& Tail::piece_for(const RowsView& rows, uint32_t row, uint32_t rows_left,
                           size_t bytes_max) {
    if (!chunks_.empty() && chunks_.back()->accepts(rows, row)) {
        return pieces_.back();
    }
    const size_t row_bytes = std::max<size_t>(1, rows.full_row_bytes());
    const uint32_t capacity =
        std::min(std::max({rows_left, std::min(rows_, 512U), 4U}), rows_of_bytes(rows, bytes_max));
    size_t value_bytes = capacity * row_bytes;
    if (rows.has_presence()) {
        // Room for rows as full as the frame's own are, and for one full row at least.
        const size_t usual = rows.values().size() / rows.rows() + 1;
        value_bytes = std::max(row_bytes, capacity * usual * 5 / 4);
    }
    return add(std::make_shared<TailChunk>(rows, capacity, value_bytes, budget_));
}

// Full rows for which the tail has room, at least one.
uint32_t Tail::rows_of_bytes(const RowsView& rows, size_t bytes_max) const {
    const size_t row_bytes = std::max<size_t>(1, rows.full_row_bytes());
    return static_cast<uint32_t>(std::clamp<size_t>(
        (bytes_max - std::min(bytes_max, value_bytes_)) / row_bytes, 1, 1U << 20U));
}

TailPiece& Tail::add(std::shared_ptr<TailChunk> chunk) {
    memory_bytes_ += chunk->memory_bytes();
    pieces_.push_back({chunk, 0, kKeyMax, kKeyMin});
    chunks_.push_back(std::move(chunk));
    return pieces_.back();
}

std::vector<TailPiece> Tail::take() {
    chunks_.clear();
    rows_ = 0;
    value_bytes_ = 0;
    memory_bytes_ = 0;
    return std::exchange(pieces_, {});
}

}  // namespace stepdb
