#include "clients/cpp/row_buffer.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/base/check.h"
#include "engine/base/float_bits.h"
#include "engine/model/limits.h"

namespace stepdb::client {

namespace {

constexpr uint8_t kPartSteps = 1;
constexpr uint8_t kPartTimes = 2;
constexpr uint8_t kPartPresence = 4;

bool has_column(Bytes present, size_t column) {
    return present.empty() || RowsView::test_bit(present, static_cast<uint32_t>(column));
}

// Through the conversion instructions: a signalling NaN changes on its way and so stays a double,
// everything else that comes back as it was may travel as float32.
bool is_float32(double value) {
    return same_bits(static_cast<double>(static_cast<float>(value)), value);
}

}  // namespace

size_t RowFormat::rows_of(size_t bytes) const {
    size_t rows = bytes <= kHeadBytes ? 0 : (bytes - kHeadBytes) / (row_bytes + bitmap_bytes());
    rows = std::min<size_t>(rows, kFrameRowsMax);
    while (rows > 0 && block_bytes(rows) > bytes) {
        --rows;
    }
    return rows;
}

RowBuffer::RowBuffer(const RowFormat& format, Block block) : block_(std::move(block)) {
    capacity_ = static_cast<uint32_t>(format.rows_of(block_.size()));
    CHECK(capacity_ > 0, "a block of {} bytes for rows of {}", block_.size(), format.row_bytes);
    steps_ = block_.data() + RowFormat::kHeadBytes;
    times_ = steps_ + (format.axis == Axis::kStepped ? size_t{capacity_} * 8 : 0);
    values_ = times_ + size_t{capacity_} * 8;
}

void RowBuffer::append(const RowFormat& format, double step, int64_t time_us,
                       const Values& values) {
    DCHECK(rows_ < capacity_ && values.size() == format.width, "row {} of {}, {} values", rows_,
           capacity_, values.size());
    if (format.axis == Axis::kStepped) {
        store_le(steps_ + size_t{rows_} * 8, step);
    }
    store_le(times_ + size_t{rows_} * 8, time_us);
    std::byte* to = values_ + size_t{rows_} * format.width * value_bytes(format.type);
    const Bytes bytes = values.bytes();
    if (values.type() == format.type) {
        std::memcpy(to, bytes.data(), bytes.size());
    } else {
        for (size_t column = 0; column < format.width; ++column) {
            store_le(to + column * 8, widen(load_le<uint32_t>(bytes.data() + column * 4)));
        }
    }
    if (!values.present().empty() || !present_.empty()) {
        append_present(format, values.present());
    }
    ++rows_;
}

void RowBuffer::append_present(const RowFormat& format, Bytes present) {
    const unsigned used = format.width % 8;
    const auto last = std::byte(used == 0 ? 0xFFU : (1U << used) - 1U);
    const auto append_full_row = [&] {
        present_.resize(present_.size() + format.bitmap_bytes(), std::byte{0xFF});
        present_.back() &= last;
    };
    while (present_.size() < rows_ * format.bitmap_bytes()) {
        append_full_row();  // those before the first that says what it has
    }
    if (present.empty()) {
        append_full_row();
    } else {
        present_.insert(present_.end(), present.begin(), present.end());
        present_.back() &= last;
    }
}

// How the columns of a buffer of doubles travel.
struct RowBuffer::Columns {
    Columns() = default;
    Columns(const RowFormat& format, const RowBuffer& rows);

    ValueLayout layout() const {
        if (wide.empty()) {
            return ValueLayout::kFloat32;
        }
        return narrow.empty() ? ValueLayout::kFloat64 : ValueLayout::kMixed;
    }

