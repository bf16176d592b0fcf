// A chunk: one metric's values in one block, with which rows have one. docs/format.md, "Chunk".
//
//   u8 head      bits 0-1 presence: 0 every row, 1 bitmap, 2 ordinals; bit 2 float64;
//                bit 3 constant; bit 5 index nodes; others 0
//   bitmap       ceil(rows / 8) bytes, bit r % 8 of byte r / 8: row r has a value; padding 0
//   ordinals     varint count, varint bytes, then the rows with a value (ascending) as integers
//   payload      values of the present rows (codec/value_codec.h)
//   nodes        if bit 5: of each vector of these values (value_nodes.h)
//
// Or several of these in parts: chunk_parts.h. A column without a value in the block has no chunk
// (0 bytes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/codec/value_codec.h"
#include "engine/segment/block.h"
#include "engine/segment/value_nodes.h"

namespace stepdb {

// Room for a chunk in which each of `rows` rows has a value, and for what is written behind it.
constexpr size_t full_chunk_bytes_max(size_t rows) {
    return 1 + value_bytes_max(rows) + nodes_bytes_max(rows);
}

// Writes the chunk of a column in which every row has a value, and arbitrary bytes behind it;
// returns its end. There is room for full_chunk_bytes_max at `to`.
std::byte* encode_full_chunk(std::span<const double> values, std::byte* to);

// The same chunk of values that are given as the bits of float32 values.
std::byte* encode_full_chunk(std::span<const uint32_t> words, std::byte* to);

// Appends it.
void encode_full_chunk(std::span<const double> values, std::vector<std::byte>& out);

// Appends a chunk of `rows` rows; `present` lists the rows with a value, ascending, at least one
// and not all; `values` are theirs.
void encode_sparse_chunk(uint32_t rows, std::span<const int64_t> present,
                         std::span<const double> values, std::vector<std::byte>& out);

// A chunk that is not in parts, taken apart; a view of its payload and nodes.
struct ChunkSections {
    ChunkSections() = default;

    ValueForm form;
    size_t count = 0;                // rows with a value, at least one
    std::vector<uint64_t> presence;  // as in ColumnValues, but may be there if every row has one
    Bytes payload;
    std::optional<ValueNodes> nodes;
};

// kCorruption if these are not the bytes of a chunk over `rows` rows; the payload is not looked at.
Result<ChunkSections> read_chunk_sections(Bytes chunk, uint32_t rows);

// How many values the chunk has. kCorruption if these are not the bytes of a chunk over `rows`
// rows, or its index nodes are not those of its values.
Result<size_t> verify_chunk(Bytes chunk, uint32_t rows);

// kCorruption if these are not the bytes of a chunk over `rows` rows. Nodes are passed over.
Result<ColumnValues> decode_chunk_bytes(Bytes chunk, uint32_t rows);

// Whether these are the bytes of a chunk that has the same value in every row, and does not say in
// how many.
bool is_full_constant(Bytes chunk);

// What the head of a chunk says, for whoever looks at files.
struct ChunkForm {
    ChunkForm() = default;

    std::string presence;  // "every row", "bitmap", "ordinals", "12 parts"
    size_t values = 0;
    ValueForm form;        // of parts: float64 if one is, not constant
    size_t constants = 0;  // parts that are
    ValueVectorForms vectors;
};
Result<ChunkForm> describe_chunk(Bytes chunk, uint32_t rows);

}  // namespace stepdb
