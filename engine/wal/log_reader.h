// The reading end of the log, for recovery and inspection.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/wal/log_format.h"

namespace stepdb {

// Called for every record in log order; the frame is verified. An error ends the reading.
using RecordVisitor = std::function<Status(const RecordHeader& header, Bytes frame)>;

// A stretch that had been durable and cannot be read any more.
struct LogDamage {
    LogDamage() = default;

    uint64_t begin = 0;           // its first byte
    uint64_t end = 0;             // of the next readable group, or of the file
    uint64_t first_sequence = 0;  // that was due there
    uint64_t next_sequence = 0;   // of the next readable group; 0: none follows in this file
    std::string why;

    // A file whose first group is whole but not the one that was due: what is missing is the end of
    // the file before it.
    bool is_of_file_before() const { return begin == kLogFirstGroupOffset && end == begin; }
};

struct LogFileContents {
    LogFileContents() = default;

    uint64_t next_sequence = 0;  // one above the last record; as expected if there is none
    uint64_t groups = 0;
    uint64_t end = kLogFirstGroupOffset;  // where the last valid group ends
    uint64_t torn_bytes = 0;              // of a group begun there that is not whole
    std::string torn_why;                 // what is wrong with it
    std::vector<LogDamage> damage;        // in the order of the file
    // Of each group whose padding is not all zeros, the first byte that is not. Nothing is lost by
    // it: records are under checksums of their own. A crash may leave it, where a write into a
    // recycled file was cut short behind the last record.
    std::vector<uint64_t> stray_bytes;
};

// Reads the groups of one file. Its first record has sequence `expected`, or any if that is 0. The
// end is the first place without a whole valid group, unless a later group of the file says that
// something at or beyond that place had been durable: then acknowledged bytes are damaged, and
// reading goes on behind them. Errors are the visitor's and the disk's.
// `buffer` takes the file's bytes; readers of several files pass the same one, because making it
// takes a quarter as long as reading and replaying the file.
Task<Result<LogFileContents>> read_log_file(File& file, std::string name, LogPlace place,
                                            uint64_t expected, RecordVisitor visit,
                                            AlignedBuffer& buffer);

// --- The pure functions it is made of, over the bytes of a whole file ---

struct LogRecord {
    RecordHeader header;
    uint64_t offset = 0;
    Bytes frame;  // verified
};

// The records of the group at `offset`, if all of it is valid and begins with `sequence`; `group`
// is its header, if that is valid. kCorruption saying what is wrong at which byte.
Result<std::vector<LogRecord>> parse_log_group(Bytes file, const LogPlace& place, uint64_t offset,
                                               uint64_t sequence, GroupHeader& group);

// "sequence 7" or "sequences 7 to 9".
std::string describe_sequences(uint64_t first, uint64_t last);

// The first byte of the padding of this group and its records that is not zero.
std::optional<uint64_t> find_stray_byte(Bytes file, uint64_t offset, const GroupHeader& group,
                                        const std::vector<LogRecord>& records);

// The first readable group at or behind `offset` whose records have sequence `sequence` or higher;
// 0 if there is none.
uint64_t find_log_group(Bytes file, const LogPlace& place, uint64_t offset, uint64_t sequence);

// Whether the log may end at `offset`, where sequence `sequence` is due and parse_log_group said
// `why`: kCorruption if a later group calls that sequence durable.
Status check_log_end(Bytes file, const LogPlace& place, uint64_t offset, uint64_t sequence,
                     const Error& why);

// As read_log_file, without the name in messages.
Result<LogFileContents> parse_log(Bytes file, const LogPlace& place, uint64_t expected,
                                  const RecordVisitor& visit);

}  // namespace stepdb
