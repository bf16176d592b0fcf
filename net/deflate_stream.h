// Compressed bodies of HTTP answers, for `Content-Encoding: gzip`. Pieces are compressed where they
// are made, each so that it stands behind any other; whoever sends them puts a gzip stream together
// of them, whose checksum comes of theirs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace stepdb {

class DeflateStream {
  public:
    // What one holds (deflateInit2 of zlib: windows of 32 KiB, memory level 8).
    static constexpr size_t kStateBytes = 272U << 10U;

    DeflateStream();
    ~DeflateStream();
    DeflateStream(const DeflateStream&) = delete;
    DeflateStream& operator=(const DeflateStream&) = delete;

    // A piece that ends at a byte and is read without those before it.
    std::string add(std::string_view bytes);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

uint32_t crc_of(std::string_view bytes);

// What goes around pieces.
class GzipFrame {
  public:
    static constexpr size_t kHeadBytes = 10;
    static constexpr size_t kEndBytes = 10;

    static std::string head();
    // A piece that follows those before it, of so many plain bytes with this checksum.
    void count(uint64_t plain_bytes, uint32_t plain_crc);
    std::string end() const;

  private:
    uint64_t plain_bytes_ = 0;
    uint32_t crc_ = 0;
};

// All of it at once, as small as zlib makes it.
std::string compress_gzip(std::string_view bytes);

}  // namespace stepdb
