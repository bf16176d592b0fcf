#include "engine/segment/segment_format.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "engine/base/coding.h"
#include "engine/base/lz4.h"
#include "engine/base/text.h"
#include "engine/base/zeros.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/varint.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

constexpr std::string_view kFooterMagic = "STEPDBSF";
constexpr uint8_t kIndexFormat = 3;
// Integers a block in each format. Format 1 does not say which columns have values, and 1 and 2
// know no summaries.
constexpr std::array<size_t, kIndexFormat + 1> kIndexColumnsOf = {0, 15, 17, 19};
constexpr size_t kIndexColumns = kIndexColumnsOf[kIndexFormat];
constexpr size_t kNamesPieceBytes = 4U << 20U;
constexpr size_t kChecksumAt = kPageBytes - 8;

std::array<int64_t, kIndexColumns> fields_of(const SegmentBlock& block) {
    const BlockInfo& info = block.info;
    return {static_cast<int64_t>(info.run),
            info.attempt,
            static_cast<int64_t>(info.schema),
            static_cast<int64_t>(info.axis),
            info.rows,
            info.columns,
            info.key_min,
            info.key_max,
            info.time_min,
            info.time_max,
            static_cast<int64_t>(info.sequence_min),
            static_cast<int64_t>(info.sequence_max),
            info.axis_bytes,
            info.directory_bytes,
            static_cast<int64_t>(info.strips_bytes),
            info.first_column,
            info.end_column,
            info.summaries_bytes,
            block.damaged == nullptr ? 0 : 1};
}

bool fits_u32(int64_t value) {
    return value >= 0 && value <= int64_t{UINT32_MAX};
}

// The inverse of fields_of; false if the values cannot be those of a block.
bool read_fields(const std::array<int64_t, kIndexColumns>& fields, BlockInfo& info) {
    const bool in_range = fits_u32(fields[1]) && fields[3] >= 0 && fields[3] <= 1 &&
                          fields[4] >= 1 && fields[4] <= int64_t{kBlockRowsMax} && fields[5] >= 1 &&
                          fields[5] <= int64_t{kSchemaMetricsMax} && fits_u32(fields[12]) &&
                          fits_u32(fields[13]) && fields[14] >= 0 && fits_u32(fields[17]) &&
                          fields[18] >= 0 && fields[18] <= 1;
    info.run = static_cast<uint64_t>(fields[0]);
    info.attempt = static_cast<uint32_t>(fields[1]);
    info.schema = static_cast<uint64_t>(fields[2]);
    info.axis = fields[3] == 1 ? Axis::kTimed : Axis::kStepped;
    info.rows = static_cast<uint32_t>(fields[4]);
    info.columns = static_cast<uint32_t>(fields[5]);
    info.key_min = fields[6];
    info.key_max = fields[7];
    info.time_min = fields[8];
    info.time_max = fields[9];
    info.sequence_min = static_cast<uint64_t>(fields[10]);
    info.sequence_max = static_cast<uint64_t>(fields[11]);
    info.axis_bytes = static_cast<uint32_t>(fields[12]);
    info.directory_bytes = static_cast<uint32_t>(fields[13]);
    info.strips_bytes = static_cast<uint64_t>(fields[14]);
    info.first_column = static_cast<uint32_t>(fields[15]);
    info.end_column = static_cast<uint32_t>(fields[16]);
    info.summaries_bytes = static_cast<uint32_t>(fields[17]);
    const bool range_fits = fields[15] >= 0 && fields[15] <= fields[16] &&
                            fields[16] <= fields[5] && (fields[15] < fields[16] || fields[16] == 0);
    return in_range && range_fits && info.key_min <= info.key_max &&
           info.time_min <= info.time_max && info.sequence_min <= info.sequence_max;
}

// Lays the blocks one behind the other and checks order and end.
Status place_blocks(std::vector<SegmentBlock>& blocks, uint64_t end) {
    uint64_t offset = kFileHeaderBytes;
    for (size_t i = 0; i < blocks.size(); ++i) {
        SegmentBlock& block = blocks[i];
        block.offset = offset;
        if (offset > end || block.info.strips_bytes > end || block.end() > end) {
            return corruption(fmt::format("block {} of {} ends at {}, beyond {}", i, blocks.size(),
                                          block.end(), end));
        }
        if (i > 0 && sorts_before(block.info, blocks[i - 1].info)) {
            return corruption(fmt::format("block {} sorts before block {}", i, i - 1));
        }
        offset = block.end();
    }
    if (offset != end) {
        return corruption(fmt::format("blocks end at {}, expected {}", offset, end));
    }
    return {};
}

Result<std::vector<std::byte>> unpack_names(Bytes section) {
    std::vector<std::byte> raw;
    ByteReader reader(section);
    while (!reader.failed() && reader.remaining() != 0) {
        const auto raw_bytes = reader.get<uint32_t>();
        const auto packed_bytes = reader.get<uint32_t>();
        const Bytes packed = reader.get_bytes(packed_bytes);
        if (reader.failed() || raw_bytes > kNamesPieceBytes) {
            return corruption(
                fmt::format("a piece of names of {} bytes, packed {}, in a section of {}",
                            raw_bytes, packed_bytes, section.size()));
        }
        const auto piece = lz4_decompress(packed, raw_bytes);
        if (!piece) {
            return corruption(piece.error().message());
        }
        raw.insert(raw.end(), piece->begin(), piece->end());
    }
    return raw;
}

}  // namespace

