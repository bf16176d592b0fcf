// The reading end of the log, for recovery and inspection.
#pragma once

#include <functional>

#include "engine/base/task.h"
#include "engine/io/file_system.h"
#include "engine/wal/log_format.h"

namespace stepdb {

// Called for every record in log order; the frame is verified. An error ends the reading.
using RecordVisitor = std::function<Status(const RecordHeader& header, Bytes frame)>;

struct LogFileContents {
    uint64_t next_sequence = 0;  // one above the last record; as expected if there is none
    uint64_t groups = 0;
    uint64_t end = kLogFirstGroupOffset;  // where the valid groups stop
    uint64_t torn_bytes = 0;              // of a group that was begun there and never acknowledged
};

// Reads the groups of one file. Its first record has sequence `expected`. The end is the first
// place without a whole valid group. kCorruption, naming file and byte, if a later group of the
// file says that something at or beyond that place had been durable: then acknowledged bytes are
// damaged.
Task<Result<LogFileContents>> read_log_file(File& file, std::string name, LogPlace place,
                                            uint64_t expected, RecordVisitor visit);

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

// Whether the log may end at `offset`, where sequence `sequence` is due and parse_log_group said
// `why`: kCorruption if a later group calls that sequence durable.
Status check_log_end(Bytes file, const LogPlace& place, uint64_t offset, uint64_t sequence,
                     const Error& why);

// As read_log_file, without the name in messages.
Result<LogFileContents> parse_log(Bytes file, const LogPlace& place, uint64_t expected,
                                  const RecordVisitor& visit);

}  // namespace stepdb
