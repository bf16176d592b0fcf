// Memory for what is large and comes and goes all the time: received frames, tails, blocks. It is
// taken from the process's page heap, which keeps what is given back for the next one.
//
// Any thread.
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
    // `bytes` bytes of any content; from 64 KiB on it is whole pages.
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

    // How many bytes of buffers in use and of those given back the process keeps at most, and of
    // the latter after trim(); 64 MiB both until they are set.
    static void set_limits(size_t held_max, size_t idle_max);
    // To be called when nothing is done for now.
    static void trim();
    static size_t kept_bytes();

  private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace stepdb
