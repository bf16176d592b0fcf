#include "engine/segment/block_directory.h"

#include <algorithm>

#include "engine/base/checksum.h"
#include "engine/base/coding.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/varint.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

constexpr uint8_t kDirectoryFormat = 1;
constexpr uint8_t kDirectoryOfPartsFormat = 2;
constexpr std::string_view kTooShort = "block directory ends within its strips";

std::vector<std::byte> encode(uint8_t format, std::span<const Strip> strips,
                              std::span<const uint32_t> chunk_bytes) {
    std::vector<int64_t> first_columns;
    std::vector<int64_t> strip_bytes;
    for (const Strip& strip : strips) {
        first_columns.push_back(strip.first_column);
        strip_bytes.push_back(strip.bytes);
    }
    std::vector<std::byte> out = {std::byte{format}, {}, {}, {}};
    append_varint(out, 0);
    append_varint(out, strips.size());
    append_sized_integers(first_columns, out);
    append_sized_integers(strip_bytes, out);
    for (const Strip& strip : strips) {
        out.resize(out.size() + sizeof(strip.checksum));
        store_le(out.data() + out.size() - sizeof(strip.checksum), strip.checksum);
    }
    const std::vector<int64_t> lengths(chunk_bytes.begin(), chunk_bytes.end());
    encode_integers(lengths, out);
    return out;
}

}  // namespace

uint64_t content_seed(const BlockInfo& info) {
    ByteWriter identity;
    identity.put(info.run);
    identity.put(info.schema);
    identity.put(info.attempt);
    identity.put(info.rows);
    identity.put(info.sequence_min);
    identity.put(info.sequence_max);
    return xxh3(identity.bytes());
}

bool opens_strip(uint64_t strip_bytes, uint64_t bytes) {
    return strip_bytes == 0 || strip_bytes + bytes > kStripBytes;
}

std::vector<std::byte> encode_directory(std::span<const Strip> strips,
                                        std::span<const uint32_t> chunk_bytes) {
    return encode(kDirectoryOfPartsFormat, strips, chunk_bytes);
}

std::vector<std::byte> encode_plain_directory(std::span<const Strip> strips,
                                              std::span<const uint32_t> chunk_bytes) {
    return encode(kDirectoryFormat, strips, chunk_bytes);
}

Result<BlockDirectory> BlockDirectory::read(Bytes section, const BlockInfo& info) {
    ByteReader reader(section);
    const auto format = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(3);
    uint64_t index_bytes = 0;
    uint64_t strip_count = 0;
    if (!reader.failed() && format != kDirectoryFormat && format != kDirectoryOfPartsFormat) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "block directory has format {}; this program reads up to {}", format,
                          kDirectoryOfPartsFormat);
    }
    if (!read_varint(reader, index_bytes) || !read_varint(reader, strip_count) ||
        std::ranges::any_of(reserved, [](std::byte byte) { return byte != std::byte{0}; })) {
        return corruption(fmt::format("block directory of {} bytes is malformed", section.size()));
    }
    if (index_bytes != 0) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "block directory has {} bytes of index nodes; this program knows none",
                          index_bytes);
    }
    // A strip takes at least its checksum here.
    if (strip_count > info.columns || strip_count > reader.remaining() / sizeof(uint64_t)) {
        return corruption(fmt::format("block directory declares {} strips for {} columns",
                                      strip_count, info.columns));
    }
    TRY_ASSIGN(const auto first_columns, read_sized_integers(reader, strip_count, kTooShort));
    TRY_ASSIGN(const auto strip_bytes, read_sized_integers(reader, strip_count, kTooShort));
    std::vector<Strip> strips(strip_count);
    uint64_t offset = 0;
    int64_t column = -1;
    for (size_t i = 0; i < strip_count; ++i) {
        if (first_columns[i] <= column || first_columns[i] >= int64_t{info.columns} ||
            strip_bytes[i] <= 0 || strip_bytes[i] > int64_t{UINT32_MAX} ||
            static_cast<uint64_t>(strip_bytes[i]) > info.strips_bytes - offset) {
            return corruption(fmt::format("strip {} of {}: {} bytes from column {} do not fit", i,
                                          strip_count, strip_bytes[i], first_columns[i]));
        }
        column = first_columns[i];
        strips[i].first_column = static_cast<uint32_t>(column);
        strips[i].offset = offset;
        strips[i].bytes = static_cast<uint32_t>(strip_bytes[i]);
        strips[i].checksum = reader.get<uint64_t>();
        offset += strips[i].bytes;
    }
    if (reader.failed() || offset != info.strips_bytes) {
        return corruption(
            fmt::format("strips of {} bytes in all, expected {}", offset, info.strips_bytes));
    }
    BlockDirectory directory(reader.get_bytes(reader.remaining()), info.columns);
    directory.strips_ = std::move(strips);
    return directory;
}