    std::vector<uint32_t> narrow;  // all their values are exactly a float32
    std::vector<uint32_t> wide;
};

RowBuffer::Columns::Columns(const RowFormat& format, const RowBuffer& rows) : narrow(format.width) {
    std::iota(narrow.begin(), narrow.end(), 0U);
    for (uint32_t row = 0; row < rows.rows_ && !narrow.empty(); ++row) {
        const std::byte* from = rows.values_ + size_t{row} * format.width * 8;
        const Bytes present = rows.present_of(format, row);
        std::erase_if(narrow, [&](uint32_t column) {
            return !is_float32(load_le<double>(from + size_t{column} * 8)) &&
                   has_column(present, column);
        });
    }
    // A mixed frame names its float64 columns, which may take more than narrowing saves.
    if (narrow.size() < format.width &&
        narrow.size() * rows.rows_ * 4 <= round_up(format.bitmap_bytes(), 8)) {
        narrow.clear();
    }
    for (uint32_t column = 0, at = 0; column < format.width; ++column) {
        if (at < narrow.size() && narrow[at] == column) {
            ++at;
        } else {
            wide.push_back(column);
        }
    }
}

namespace {

std::byte* put(std::byte* to, Bytes bytes) {
    return std::copy(bytes.begin(), bytes.end(), to);
}

// Zeros up to a multiple of eight bytes behind `from`.
std::byte* pad(std::byte* from, std::byte* to) {
    while ((to - from) % 8 != 0) {
        *to++ = std::byte{0};
    }
    return to;
}

std::byte* put_floats(std::byte* to, size_t width, const std::byte* from, Bytes present) {
    for (size_t column = 0; column < width; ++column) {
        if (has_column(present, column)) {
            std::memcpy(to, from + column * 4, sizeof(float));
            to += sizeof(float);
        }
    }
    return to;
}

}  // namespace

std::byte* RowBuffer::close_gaps(const RowFormat& format, std::byte* to) {
    const size_t bytes = size_t{rows_} * format.width * value_bytes(format.type);
    std::memmove(to, values_, bytes);
    return to + bytes;
}

Bytes RowBuffer::present_of(const RowFormat& format, uint32_t row) const {
    return present_.empty()
               ? Bytes()
               : Bytes(present_).subspan(row * format.bitmap_bytes(), format.bitmap_bytes());
}

// One row of doubles: its float32 columns, then its float64 columns. Where it ends.
std::byte* RowBuffer::put_doubles(std::byte* to, const Columns& columns, const std::byte* from,
                                  Bytes present) {
    for (const uint32_t column : columns.narrow) {
        if (has_column(present, column)) {
            store_le(to, static_cast<float>(load_le<double>(from + size_t{column} * 8)));
            to += sizeof(float);
        }
    }
    for (const uint32_t column : columns.wide) {
        if (has_column(present, column)) {
            std::memcpy(to, from + size_t{column} * 8, sizeof(double));
            to += sizeof(double);
        }
    }
    return to;
}

std::byte* RowBuffer::pack(const RowFormat& format, const Columns& columns, std::byte* to,
                           std::vector<std::byte>& scratch) {
    scratch.resize(block_.size());
    std::byte* end = scratch.data();
    if (format.type == ValueType::kFloat64 && columns.layout() == ValueLayout::kMixed) {
        std::fill_n(end, format.bitmap_bytes(), std::byte{0});
        for (const uint32_t column : columns.wide) {
            end[column / 8] |= std::byte{1} << (column % 8);
        }
        end = pad(scratch.data(), end + format.bitmap_bytes());
    }
    if (!present_.empty()) {
        std::byte* const from = end;
        end = pad(from, put(end, present_));
    }
    const size_t row_bytes = format.width * value_bytes(format.type);
    for (uint32_t row = 0; row < rows_; ++row) {
        const std::byte* from = values_ + row * row_bytes;
        const Bytes present = present_of(format, row);
        end = format.type == ValueType::kFloat64 ? put_doubles(end, columns, from, present)
                                                 : put_floats(end, format.width, from, present);
    }
    return put(to, Bytes(scratch.data(), end));
}

Bytes RowBuffer::finish(const RowFormat& format, uint32_t run_handle, uint32_t attempt,
                        uint64_t number, std::vector<std::byte>& scratch) {
    CHECK(rows_ > 0, "a rows frame without rows");
    const Columns columns = format.type == ValueType::kFloat64 ? Columns(format, *this) : Columns();
    const ValueLayout layout = columns.layout();
    const bool as_they_are =
        present_.empty() && (layout == ValueLayout::kFloat64 || format.type == ValueType::kFloat32);
    std::byte* to = steps_;
    if (format.axis == Axis::kStepped) {
        to += size_t{rows_} * 8;
    }
    std::memmove(to, times_, size_t{rows_} * 8);
    to += size_t{rows_} * 8;
    std::byte* const end =
        as_they_are ? close_gaps(format, to) : pack(format, columns, to, scratch);
    const Bytes frame(block_.data(), end);
    CHECK(frame.size() <= block_.size(), "a frame of {} bytes in a block of {}", frame.size(),
          block_.size());

    std::byte* const head = block_.data();
    store_le(head, static_cast<uint32_t>(frame.size()));
    store_le(head + 4, kProtocolVersion);
    store_le(head + 5, FrameType::kRows);
    store_le(head + 6, ChecksumKind::kXxh3);
    store_le(head + 7, uint8_t{0});
    store_le(head + 16, number);
    std::byte* const body = head + kFrameHeaderBytes;
    store_le(body, run_handle);
    store_le(body + 4, attempt);
    put(body + 8, format.hash.bytes);
    store_le(body + 24, rows_);
    store_le(body + 28, static_cast<uint8_t>((format.axis == Axis::kStepped ? kPartSteps : 0U) |
                                             kPartTimes | (present_.empty() ? 0U : kPartPresence)));
    store_le(body + 29, layout);
    store_le(body + 30, uint16_t{0});  // not compressed; no row flags
    store_le(head + 8, frame_checksum(ChecksumKind::kXxh3, frame));
    return frame;
}

}  // namespace stepdb::client
