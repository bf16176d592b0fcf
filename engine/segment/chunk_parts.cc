#include "engine/segment/chunk_parts.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/varint.h"
#include "engine/segment/chunk.h"

namespace stepdb {

namespace {

constexpr std::byte kInParts{1U << 4U};
constexpr std::string_view kEndsEarly = "chunk ends before its parts";

}  // namespace

bool is_in_parts(Bytes chunk) {
    return !chunk.empty() && chunk[0] == kInParts;
}

Status append_chunk_parts(Bytes chunk, uint32_t rows, std::vector<ChunkPart>& parts) {
    if (!is_in_parts(chunk)) {
        parts.push_back({rows, chunk});
        return {};
    }
    ByteReader reader(chunk.subspan(1));
    uint64_t count = 0;
    if (!read_varint(reader, count) || count < 2 || count > rows) {
        return corruption(fmt::format("chunk of {} rows is in {} parts", rows, count));
    }
    TRY_ASSIGN(const auto part_rows, read_sized_integers(reader, count, kEndsEarly));
    TRY_ASSIGN(const auto part_bytes, read_sized_integers(reader, count, kEndsEarly));
    uint32_t rows_left = rows;
    bool has_value = false;
    for (size_t i = 0; i < count; ++i) {
        if (part_rows[i] < 1 || part_rows[i] > int64_t{rows_left} || part_bytes[i] < 0 ||
            static_cast<uint64_t>(part_bytes[i]) > reader.remaining()) {
            return corruption(fmt::format("part {} of {}: {} rows in {} bytes, {} and {} are left",
                                          i, count, part_rows[i], part_bytes[i], rows_left,
                                          reader.remaining()));
        }
        const ChunkPart part{static_cast<uint32_t>(part_rows[i]),
                             reader.get_bytes(static_cast<size_t>(part_bytes[i]))};
        if (is_in_parts(part.chunk)) {
            return corruption(fmt::format("part {} of {} is in parts itself", i, count));
        }
        rows_left -= part.rows;
        has_value = has_value || !part.chunk.empty();
        parts.push_back(part);
    }
    if (rows_left != 0 || !reader.finished() || !has_value) {
        return corruption(fmt::format("{} parts leave {} of {} rows and {} bytes over", count,
                                      rows_left, rows, reader.remaining()));
    }
    return {};
}

void encode_parts_head(std::span<const ChunkPart> parts, std::vector<std::byte>& out) {
    CHECK(parts.size() >= 2, "{} parts", parts.size());
    std::vector<int64_t> rows;
    std::vector<int64_t> bytes;
    rows.reserve(parts.size());
    bytes.reserve(parts.size());
    for (const ChunkPart& part : parts) {
        rows.push_back(part.rows);
        bytes.push_back(static_cast<int64_t>(part.chunk.size()));
    }
    out.push_back(kInParts);
    append_varint(out, parts.size());
    append_sized_integers(rows, out);
    append_sized_integers(bytes, out);
}

bool is_one_constant(std::span<const ChunkPart> parts) {
    const Bytes first = parts.front().chunk;
    return is_full_constant(first) && std::ranges::all_of(parts, [&](const ChunkPart& part) {
               return std::ranges::equal(part.chunk, first);
           });
}

}  // namespace stepdb