bool sorts_before(const BlockInfo& a, const BlockInfo& b) {
    return std::tie(a.run, a.attempt, a.schema) < std::tie(b.run, b.attempt, b.schema);
}

std::vector<std::byte> encode_block_index(const std::vector<SegmentBlock>& blocks) {
    ByteWriter writer;
    writer.put(kIndexFormat);
    writer.put_zeros(3);
    std::vector<int64_t> column(blocks.size());
    std::vector<std::byte> encoded;
    for (size_t field = 0; field < kIndexColumns; ++field) {
        for (size_t i = 0; i < blocks.size(); ++i) {
            column[i] = fields_of(blocks[i])[field];
        }
        encoded.clear();
        encode_integers(column, encoded);
        std::array<std::byte, kVarintBytesMax> length;
        const std::byte* end = write_varint(length.data(), encoded.size());
        writer.put_bytes(Bytes(length.data(), static_cast<size_t>(end - length.data())));
        writer.put_bytes(encoded);
    }
    for (const SegmentBlock& block : blocks) {
        writer.put(block.axis_checksum);
    }
    for (const SegmentBlock& block : blocks) {
        writer.put(block.directory_checksum);
    }
    for (const SegmentBlock& block : blocks) {
        if (block.info.summaries_bytes != 0) {
            writer.put(block.summaries_checksum);
        }
    }
    for (const SegmentBlock& block : blocks) {
        if (block.damaged != nullptr) {
            writer.put(block.damaged->file_id);
            writer.put(block.damaged->offset);
            writer.put(block.damaged->checksum);
        }
    }
    return writer.take();
}

Result<std::vector<SegmentBlock>> decode_block_index(Bytes index, uint64_t count, uint64_t end) {
    ByteReader reader(index);
    const auto format = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(3);
    if (!reader.failed() && (format < 1 || format > kIndexFormat)) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "block index has format {}; this program reads 1 to {}", format,
                          kIndexFormat);
    }
    // A block takes at least its two checksums here: an absurd count costs no memory.
    if (reader.failed() || !is_blank(reserved) || count > index.size() / 16) {
        return corruption(
            fmt::format("block index of {} bytes for {} blocks", index.size(), count));
    }
    std::vector<std::array<int64_t, kIndexColumns>> fields(count);
    std::vector<int64_t> column(count);
    for (size_t field = 0; !reader.failed() && field < kIndexColumnsOf[format]; ++field) {
        uint64_t bytes = 0;
        if (!read_varint(reader, bytes) || bytes > reader.remaining()) {
            return corruption(fmt::format("block index ends within its column {}", field));
        }
        TRY(decode_integers(reader.get_bytes(bytes), column));
        for (size_t i = 0; i < count; ++i) {
            fields[i][field] = column[i];
        }
    }
    std::vector<SegmentBlock> blocks(count);
    for (size_t i = 0; i < count; ++i) {
        if (kIndexColumnsOf[format] <= 16) {
            fields[i][16] = fields[i][5];
        }
        if (!read_fields(fields[i], blocks[i].info)) {
            return corruption(fmt::format("block index: entry {} of {} cannot be", i, count));
        }
        blocks[i].axis_checksum = reader.get<uint64_t>();
    }
    for (SegmentBlock& block : blocks) {
        block.directory_checksum = reader.get<uint64_t>();
    }
    for (SegmentBlock& block : blocks) {
        if (block.info.summaries_bytes != 0) {
            block.summaries_checksum = reader.get<uint64_t>();
        }
    }
    for (size_t i = 0; i < count; ++i) {
        if (fields[i][18] == 1) {
            DamagedOrigin origin;
            origin.file_id = reader.get<uint64_t>();
            origin.offset = reader.get<uint64_t>();
            origin.checksum = reader.get<uint64_t>();
            blocks[i].damaged = std::make_shared<const DamagedOrigin>(origin);
        }
    }
    if (!reader.finished()) {
        return corruption(
            fmt::format("block index of {} bytes is not {} entries", index.size(), count));
    }
    TRY(place_blocks(blocks, end));
    return blocks;
}

std::vector<std::byte> encode_segment_names(const SegmentNames& names) {
    ByteWriter raw;
    raw.put(static_cast<uint32_t>(names.runs.size()));
    for (const SegmentNames::Run& run : names.runs) {
        const size_t at = raw.size();
        raw.put(uint32_t{0});
        raw.put(run.id);
        raw.put_text(run.project);
        raw.put_text(run.name);
        raw.patch(at, static_cast<uint32_t>(raw.size() - at - sizeof(uint32_t)));
    }
    raw.put(static_cast<uint32_t>(names.schemas.size()));
    for (const SegmentNames::NamedSchema& schema : names.schemas) {
        const std::vector<std::byte> canonical = schema.schema->encode();
        raw.put(schema.id);
        raw.put_text(as_text(canonical));
    }
    ByteWriter section;
    for (Bytes rest = raw.bytes(); !rest.empty();) {
        const Bytes piece = rest.first(std::min(rest.size(), kNamesPieceBytes));
        const std::vector<std::byte> packed = lz4_compress(piece);
        section.put(static_cast<uint32_t>(piece.size()));
        section.put(static_cast<uint32_t>(packed.size()));
        section.put_bytes(packed);
        rest = rest.subspan(piece.size());
    }
    return section.take();
}

