// TensorFlow's record files: records of any bytes, one after the other.
//
//   offset  size  of a record
//        0     8  length of the data, n
//        8     4  masked CRC-32C of these 8 bytes
//       12     n  data
//   12 + n     4  masked CRC-32C of the data
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/byte_source.h"

namespace stepdb {

// Single-threaded. Holds one record, and of a length that only claims to be one no more than there
// is.
class RecordReader {
  public:
    // Longer ones are verified and passed over; a scalar takes about 100 bytes.
    static constexpr uint64_t kRecordBytesMax = 64U << 20U;

    // `path` is for messages. `begin`: byte of the file that the source begins with, which is the
    // first of a record.
    RecordReader(ByteSource source, std::string path, uint64_t begin = 0);

    struct Record {
        Bytes data;             // until the next call
        bool too_long = false;  // data is empty then
    };
    // Replaces `record`; false at the end. kCorruption naming byte and record if a checksum is
    // wrong or the file ends within a record; errors of the source as they are. After an error
    // nothing follows.
    Result<bool> next(Record& record);

    // Of the last record, from 1, and where it begins.
    uint64_t number() const { return number_; }
    uint64_t offset() const { return offset_; }
    // Where the next one begins, once the last has been read to its end.
    uint64_t next_offset() const { return next_offset_; }
    // Whether the error was that the file ends within a record, which may only not be written yet.
    bool is_torn() const { return is_torn_; }
    // "a.tfevents: byte 24, record 2"; the number only if the file was read from its first byte.
    std::string place() const;

    uint64_t bytes_read() const { return bytes_read_; }

  private:
    // Whether so many bytes lie behind position_, reading on if need be.
    Result<bool> have(uint64_t bytes);
    Result<uint64_t> read_length();
    Status pass_over(uint64_t length);
    Error error_here(std::string_view what) const;
    Error torn(std::string_view what);

    ByteSource source_;
    std::string path_;
    std::vector<std::byte> buffer_;
    size_t position_ = 0;
    size_t filled_ = 0;
    const uint64_t begin_;
    uint64_t bytes_read_ = 0;
    uint64_t number_ = 0;
    uint64_t offset_ = 0;
    uint64_t next_offset_ = 0;
    bool done_ = false;
    bool is_torn_ = false;
};

}  // namespace stepdb
