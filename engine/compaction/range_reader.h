// Reads many ranges of files at once: what lies near each other in one transfer, several transfers
// at a time, directly to where the caller looks at it.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"

namespace stepdb {

struct FileRange {
    FileRange() = default;
    FileRange(File& its_file, uint64_t its_offset, uint64_t its_bytes)
        : file(&its_file), offset(its_offset), bytes(its_bytes) {}

    File* file = nullptr;
    uint64_t offset = 0;
    uint64_t bytes = 0;
    Bytes read;  // set by RangeReader::read
};

class RangeReader {
  public:
    // Reads all of them, in any order of files and offsets; what was read before is gone. On an
    // error `failed()` is the range it is about. Memory is what the ranges take, in whole pages.
    Task<Status> read(std::vector<FileRange>* ranges);

    size_t failed() const { return failed_; }
    uint64_t bytes_read() const { return bytes_read_; }

  private:
    struct Transfer {
        File* file = nullptr;
        uint64_t offset = 0;
        uint64_t bytes = 0;
        size_t first_range = 0;  // one of them
        size_t buffer_at = 0;
    };

    void plan(std::vector<FileRange>& ranges);
    void start_next();
    void ended(size_t transfer, const Status& status);

    AlignedBuffer buffer_;
    std::vector<Transfer> transfers_;
    size_t next_ = 0;
    size_t under_way_ = 0;
    Signal all_ended_;
    Status status_;
    size_t failed_ = 0;
    uint64_t bytes_read_ = 0;
};

}  // namespace stepdb