uint32_t BlockDirectory::columns_end(size_t strip) const {
    return strip + 1 < strips_.size() ? strips_[strip + 1].first_column : columns_;
}

Result<std::vector<int64_t>> BlockDirectory::lengths(size_t strip) const {
    const uint32_t first = strips_[strip].first_column;
    std::vector<int64_t> lengths(columns_end(strip) - first);
    TRY(decode_integer_range(chunk_bytes_, columns_, first, lengths));
    TRY(check_lengths(strip, lengths));
    return lengths;
}

Status BlockDirectory::check_lengths(size_t strip, std::span<const int64_t> lengths) const {
    uint64_t total = 0;
    for (const int64_t length : lengths) {
        if (length < 0 || static_cast<uint64_t>(length) > strips_[strip].bytes - total) {
            return corruption(fmt::format("a chunk of {} bytes in strip {} of {} bytes", length,
                                          strip, strips_[strip].bytes));
        }
        total += static_cast<uint64_t>(length);
    }
    if (total != strips_[strip].bytes) {
        return corruption(fmt::format("chunks of {} bytes in strip {} of {} bytes", total, strip,
                                      strips_[strip].bytes));
    }
    return {};
}

Result<std::vector<ChunkPlace>> BlockDirectory::places(size_t index) const {
    TRY_ASSIGN(const auto chunk_bytes, lengths(index));
    const Strip& strip = strips_[index];
    std::vector<ChunkPlace> places(chunk_bytes.size());
    uint64_t offset = strip.offset;
    for (size_t i = 0; i < places.size(); ++i) {
        places[i] = {offset,         static_cast<uint32_t>(chunk_bytes[i]),
                     strip.offset,   strip.bytes,
                     strip.checksum, static_cast<uint32_t>(index)};
        offset += places[i].bytes;
    }
    return places;
}

Result<ChunkPlace> BlockDirectory::place(uint32_t column) const {
    CHECK(column < columns_, "column {} of {}", column, columns_);
    const auto after = std::ranges::upper_bound(strips_, column, {},
                                                [](const Strip& s) { return s.first_column; });
    if (after == strips_.begin()) {
        return ChunkPlace{};
    }
    const auto index = static_cast<size_t>(after - strips_.begin()) - 1;
    TRY_ASSIGN(const auto chunk_places, places(index));
    const ChunkPlace place = chunk_places[column - strips_[index].first_column];
    return place.bytes != 0 ? place : ChunkPlace{};
}

Result<ChunkPlaces> ChunkPlaces::read(Bytes section, const BlockInfo& info) {
    TRY_ASSIGN(BlockDirectory directory, BlockDirectory::read(section, info));
    std::vector<int64_t> lengths(directory.columns_);
    TRY(decode_integers(directory.chunk_bytes_, lengths));
    ChunkPlaces places;
    places.ends_.resize(lengths.size());
    for (size_t strip = 0; strip < directory.strips_.size(); ++strip) {
        const size_t first = directory.strips_[strip].first_column;
        const size_t end = directory.columns_end(strip);
        TRY(directory.check_lengths(strip, std::span(lengths).subspan(first, end - first)));
        uint32_t reach = 0;
        for (size_t column = first; column < end; ++column) {
            reach += static_cast<uint32_t>(lengths[column]);
            places.ends_[column] = reach;
        }
    }
    places.strips_ = std::move(directory.strips_);
    return places;
}

ChunkPlace ChunkPlaces::operator[](uint32_t column) const {
    CHECK(column < ends_.size(), "column {} of {}", column, ends_.size());
    const auto after = std::ranges::upper_bound(strips_, column, {}, &Strip::first_column);
    if (after == strips_.begin()) {
        return ChunkPlace{};
    }
    const Strip& strip = *std::prev(after);
    const uint32_t begin = column == strip.first_column ? 0 : ends_[column - 1];
    if (ends_[column] == begin) {
        return ChunkPlace{};
    }
    return {strip.offset + begin, ends_[column] - begin,
            strip.offset,         strip.bytes,
            strip.checksum,       static_cast<uint32_t>(after - strips_.begin()) - 1};
}

}  // namespace stepdb
