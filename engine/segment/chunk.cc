#include "engine/segment/chunk.h"

#include <algorithm>
#include <bit>

#include "engine/base/coding.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/value_codec.h"
#include "engine/codec/varint.h"
#include "engine/segment/chunk_parts.h"

namespace stepdb {

namespace {

constexpr uint8_t kPresenceMask = 3;
constexpr uint8_t kAllRows = 0;
constexpr uint8_t kBitmap = 1;
constexpr uint8_t kOrdinals = 2;
constexpr uint8_t kFloat64Bit = 1U << 2U;
constexpr uint8_t kConstantBit = 1U << 3U;
constexpr uint8_t kNodesBit = 1U << 5U;
constexpr uint8_t kHeadBits = kPresenceMask | kFloat64Bit | kConstantBit | kNodesBit;

size_t bitmap_bytes(uint32_t rows) {
    return (size_t{rows} + 7) / 8;
}

bool has_nodes(const ValueForm& form, size_t values) {
    return !form.constant && values >= kNodeValuesMin;
}

std::byte head_of(uint8_t presence, const ValueForm& form, size_t values) {
    return static_cast<std::byte>(presence | (form.float64 ? kFloat64Bit : 0U) |
                                  (form.constant ? kConstantBit : 0U) |
                                  (has_nodes(form, values) ? kNodesBit : 0U));
}

std::byte* write_nodes_of(std::span<const double> values, const ValueForm& form, std::byte* to) {
    return write_nodes(values, form.float64, to);
}
std::byte* write_nodes_of(std::span<const uint32_t> words, const ValueForm& form, std::byte* to) {
    static_cast<void>(form);
    return write_nodes(words, to);
}

// T is double, or uint32_t for the bits of float32 values.
template <typename T>
std::byte* write_full_chunk(std::span<const T> values, std::byte* to) {
    std::byte* end = to + 1;
    const ValueForm form = encode_values(values, end);
    *to = head_of(kAllRows, form, values.size());
    return has_nodes(form, values.size()) ? write_nodes_of(values, form, end) : end;
}

// Appends payload and nodes.
ValueForm append_payload(std::span<const double> values, std::vector<std::byte>& out) {
    const ValueForm form = encode_values(values, out);
    if (has_nodes(form, values.size())) {
        const size_t nodes_at = out.size();
        out.resize(nodes_at + nodes_bytes_max(values.size()));
        const std::byte* const end = write_nodes(values, form.float64, out.data() + nodes_at);
        out.resize(static_cast<size_t>(end - out.data()));
    }
    return form;
}

// Reads the bitmap into words; returns the number of rows present.
Result<size_t> read_bitmap(ByteReader& reader, uint32_t rows, std::vector<uint64_t>& presence) {
    const Bytes bitmap = reader.get_bytes(bitmap_bytes(rows));
    if (reader.failed()) {
        return corruption(fmt::format("chunk ends within the bitmap of {} rows", rows));
    }
    presence.assign((size_t{rows} + 63) / 64, 0);
    std::memcpy(presence.data(), bitmap.data(), bitmap.size());
    if (rows % 64 != 0 && presence.back() >> (rows % 64) != 0) {
        return corruption(fmt::format("chunk's bitmap names rows beyond {}", rows));
    }
    size_t count = 0;
    for (const uint64_t word : presence) {
        count += static_cast<size_t>(std::popcount(word));
    }
    return count;
}

Result<size_t> read_ordinals(ByteReader& reader, uint32_t rows, std::vector<uint64_t>& presence) {
    uint64_t count = 0;
    uint64_t bytes = 0;
    if (!read_varint(reader, count) || !read_varint(reader, bytes) || count > rows ||
        bytes > reader.remaining()) {
        return corruption(fmt::format("chunk names {} of {} rows in {} bytes", count, rows, bytes));
    }
    std::vector<int64_t> ordinals(count);
    TRY(decode_integers(reader.get_bytes(bytes), ordinals));
    presence.assign((size_t{rows} + 63) / 64, 0);
    int64_t last = -1;
    for (const int64_t ordinal : ordinals) {
        if (ordinal <= last || ordinal >= int64_t{rows}) {
            return corruption(
                fmt::format("chunk names row {} after row {} of {}", ordinal, last, rows));
        }
        const auto row = static_cast<uint64_t>(ordinal);
        presence[row / 64] |= uint64_t{1} << (row % 64);
        last = ordinal;
    }
    return count;
}

// Ors 64 bits in from bit `at` on; bits beyond the end are 0.
void set_bits(std::vector<uint64_t>& words, uint32_t at, uint64_t bits) {
    words[at / 64] |= bits << (at % 64);
    if (at % 64 != 0 && bits >> (64 - at % 64) != 0) {
        words[at / 64 + 1] |= bits >> (64 - at % 64);
    }
}

// Appends what a chunk that is not in parts has of `rows` rows from row `first` on; the rows of the
// column's presence are there already.
Status append_values(Bytes chunk, uint32_t rows, uint32_t first, ColumnValues& column) {
    TRY_ASSIGN(const ChunkSections sections, read_chunk_sections(chunk, rows));
    const size_t before = column.values.size();
    column.values.resize(before + sections.count);
    TRY(decode_values(sections.form, sections.payload, std::span(column.values).subspan(before)));
    for (uint32_t row = 0; row < rows; row += 64) {
        const uint32_t here = std::min(64U, rows - row);
        const uint64_t all = ~uint64_t{0} >> (64 - here);
        set_bits(column.presence, first + row,
                 sections.presence.empty() ? all : sections.presence[row / 64]);
    }
    return {};
}

Result<ColumnValues> decode_parts(Bytes chunk, uint32_t rows) {
    std::vector<ChunkPart> parts;
    TRY(append_chunk_parts(chunk, rows, parts));
    ColumnValues column;
    column.values.reserve(rows);
    column.presence.resize((size_t{rows} + 63) / 64);
    uint32_t first = 0;
    for (const ChunkPart& part : parts) {
        if (!part.chunk.empty()) {
            TRY(append_values(part.chunk, part.rows, first, column));
        }
        first += part.rows;
    }
    if (column.values.size() == rows) {
        column.presence.clear();
    }
    return column;
}

Result<ChunkForm> describe_whole(Bytes chunk, uint32_t rows) {
    TRY_ASSIGN(const ChunkSections sections, read_chunk_sections(chunk, rows));
    const uint8_t presence = static_cast<uint8_t>(chunk[0]) & kPresenceMask;
    ChunkForm described;
    described.presence = presence == kAllRows  ? "every row"
                         : presence == kBitmap ? "bitmap"
                                               : "ordinals";
    described.values = sections.count;
    described.form = sections.form;
    TRY_ASSIGN(described.vectors,
               count_vector_forms(sections.form, sections.payload, sections.count));
    return described;
}

}  // namespace

std::byte* encode_full_chunk(std::span<const double> values, std::byte* to) {
    return write_full_chunk(values, to);
}

std::byte* encode_full_chunk(std::span<const uint32_t> words, std::byte* to) {
    return write_full_chunk(words, to);
}

void encode_full_chunk(std::span<const double> values, std::vector<std::byte>& out) {
    const size_t head_at = out.size();
    out.push_back({});
    const ValueForm form = append_payload(values, out);
    out[head_at] = head_of(kAllRows, form, values.size());
}

void encode_sparse_chunk(uint32_t rows, std::span<const int64_t> present,
                         std::span<const double> values, std::vector<std::byte>& out) {
    CHECK(!present.empty() && present.size() < rows && present.size() == values.size(),
          "{} rows present of {}, {} values", present.size(), rows, values.size());
    const size_t head_at = out.size();
    out.push_back({});
    uint8_t presence = kOrdinals;
    // The ordinals follow two varints; their bytes are known afterwards, so they are put in at the
    // end of the chunk first and moved by the length of the varints.
    const size_t ordinals_at = out.size();
    encode_integers(present, out);
    const size_t ordinals_bytes = out.size() - ordinals_at;
    std::byte varints[2 * kVarintBytesMax];
    std::byte* end = write_varint(varints, present.size());
    end = write_varint(end, ordinals_bytes);
    const auto varints_bytes = static_cast<size_t>(end - varints);
    if (ordinals_bytes + varints_bytes < bitmap_bytes(rows)) {
        out.insert(out.begin() + static_cast<std::ptrdiff_t>(ordinals_at), varints, end);
    } else {
        presence = kBitmap;
        out.resize(ordinals_at);
        out.resize(ordinals_at + bitmap_bytes(rows));
        for (const int64_t row : present) {
            const auto ordinal = static_cast<size_t>(row);
            out[ordinals_at + ordinal / 8] |= static_cast<std::byte>(1U << (ordinal % 8));
        }
    }
    const ValueForm form = append_payload(values, out);
    out[head_at] = head_of(presence, form, values.size());
}

Result<ChunkSections> read_chunk_sections(Bytes chunk, uint32_t rows) {
    ByteReader reader(chunk);
    const auto bits = reader.get<uint8_t>();
    if (reader.failed() || (bits & ~kHeadBits) != 0) {
        return corruption(fmt::format("chunk of {} bytes begins with {:#x}", chunk.size(), bits));
    }
    const uint8_t presence = bits & kPresenceMask;
    ChunkSections sections;
    sections.form.float64 = (bits & kFloat64Bit) != 0;
    sections.form.constant = (bits & kConstantBit) != 0;
    sections.count = rows;
    if (presence == kBitmap) {
        TRY_ASSIGN(sections.count, read_bitmap(reader, rows, sections.presence));
    } else if (presence == kOrdinals) {
        TRY_ASSIGN(sections.count, read_ordinals(reader, rows, sections.presence));
    } else if (presence != kAllRows) {
        return corruption(fmt::format("chunk has presence of kind {}", presence));
    }
    if (sections.count == 0) {
        return corruption("chunk has no value, and then should not be there");
    }
    sections.payload = reader.get_bytes(reader.remaining());
    if ((bits & kNodesBit) != 0) {
        if (sections.form.constant) {
            return corruption("chunk of a constant has index nodes");
        }
        TRY_ASSIGN(sections.nodes,
                   ValueNodes::read(sections.payload, sections.form.float64, sections.count));
    }
    return sections;
}

Result<size_t> verify_chunk(Bytes chunk, uint32_t rows) {
    if (chunk.empty()) {
        return corruption(fmt::format("chunk of {} rows has no bytes", rows));
    }
    std::vector<ChunkPart> parts;
    TRY(append_chunk_parts(chunk, rows, parts));
    size_t count = 0;
    std::vector<double> values;
    for (const ChunkPart& part : parts) {
        if (part.chunk.empty()) {
            continue;
        }
        TRY_ASSIGN(const ChunkSections sections, read_chunk_sections(part.chunk, part.rows));
        values.resize(sections.count);
        TRY(decode_values(sections.form, sections.payload, values));
        if (sections.nodes && !sections.nodes->agrees(values)) {
            return corruption("index nodes of a chunk are not those of its values");
        }
        count += sections.count;
    }
    return count;
}

Result<ColumnValues> decode_chunk_bytes(Bytes chunk, uint32_t rows) {
    if (is_in_parts(chunk)) {
        return decode_parts(chunk, rows);
    }
    TRY_ASSIGN(ChunkSections sections, read_chunk_sections(chunk, rows));
    ColumnValues column;
    column.values.resize(sections.count);
    if (sections.count != rows) {
        column.presence = std::move(sections.presence);
    }
    TRY(decode_values(sections.form, sections.payload, column.values));
    return column;
}

bool is_full_constant(Bytes chunk) {
    if (chunk.empty()) {
        return false;
    }
    const auto bits = static_cast<uint8_t>(chunk[0]);
    return (bits & ~uint32_t{kFloat64Bit}) == (kAllRows | kConstantBit);
}

Result<ChunkForm> describe_chunk(Bytes chunk, uint32_t rows) {
    std::vector<ChunkPart> parts;
    TRY(append_chunk_parts(chunk, rows, parts));
    if (parts.size() == 1) {
        return describe_whole(chunk, rows);
    }
    ChunkForm described;
    described.presence = fmt::format("{} parts", parts.size());
    for (const ChunkPart& part : parts) {
        if (part.chunk.empty()) {
            continue;
        }
        TRY_ASSIGN(const ChunkForm form, describe_whole(part.chunk, part.rows));
        described.values += form.values;
        described.form.float64 = described.form.float64 || form.form.float64;
        described.constants += form.form.constant ? 1U : 0U;
        described.vectors.raw += form.vectors.raw;
        described.vectors.image += form.vectors.image;
        described.vectors.decimal += form.vectors.decimal;
    }
    return described;
}

}  // namespace stepdb
