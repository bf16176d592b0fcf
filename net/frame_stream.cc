#include "net/frame_stream.h"

#include <algorithm>
#include <cstring>

#include "engine/base/large_buffer.h"

namespace stepdb {

namespace {

std::shared_ptr<std::byte[]> make_buffer(size_t bytes) {
    const auto buffer = std::make_shared<LargeBuffer>(bytes);
    return {buffer, buffer->data()};
}

}  // namespace

// Room for the begun frame, but at most twice what is there already: a header alone commits no
// memory.
size_t FrameStream::wanted_capacity() const {
    const size_t grown = std::max(read_bytes_, partial_bytes() * 2);
    return begun_ > read_bytes_ ? std::min(begun_, grown) : std::max(begun_, grown);
}

MutableBytes FrameStream::prepare() {
    const size_t partial = partial_bytes();
    const bool fits = begun_ != 0 && begin_ + begun_ <= capacity_ && end_ < capacity_;
    if (!fits && capacity_ - end_ < read_bytes_ / 2) {
        const size_t capacity = std::max(wanted_capacity(), partial + 1);
        std::shared_ptr<std::byte[]> buffer = make_buffer(capacity);
        if (partial != 0) {
            std::memcpy(buffer.get(), buffer_.get() + begin_, partial);
        }
        buffer_ = std::move(buffer);
        capacity_ = capacity;
        begin_ = 0;
        end_ = partial;
    }
    offered_ = capacity_ - end_;
    return {buffer_.get() + end_, offered_};
}

void FrameStream::commit(size_t bytes) {
    CHECK(bytes <= offered_, "{} bytes committed of {} offered", bytes, offered_);
    if (bytes == offered_) {
        read_bytes_ = std::min(read_bytes_ * 2, kReadBytesMax);
    } else if (bytes != 0 && bytes < read_bytes_ / 4) {
        read_bytes_ = std::max(read_bytes_ / 2, kReadBytesMin);
    }
    end_ += bytes;
    offered_ = 0;
}

Result<std::optional<ReceivedFrame>> FrameStream::next() {
    const Bytes there(buffer_.get() + begin_, partial_bytes());
    if (there.size() < kFrameHeaderBytes || there.size() < begun_) {
        if (there.empty()) {
            buffer_.reset();
            capacity_ = begin_ = end_ = 0;
        }
        return std::optional<ReceivedFrame>();
    }
    TRY_ASSIGN(const FrameHeader header, parse_frame_header(there));
    if (there.size() < header.length) {
        begun_ = header.length;
        return std::optional<ReceivedFrame>();
    }
    const Bytes frame = there.first(header.length);
    TRY(verify_frame(header, frame));
    begin_ += header.length;
    begun_ = 0;
    return std::optional<ReceivedFrame>(std::in_place, header, frame, buffer_);
}

}  // namespace stepdb
