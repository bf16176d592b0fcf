// The layout of a segment: an immutable file of blocks. docs/format.md, "Segment".
//
//   0              header page      engine/model/file_header.h, magic "STEPDBSG"
//   4096           blocks           each its axis, directory, strips and summaries section,
//                                   sorted by (run, attempt, schema), no gaps
//   names offset   names            runs and schemas used, in pieces of LZ4
//   index offset   block index      what is known of each block, in columns
//                  padding          zeros up to the next multiple of 4096
//   size - 4096    footer page      where names and index are
//
// Every checksum is an XXH3-64 seeded with the place (store, file id, offset of the first byte
// covered), but for those of strips: see block_directory.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/model/file_header.h"
#include "engine/model/schema.h"
#include "engine/segment/block.h"

namespace stepdb {

inline constexpr FileKind kSegmentFileKind{.magic = "STEPDBSG",
                                           .name = "segment",
                                           .version = 1,
                                           .compatible_known = 0,
                                           .incompatible_known = 0};

// Where a block lay when it was found damaged, and what vouches for its bytes since. The checksums
// of its sections are those of that place: what of it is whole can be read as before.
struct DamagedOrigin {
    uint64_t file_id = 0;
    uint64_t offset = 0;
    uint64_t checksum = 0;  // of the block's bytes as they are, seeded with the place they are at
};

// A block as the index knows it. The axis section lies at `offset`, the others follow.
struct SegmentBlock {
    BlockInfo info;
    uint64_t offset = 0;  // derived: blocks follow each other from kFileHeaderBytes on
    uint64_t axis_checksum = 0;
    uint64_t directory_checksum = 0;
    uint64_t summaries_checksum = 0;  // if there are summaries
    // Set if something of the block was damaged before a merge brought it here, as it was.
    std::shared_ptr<const DamagedOrigin> damaged;

    // What seeds the checksum of the section at `at`: its place, or the one where the block lay.
    uint64_t section_seed(const Id128& store, uint64_t file_id, uint64_t at) const {
        return damaged == nullptr
                   ? place_seed(store, file_id, at)
                   : place_seed(store, damaged->file_id, damaged->offset + (at - offset));
    }

    uint64_t directory_offset() const { return offset + info.axis_bytes; }
    uint64_t strips_offset() const { return directory_offset() + info.directory_bytes; }
    uint64_t summaries_offset() const { return strips_offset() + info.strips_bytes; }
    uint64_t end() const { return offset + info.total_bytes(); }
};

// (run, attempt, schema): the order of blocks in a segment.
bool sorts_before(const BlockInfo& a, const BlockInfo& b);

// Block index:
//   u8 format        3
//   u8[3] reserved   0
//   19 times         varint n, n bytes of integers (codec/integer_codec.h), one per block: run,
//                    attempt, schema, axis, rows, columns, key min, key max, time min, time max,
//                    sequence min, sequence max, bytes of axis, directory and strips section,
//                    first column with values, end of the columns with values, bytes of the
//                    summaries section, 1 if the block is damaged, else 0
//   u64 each block   checksum of the axis section
//   u64 each block   checksum of the directory section
//   u64 each block that has summaries   checksum of the summaries section
//   u64[3] each damaged block           file id and offset where it lay, checksum of all its bytes
// Format 2 knows no summaries and no damaged blocks. Format 1 neither, nor which columns may have
// values: all may.
std::vector<std::byte> encode_block_index(const std::vector<SegmentBlock>& blocks);
// `end` is the offset where the last block must end.
Result<std::vector<SegmentBlock>> decode_block_index(Bytes index, uint64_t count, uint64_t end);

// The runs and schemas whose ids the blocks name, so that a catalog can be rebuilt from segments.
struct SegmentNames {
    struct Run {
        uint64_t id = 0;
        std::string project;
        std::string name;
    };
    struct NamedSchema {
        uint64_t id = 0;
        std::shared_ptr<const Schema> schema;
    };

    SegmentNames() = default;  // no aggregate: see task.h
    std::vector<Run> runs;
    std::vector<NamedSchema> schemas;
};

// Names, as a sequence of pieces: u32 raw bytes (at most 4 MiB), u32 compressed bytes, one LZ4
// block. The pieces unpack to:
//   u32 count of runs, each     u32 bytes of the rest of the record, u64 id, text project, text
//                               run; readers skip what a record has beyond these
//   u32 count of schemas, each  u64 id, text canonical encoding (engine/model/schema.h)
// with text as u32 length and bytes.
std::vector<std::byte> encode_segment_names(const SegmentNames& names);
Result<SegmentNames> decode_segment_names(Bytes section);

// Footer page:
//   0   8  magic "STEPDBSF"        32  8  block index: offset
//   8   8  bytes of the file       40  8  its bytes
//   16  8  count of blocks         48  8  its checksum
//   24  8  reserved, 0             56  8  names: offset
//                                  64  8  their bytes
//                                  72  8  their checksum
//   80     zeros                 4088  8  checksum of bytes 0..4087
struct SegmentFooter {
    uint64_t file_bytes = 0;
    uint64_t blocks = 0;
    uint64_t index_offset = 0;
    uint64_t index_bytes = 0;
    uint64_t index_checksum = 0;
    uint64_t names_offset = 0;
    uint64_t names_bytes = 0;
    uint64_t names_checksum = 0;

    uint64_t footer_offset() const { return file_bytes - kPageBytes; }
};

std::vector<std::byte> encode_segment_footer(const SegmentFooter& footer, const Id128& store,
                                             uint64_t file_id);
// Checks that the parts it names lie one behind the other in a file of `file_bytes`.
Result<SegmentFooter> decode_segment_footer(Bytes page, const Id128& store, uint64_t file_id,
                                            uint64_t file_bytes);

}  // namespace stepdb
