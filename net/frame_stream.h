// Bytes as they come from a socket, to whole frames whose checksum is right. No sockets here.
//
// The reader fills prepare(), commits what came, and takes frames until there is none. Frames are
// views into the receive buffer and share its ownership, so they are never copied on their way to
// the engine. Memory: a buffer holds what was read and grows with what has arrived, never by what a
// header declares alone; an idle stream between frames holds no buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/result.h"
#include "engine/model/frame.h"

namespace stepdb {

// A whole frame, verified. `bytes` lives as long as `buffer`.
struct ReceivedFrame {
    ReceivedFrame(const FrameHeader& its_header, Bytes its_bytes,
                  std::shared_ptr<const std::byte[]> its_buffer)
        : header(its_header), bytes(its_bytes), buffer(std::move(its_buffer)) {}

    FrameHeader header;
    Bytes bytes;
    std::shared_ptr<const std::byte[]> buffer;
};

class FrameStream {
  public:
    // Sizes of one read; between them it follows what the peer sends.
    // A connection in the middle of a small frame holds at least the lesser, so it is small.
    static constexpr size_t kReadBytesMin = 4U << 10U;
    static constexpr size_t kReadBytesMax = 512U << 10U;

    // Where to put the next bytes; never empty.
    MutableBytes prepare();
    // `bytes` of them have been filled.
    void commit(size_t bytes);

    // The next frame; none if more bytes are needed. After an error the beginning of the next frame
    // is not known any more: the stream must be given up.
    Result<std::optional<ReceivedFrame>> next();

    // Bytes of a frame whose rest is still to come.
    size_t partial_bytes() const { return end_ - begin_; }
    // The declared size of that frame, checked against kFrameBytesMax; 0 before its header is
    // there.
    size_t begun_frame_bytes() const { return begun_; }

  private:
    size_t wanted_capacity() const;

    std::shared_ptr<std::byte[]> buffer_;
    size_t capacity_ = 0;
    size_t begin_ = 0;  // of the first byte not yet given out
    size_t end_ = 0;    // of what was filled
    size_t offered_ = 0;
    size_t begun_ = 0;
    size_t read_bytes_ = kReadBytesMin;
};

}  // namespace stepdb
