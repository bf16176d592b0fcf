// Memory for what is large and comes and goes all the time: received frames, tails, blocks. The
// kernel hands out pages zeroed and one by one, which takes about as long as filling them with rows
// does, so buffers that are given back are kept for the next one of about their size.
//
// Any thread. What is kept is bounded, by the process's share for it (set_kept_max); large buffers
// ask for huge pages, which also spares the processor's address translation where rows are far
// apart.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace stepdb {

class LargeBuffer {
  public:
    LargeBuffer() = default;
    // `bytes` bytes of any content; the capacity may be up to an eighth more.
    explicit LargeBuffer(size_t bytes);
    LargeBuffer(LargeBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    LargeBuffer& operator=(LargeBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    ~LargeBuffer();

    std::byte* data() { return data_; }
    const std::byte* data() const { return data_; }
    size_t size() const { return size_; }
    size_t capacity() const { return capacity_; }
    std::byte* begin() { return data_; }
    std::byte* end() { return data_ + size_; }
    const std::byte* begin() const { return data_; }
    const std::byte* end() const { return data_ + size_; }
    // Of fewer bytes than the capacity.
    void resize(size_t bytes) {
        CHECK(bytes <= capacity_, "{} bytes of {}", bytes, capacity_);
        size_ = bytes;
    }
    std::byte& operator[](size_t at) { return data_[at]; }

    // How many bytes of buffers given back are kept at most; 32 MiB until it is set. What is kept
    // beyond that goes.
    static void set_kept_max(size_t bytes);
    static size_t kept_bytes();

  private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace stepdb
