// Writing a whole file beside work that must not wait for it: in large pieces at places and of
// lengths that direct I/O takes, each when it is let.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"

namespace stepdb {

// Says when the next piece may be written.
class WritePace {
  public:
    virtual ~WritePace() = default;
    // Ends when `bytes` more may be written. An error ends the writing with it.
    virtual Task<Status> next(size_t bytes) = 0;
};

// Writes a file from its beginning on. On the executor of the file; what the constructor is given
// outlives it.
class PacedWriter {
  public:
    // `piece_bytes` is a multiple of kPageBytes.
    PacedWriter(File& file, WritePace& pace, size_t piece_bytes)
        : file_(file), pace_(pace), buffer_(piece_bytes) {}

    Task<Status> put(Bytes bytes);
    Task<Status> put_zeros(uint64_t bytes);
    // Writes what is left. Nothing may be put afterwards.
    Task<Status> finish() { return write_out(); }

    // What has been put so far.
    uint64_t bytes() const { return written_ + used_; }

  private:
    Task<Status> write_out();

    File& file_;
    WritePace& pace_;
    AlignedBuffer buffer_;
    uint64_t written_ = 0;  // bytes before those in the buffer
    size_t used_ = 0;
};

}  // namespace stepdb