Result<SegmentNames> decode_segment_names(Bytes section) {
    TRY_ASSIGN(const std::vector<std::byte> raw, unpack_names(section));
    ByteReader reader(raw);
    SegmentNames names;
    const auto run_count = reader.get<uint32_t>();
    for (uint32_t i = 0; i < run_count && !reader.failed(); ++i) {
        ByteReader record(reader.get_bytes(reader.get<uint32_t>()));
        SegmentNames::Run run;
        run.id = record.get<uint64_t>();
        run.project = record.get_text(kIdBytesMax);
        run.name = record.get_text(kIdBytesMax);
        if (reader.failed() || record.failed()) {
            return corruption(
                fmt::format("segment names: run {} of {} is malformed", i, run_count));
        }
        names.runs.push_back(std::move(run));
    }
    const auto schema_count = reader.get<uint32_t>();
    for (uint32_t i = 0; i < schema_count && !reader.failed(); ++i) {
        const auto id = reader.get<uint64_t>();
        const std::string_view canonical = reader.get_text(kSchemaBytesMax);
        auto schema = Schema::decode(as_bytes(canonical));
        if (reader.failed() || !schema) {
            return corruption(
                fmt::format("segment names: schema {} of {} is malformed", i, schema_count));
        }
        names.schemas.push_back({id, std::make_shared<const Schema>(*std::move(schema))});
    }
    if (!reader.finished()) {
        return corruption(fmt::format("segment names of {} bytes are malformed", raw.size()));
    }
    return names;
}

std::vector<std::byte> encode_segment_footer(const SegmentFooter& footer, const Id128& store,
                                             uint64_t file_id) {
    ByteWriter writer;
    writer.put_bytes(as_bytes(kFooterMagic));
    for (const uint64_t field :
         {footer.file_bytes, footer.blocks, uint64_t{0}, footer.index_offset, footer.index_bytes,
          footer.index_checksum, footer.names_offset, footer.names_bytes, footer.names_checksum}) {
        writer.put(field);
    }
    writer.put_zeros(kChecksumAt - writer.size());
    writer.put(xxh3(writer.bytes(), place_seed(store, file_id, footer.footer_offset())));
    return writer.take();
}

Result<SegmentFooter> decode_segment_footer(Bytes page, const Id128& store, uint64_t file_id,
                                            uint64_t file_bytes) {
    CHECK(page.size() == kPageBytes && file_bytes >= 2 * kPageBytes, "{} of {} bytes", page.size(),
          file_bytes);
    const auto stored = load_le<uint64_t>(page.data() + kChecksumAt);
    const uint64_t computed =
        xxh3(page.first(kChecksumAt), place_seed(store, file_id, file_bytes - kPageBytes));
    ByteReader reader(page.first(kChecksumAt));
    const std::string_view magic = as_text(reader.get_bytes(kFooterMagic.size()));
    if (magic != kFooterMagic || stored != computed) {
        return corruption(
            fmt::format("footer begins with '{}', checksum {:016x}; expected '{}', {:016x}",
                        printable(magic), computed, kFooterMagic, stored));
    }
    SegmentFooter footer;
    footer.file_bytes = reader.get<uint64_t>();
    footer.blocks = reader.get<uint64_t>();
    const auto reserved = reader.get<uint64_t>();
    footer.index_offset = reader.get<uint64_t>();
    footer.index_bytes = reader.get<uint64_t>();
    footer.index_checksum = reader.get<uint64_t>();
    footer.names_offset = reader.get<uint64_t>();
    footer.names_bytes = reader.get<uint64_t>();
    footer.names_checksum = reader.get<uint64_t>();
    const uint64_t end = file_bytes - kPageBytes;
    const bool in_order = footer.file_bytes == file_bytes &&
                          footer.names_offset >= kFileHeaderBytes && footer.names_offset <= end &&
                          footer.names_bytes <= end - footer.names_offset &&
                          footer.index_offset == footer.names_offset + footer.names_bytes &&
                          footer.index_bytes <= end - footer.index_offset &&
                          round_up(footer.index_offset + footer.index_bytes, kPageBytes) == end;
    if (!in_order || reserved != 0 || !is_blank(reader.get_bytes(reader.remaining()))) {
        return corruption(
            fmt::format("footer of a file of {} bytes: file of {}, names at {} of {}, index "
                        "at {} of {} do not fit",
                        file_bytes, footer.file_bytes, footer.names_offset, footer.names_bytes,
                        footer.index_offset, footer.index_bytes));
    }
    return footer;
}

}  // namespace stepdb
