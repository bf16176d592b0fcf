// A chunk in parts: chunks of neighbouring blocks one behind the other, their bytes as they were,
// so that a merge of rows that do not overlap decodes nothing. docs/format.md, "Chunk".
//
//   u8 head             16: in parts; a chunk that is not has this bit 0
//   varint              count of parts, at least 2
//   varint n, n bytes   rows of each part, as integers
//   varint n, n bytes   bytes of each part, as integers; 0: none of its rows has a value
//   parts               chunks, none of them in parts
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

namespace stepdb {

struct ChunkPart {
    uint32_t rows = 0;
    Bytes chunk;  // empty: none of the rows has a value
};

bool is_in_parts(Bytes chunk);

// Appends the parts of a chunk over `rows` rows; of one that is not in parts (or no bytes) itself.
// Views of `chunk`. kCorruption if the parts do not make up the chunk; within them nothing is
// looked at.
Status append_chunk_parts(Bytes chunk, uint32_t rows, std::vector<ChunkPart>& parts);

// Appends everything of a chunk that comes before its parts, of which there are at least two.
void encode_parts_head(std::span<const ChunkPart> parts, std::vector<std::byte>& out);

// Whether one chunk that is not in parts says the same as the parts one behind the other: if all
// are the same constant in every row.
bool is_one_constant(std::span<const ChunkPart> parts);

}  // namespace stepdb
