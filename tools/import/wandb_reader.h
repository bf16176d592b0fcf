// Reads the records of a W&B transaction log (run-ID.wandb): the framing of LevelDB's logs behind a
// header of its own, with CRC-32 as checksum. Blocks of 32 KiB hold fragments:
//
//   u32 CRC-32 of type and data, u16 length, u8 type (1 whole, 2 first, 3 middle, 4 last), data
//
// What is left of a block when no fragment's head fits is zero.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/byte_source.h"

namespace stepdb {

// Single-threaded. Holds a block and a record.
class WandbReader {
  public:
    static constexpr size_t kRecordBytesMax = 64U << 20U;

    // `path` is for messages.
    WandbReader(ByteSource source, std::string path)
        : source_(std::move(source)), path_(std::move(path)) {}

    // Replaces `record`, which lasts until the next call; false at the end. kCorruption naming byte
    // and record if the file does not begin as such a log does, a checksum or the order of
    // fragments is wrong, the file ends within a record, or one is longer than kRecordBytesMax;
    // errors of the source as they are. After an error nothing follows.
    Result<bool> next(Bytes& record);

    uint64_t number() const { return number_; }  // of the last record, from 1
    // "run-a.wandb: byte 24, record 2"
    std::string place() const;
    uint64_t bytes_read() const { return bytes_read_; }

  private:
    struct Fragment {
        uint8_t type = 0;
        Bytes data;
    };

    // Fills block_ anew; it is empty at the end of the file.
    Status read_block();
    Status check_header();
    // False at the end of the file, where none begins.
    Result<bool> next_fragment(Fragment& fragment);
    Error error_here(std::string_view what) const;

    ByteSource source_;
    std::string path_;
    std::vector<std::byte> block_;
    size_t position_ = 0;  // in block_
    uint64_t block_offset_ = 0;
    uint64_t offset_ = 0;  // of the fragment that was read last
    uint64_t bytes_read_ = 0;
    uint64_t number_ = 0;
    std::vector<std::byte> joined_;  // fragments of the current record
};

}  // namespace stepdb
