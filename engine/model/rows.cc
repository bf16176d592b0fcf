#include "engine/model/rows.h"

#include <algorithm>
#include <bit>

#include "engine/base/float_bits.h"
#include "engine/base/lz4.h"
#include "engine/base/zeros.h"
#include "engine/model/limits.h"
#include "engine/model/rows_size.h"

namespace stepdb {

namespace {

constexpr size_t kHeadBytes = 32;
constexpr size_t kCompressionAt = 30;  // in the head
constexpr uint8_t kPartSteps = 1;
constexpr uint8_t kPartTimes = 2;
constexpr uint8_t kPartPresence = 4;

// No LZ4 block unpacks to more than 255 times its size, so a larger claim is a lie or damage.
constexpr size_t kLz4RatioMax = 255;

// Reads the next section, or says what was expected and what is there.
Result<Bytes> take_section(ByteReader& sections, std::string_view what, size_t bytes, uint32_t rows,
                           uint32_t width) {
    if (sections.remaining() < bytes) {
        return invalid_argument(
            fmt::format("rows frame: {} of {} rows x {} columns take {} bytes, got {}", what, rows,
                        width, bytes, sections.remaining()));
    }
    return sections.get_bytes(bytes);
}

// A bitmap padded to 8 bytes; returns it without the padding.
Result<Bytes> take_bitmap(ByteReader& sections, std::string_view what, size_t bytes, uint32_t rows,
                          uint32_t width) {
    TRY_ASSIGN(const Bytes padded, take_section(sections, what, round_up(bytes, 8), rows, width));
    if (!is_blank(padded.subspan(bytes))) {
        return invalid_argument(
            fmt::format("rows frame: the padding after the {} is not zero", what));
    }
    return padded.first(bytes);
}

// The bits of a bitmap's last byte that belong to no column.
bool has_bits_beyond(Bytes bitmap, uint32_t width) {
    const unsigned used = width % 8;
    return used != 0 && (static_cast<unsigned>(bitmap[bitmap.size() - 1]) >> used) != 0;
}

size_t count_bits(Bytes bitmap) {
    size_t bits = 0;
    size_t at = 0;
    for (; at + 8 <= bitmap.size(); at += 8) {
        bits += static_cast<size_t>(std::popcount(load_le<uint64_t>(bitmap.data() + at)));
    }
    for (; at < bitmap.size(); ++at) {
        bits += static_cast<size_t>(std::popcount(static_cast<uint8_t>(bitmap[at])));
    }
    return bits;
}

size_t count_common_bits(Bytes a, Bytes b) {
    size_t bits = 0;
    for (size_t at = 0; at < a.size(); ++at) {
        bits += static_cast<size_t>(std::popcount(static_cast<uint8_t>(a[at] & b[at])));
    }
    return bits;
}

bool is_possible(size_t packed, size_t raw) {
    return raw <= kFrameBytesMax && raw <= packed * kLz4RatioMax;
}

Result<std::vector<std::byte>> unpack(Bytes body) {
    ByteReader reader(body);
    const auto raw_bytes = reader.get<uint32_t>();
    const auto reserved = reader.get<uint32_t>();
    const Bytes packed = reader.get_bytes(reader.remaining());
    if (packed.empty() || reserved != 0) {
        return invalid_argument(
            fmt::format("rows frame: the LZ4 part of {} bytes with reserved field {}; "
                        "it has a length, a zero and a block",
                        body.size(), reserved));
    }
    if (!is_possible(packed.size(), raw_bytes)) {
        return invalid_argument(
            fmt::format("rows frame: {} bytes of LZ4 declared to unpack to {}; at most "
                        "{} bytes and {} times the size are possible",
                        packed.size(), raw_bytes, kFrameBytesMax, kLz4RatioMax));
    }
    Result<std::vector<std::byte>> raw = lz4_decompress(packed, raw_bytes);
    if (!raw) {
        return raw.error().within("rows frame");
    }
    return raw;
}

Status check_axis(const Schema& schema, uint8_t parts, RowPosition& bad) {
    const bool steps = (parts & kPartSteps) != 0;
    const bool times = (parts & kPartTimes) != 0;
    if (schema.axis() == Axis::kStepped && !steps) {
        bad.row = 0;
        return invalid_argument(
            fmt::format("rows frame: row 0 has no step, but schema {} is stepped (its "
                        "first metric is '{}')",
                        schema.hash().to_hex(), schema.metric(0)));
    }
    if (schema.axis() == Axis::kTimed && (steps || !times)) {
        bad.row = 0;
        return invalid_argument(fmt::format(
            "rows frame: row 0 {}, but schema {} is timed (its first metric "
            "is '{}'): its rows have a time and no step",
            steps ? "has a step" : "has no time", schema.hash().to_hex(), schema.metric(0)));
    }
    return {};
}

Status check_steps(Bytes steps, RowPosition& bad) {
    for (size_t at = 0; at < steps.size(); at += 8) {
        const auto step = load_le<double>(steps.data() + at);
        if (!std::isfinite(step)) {
            bad.row = static_cast<uint32_t>(at / 8);
            return invalid_argument(
                fmt::format("rows frame: row {} has step {}; steps are finite numbers", at / 8,
                            format_value(step)));
        }
    }
    return {};
}

}  // namespace

size_t unpacked_bytes_declared(Bytes body) {
    constexpr size_t kPackedHeadBytes = 8;  // see unpack()
    if (body.size() < kHeadBytes + kPackedHeadBytes || body[kCompressionAt] == std::byte{0}) {
        return 0;
    }
    const size_t packed = body.size() - kHeadBytes - kPackedHeadBytes;
    const auto raw = load_le<uint32_t>(body.data() + kHeadBytes);
    return is_possible(packed, raw) ? raw : 0;
}

Result<RowsView::Head> RowsView::decode_head(Bytes body) {
    ByteReader reader(body);
    Head head;
    head.run_handle = reader.get<uint32_t>();
    head.attempt = reader.get<uint32_t>();
    const Bytes hash = reader.get_bytes(sizeof(head.schema.bytes));
    std::copy(hash.begin(), hash.end(), head.schema.bytes.begin());
    head.rows = reader.get<uint32_t>();
    const auto parts = reader.get<uint8_t>();
    const auto layout = reader.get<uint8_t>();
    const auto compression = reader.get<uint8_t>();
    const auto row_flags = reader.get<uint8_t>();
    if (reader.failed()) {
        return invalid_argument(fmt::format("rows frame: a body of {} bytes; its head alone has {}",
                                            body.size(), kHeadBytes));
    }
    if (head.rows == 0 || head.rows > kFrameRowsMax) {
        return invalid_argument(
            fmt::format("rows frame of {} rows; 1 to {} are allowed", head.rows, kFrameRowsMax));
    }
    if (parts > (kPartSteps | kPartTimes | kPartPresence) || layout > 2 || compression > 1 ||
        row_flags != 0) {
        return invalid_argument(
            fmt::format("rows frame with parts {:#x}, values {}, compression {}, row "
                        "flags {}; at most 0x7, 2, 1 and 0 are known",
                        parts, layout, compression, row_flags));
    }
    return head;
}

Result<RowsView> RowsView::decode(Bytes body, const Schema& schema, RowPosition& bad) {
    TRY_ASSIGN(const Head head, decode_head(body));
    CHECK(head.schema == schema.hash(), "rows of schema {} decoded by {}", head.schema.to_hex(),
          schema.hash().to_hex());
    const auto parts = load_le<uint8_t>(body.data() + 28);
    const bool compressed = body[kCompressionAt] != std::byte{0};
    RowsView view;
    view.head_ = head;
    view.width_ = schema.width();
    view.layout_ = load_le<ValueLayout>(body.data() + 29);
    TRY(check_axis(schema, parts, bad));
    Bytes sections = body.subspan(kHeadBytes);
    if (compressed) {
        TRY_ASSIGN(std::vector<std::byte> raw, unpack(sections));
        view.unpacked_ = std::make_shared<const std::vector<std::byte>>(std::move(raw));
        sections = *view.unpacked_;
    }
    TRY(view.read_sections(sections, parts, bad));
    return view;
}

Status RowsView::read_sections(Bytes sections, uint8_t parts, RowPosition& bad) {
    ByteReader reader(sections);
    const uint32_t rows = head_.rows;
    if ((parts & kPartSteps) != 0) {
        TRY_ASSIGN(steps_, take_section(reader, "steps", size_t{rows} * 8, rows, width_));
        TRY(check_steps(steps_, bad));
    }
    if ((parts & kPartTimes) != 0) {
        TRY_ASSIGN(times_, take_section(reader, "times", size_t{rows} * 8, rows, width_));
    }
    if (layout_ == ValueLayout::kMixed) {
        TRY_ASSIGN(float64_columns_,
                   take_bitmap(reader, "float64 columns", bitmap_bytes(), rows, width_));
        if (has_bits_beyond(float64_columns_, width_)) {
            bad.column = width_;
            return invalid_argument(
                fmt::format("rows frame: the float64 columns name one beyond the "
                            "schema's {}",
                            width_));
        }
    }
    const size_t doubles = layout_ == ValueLayout::kFloat64 ? width_
                           : layout_ == ValueLayout::kMixed ? count_bits(float64_columns_)
                                                            : 0;
    full_row_bytes_ = (size_t{width_} + doubles) * 4;
    size_t value_bytes = rows * full_row_bytes_;
    if ((parts & kPartPresence) != 0) {
        TRY_ASSIGN(presence_,
                   take_bitmap(reader, "presence bits", rows * bitmap_bytes(), rows, width_));
        TRY(check_presence(bad));
        value_bytes = 0;
        for (uint32_t row = 0; row < rows; ++row) {
            value_bytes += row_bytes(row);
        }
    }
    TRY_ASSIGN(values_, take_section(reader, "values", value_bytes, rows, width_));
    if (reader.remaining() != 0) {
        return invalid_argument(
            fmt::format("rows frame: values of {} rows x {} columns take {} bytes, got "
                        "{} (is it the right schema?)",
                        rows, width_, value_bytes, value_bytes + reader.remaining()));
    }
    return {};
}

uint64_t RowsView::points() const {
    return presence_.empty() ? uint64_t{rows()} * width_ : count_bits(presence_);
}

Status RowsView::check_presence(RowPosition& bad) const {
    for (uint32_t row = 0; row < head_.rows; ++row) {
        if (has_bits_beyond(presence_row(row), width_)) {
            bad.row = row;
            bad.column = width_;
            return invalid_argument(
                fmt::format("rows frame: the presence bits of row {} name a column "
                            "beyond the schema's {}",
                            row, width_));
        }
    }
    return {};
}

size_t RowsView::row_bytes(uint32_t row) const {
    const Bytes presence = presence_row(row);
    const size_t present = count_bits(presence);
    switch (layout_) {
        case ValueLayout::kFloat32:
            return present * 4;
        case ValueLayout::kFloat64:
            return present * 8;
        case ValueLayout::kMixed:
            break;
    }
    return (present + count_common_bits(presence, float64_columns_)) * 4;
}

void RowsBuilder::add(std::optional<double> step, std::optional<int64_t> time_us,
                      std::span<const std::optional<double>> values) {
    const size_t first = values_.size();
    std::vector<double> full(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
        full[i] = values[i].value_or(0);
    }
    add(step, time_us, full);
    for (size_t i = 0; i < values.size(); ++i) {
        if (!values[i].has_value()) {
            present_[first + i] = 0;
            any_absent_ = true;
        }
    }
}

void RowsBuilder::add(std::optional<double> step, std::optional<int64_t> time_us,
                      std::span<const double> values) {
    CHECK(values.size() == schema_->width(), "row of {} values, schema of {} columns",
          values.size(), schema_->width());
    CHECK(step.has_value() == (schema_->axis() == Axis::kStepped), "a step: {}, axis {}",
          step.has_value(), static_cast<int>(schema_->axis()));
    CHECK(time_us.has_value() || schema_->axis() == Axis::kStepped, "a timed row without time");
    CHECK(rows_ == 0 || time_us.has_value() == !times_.empty(),
          "all rows of a frame have times or none has");
    CHECK(rows_ < kFrameRowsMax, "more than {} rows", kFrameRowsMax);
    if (step) {
        steps_.push_back(*step);
    }
    if (time_us) {
        times_.push_back(*time_us);
    }
    values_.insert(values_.end(), values.begin(), values.end());
    present_.resize(values_.size(), 1);
    ++rows_;
}

namespace {

// By column: 1 if some present value of it is not exactly a float32.
std::vector<uint8_t> find_float64_columns(uint32_t width, std::span<const double> values,
                                          std::span<const uint8_t> present) {
    std::vector<uint8_t> wide(width);
    for (size_t row = 0; row < values.size(); row += width) {
        for (uint32_t column = 0; column < width; ++column) {
            if (wide[column] == 0 && present[row + column] != 0 && !narrow(values[row + column])) {
                wide[column] = 1;
            }
        }
    }
    return wide;
}

void put_bitmap(ByteWriter& writer, std::span<const uint8_t> flags) {
    const size_t at = writer.size();
    writer.put_zeros((flags.size() + 7) / 8);
    const MutableBytes bitmap = writer.mutable_bytes().subspan(at);
    for (size_t i = 0; i < flags.size(); ++i) {
        if (flags[i] != 0) {
            bitmap[i / 8] |= std::byte{1} << (i % 8);
        }
    }
}

// Writes one row's values to `to` and returns the end.
std::byte* put_row(std::byte* to, std::span<const uint8_t> wide, std::span<const double> values,
                   std::span<const uint8_t> present) {
    for (size_t column = 0; column < values.size(); ++column) {
        if (present[column] != 0 && wide[column] == 0) {
            store_le(to, *narrow(values[column]));
            to += sizeof(float);
        }
    }
    for (size_t column = 0; column < values.size(); ++column) {
        if (present[column] != 0 && wide[column] != 0) {
            store_le(to, values[column]);
            to += sizeof(double);
        }
    }
    return to;
}

ValueLayout choose_layout(std::span<const uint8_t> wide) {
    const auto doubles = std::count(wide.begin(), wide.end(), 1);
    if (doubles == 0) {
        return ValueLayout::kFloat32;
    }
    return static_cast<size_t>(doubles) == wide.size() ? ValueLayout::kFloat64
                                                       : ValueLayout::kMixed;
}

}  // namespace

void RowsBuilder::put_sections(ByteWriter& sections, std::span<const uint8_t> wide) const {
    const uint32_t width = schema_->width();
    sections.put_bytes(std::as_bytes(std::span(steps_)));
    sections.put_bytes(std::as_bytes(std::span(times_)));
    if (choose_layout(wide) == ValueLayout::kMixed) {
        put_bitmap(sections, wide);
        sections.align(8);
    }
    const std::span<const uint8_t> present(present_);
    if (any_absent_) {
        for (uint32_t row = 0; row < rows_; ++row) {
            put_bitmap(sections, present.subspan(size_t{row} * width, width));
        }
        sections.align(8);
    }
    std::vector<std::byte> packed(values_.size() * sizeof(double));
    std::byte* end = packed.data();
    const std::span<const double> values(values_);
    for (uint32_t row = 0; row < rows_; ++row) {
        const size_t first = size_t{row} * width;
        end = put_row(end, wide, values.subspan(first, width), present.subspan(first, width));
    }
    sections.put_bytes({packed.data(), end});
}

std::vector<std::byte> RowsBuilder::finish(uint32_t run_handle, uint32_t attempt, uint64_t number,
                                           bool compress) {
    CHECK(rows_ > 0, "a rows frame without rows");
    const std::vector<uint8_t> wide = find_float64_columns(schema_->width(), values_, present_);
    ByteWriter sections;
    put_sections(sections, wide);
    FrameBuilder builder(FrameType::kRows, number);
    ByteWriter& writer = builder.writer();
    writer.put(run_handle);
    writer.put(attempt);
    writer.put_bytes(schema_->hash().bytes);
    writer.put(rows_);
    const auto parts = static_cast<uint8_t>((steps_.empty() ? 0U : kPartSteps) |
                                            (times_.empty() ? 0U : kPartTimes) |
                                            (any_absent_ ? kPartPresence : 0U));
    writer.put(parts);
    writer.put(choose_layout(wide));
    writer.put<uint8_t>(compress ? 1 : 0);
    writer.put<uint8_t>(0);
    if (compress) {
        writer.put(static_cast<uint32_t>(sections.size()));
        writer.put<uint32_t>(0);
        writer.put_bytes(lz4_compress(sections.bytes()));
    } else {
        writer.put_bytes(sections.bytes());
    }
    clear();
    return builder.finish();
}

void RowsBuilder::clear() {
    rows_ = 0;
    steps_.clear();
    times_.clear();
    values_.clear();
    present_.clear();
    any_absent_ = false;
}

}  // namespace stepdb
