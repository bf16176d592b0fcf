// The log on disk; docs/format.md, "Log". Shared by writer, reader and inspector.
//
//   file    page 0: the common file header, magic "STEPDBLG"
//           from byte 4096: groups, each starting on a page and padded to whole pages
//
//   group   offset size
//                0    4  magic              0x47425453 ("STBG")
//                4    4  bytes              header, records and padding; a multiple of 4096
//                8    8  file id            so that a group outlives its file's header
//               16    8  epoch              one per opening of the store
//               24    8  first sequence     of the first record
//               32    8  durable sequence   highest one known durable when this was written
//               40    4  record count       at least 1
//               44    4  record bytes       records with their padding
//               48    8  reserved, 0
//               56    8  checksum           XXH3-64 of bytes 0..55, seeded with the group's place
//               64       records, one after the other, each padded to 8 bytes
//
//   record  offset size
//                0    4  bytes              header and frame, without padding
//                4    4  reserved, 0
//                8    8  epoch
//               16    8  sequence           of its first row, or of the record
//               24    4  sequence count     rows, or 1
//               28    4  attempt
//               32    8  run                0 if it concerns none
//               40    8  schema             0 if it concerns none
//               48   16  writer
//               64    8  frame number
//               72    8  receive time       microseconds since the epoch
//               80    8  frame checksum     as in the frame, which is verified by it
//               88    8  checksum           XXH3-64 of bytes 0..87, seeded with the record's place
//               96       the client's frame, unchanged
//
// A group is valid if its header and every record and frame in it are; recovery takes valid groups
// in order and stops at the first that is not. Files are recycled: what an earlier life of the file
// left behind fails its checksums, because the file id is in the seed.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/model/file_header.h"

namespace stepdb {

inline constexpr FileKind kLogKind{"STEPDBLG", "log"};
inline constexpr uint32_t kGroupMagic = 0x47425453;
inline constexpr size_t kGroupHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 96;
inline constexpr uint64_t kLogFirstGroupOffset = kPageBytes;

// Which file of which store: with an offset, the seed of every checksum.
struct LogPlace {
    Id128 store;
    uint64_t file_id = 0;

    uint64_t seed(uint64_t offset) const { return place_seed(store, file_id, offset); }
};

struct GroupHeader {
    uint32_t bytes = 0;
    uint64_t file_id = 0;
    uint64_t epoch = 0;
    uint64_t first_sequence = 0;
    uint64_t durable_sequence = 0;
    uint32_t record_count = 0;
    uint32_t record_bytes = 0;
};

struct RecordHeader {
    uint32_t bytes = 0;
    uint64_t epoch = 0;
    uint64_t sequence = 0;
    uint32_t sequence_count = 1;
    uint32_t attempt = 0;
    uint64_t run = 0;
    uint64_t schema = 0;
    Id128 writer;
    uint64_t frame_number = 0;
    int64_t receive_time_us = 0;
    uint64_t frame_checksum = 0;

    uint64_t last_sequence() const { return sequence + sequence_count - 1; }
};

void encode_group_header(const GroupHeader& header, const LogPlace& place, uint64_t offset,
                         std::byte* to);
void encode_record_header(const RecordHeader& header, const LogPlace& place, uint64_t offset,
                          std::byte* to);

// kCorruption if the bytes are no such header at this place. `available` bytes may follow.
Result<GroupHeader> decode_group_header(Bytes bytes, const LogPlace& place, uint64_t offset);
Result<RecordHeader> decode_record_header(Bytes bytes, const LogPlace& place, uint64_t offset);

}  // namespace stepdb
