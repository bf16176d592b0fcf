// Views of bytes, and a buffer aligned for direct I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace stepdb {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The unit of direct I/O and of log padding.
inline constexpr size_t kPageBytes = 4096;

constexpr uint64_t round_up(uint64_t n, uint64_t unit) {
    return (n + unit - 1) / unit * unit;
}

// A zeroed buffer of fixed size whose start and length are multiples of kPageBytes.
class AlignedBuffer {
  public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(size_t bytes);

    std::byte* data() { return memory_.get(); }
    const std::byte* data() const { return memory_.get(); }
    size_t size() const { return bytes_; }
    MutableBytes span() { return {memory_.get(), bytes_}; }
    Bytes span() const { return {memory_.get(), bytes_}; }

  private:
    struct Free {
        void operator()(std::byte* memory) const;
    };
    std::unique_ptr<std::byte, Free> memory_;
    size_t bytes_ = 0;
};

}  // namespace stepdb
