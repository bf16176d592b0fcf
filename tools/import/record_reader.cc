#include "tools/import/record_reader.h"

#include <algorithm>
#include <cstring>

#include "engine/base/coding.h"
#include "tools/import/crc32c.h"

namespace stepdb {

namespace {

constexpr size_t kHeadBytes = 12;
constexpr size_t kFootBytes = 4;
constexpr size_t kBufferBytes = 256U << 10U;  // to begin with

}  // namespace

RecordReader::RecordReader(ByteSource source, std::string path, uint64_t begin)
    : source_(std::move(source)),
      path_(std::move(path)),
      buffer_(kBufferBytes),
      begin_(begin),
      offset_(begin),
      next_offset_(begin) {}

std::string RecordReader::place() const {
    return begin_ == 0 ? fmt::format("{}: byte {}, record {}", path_, offset_, number_)
                       : fmt::format("{}: byte {}", path_, offset_);
}

Error RecordReader::error_here(std::string_view what) const {
    return make_error(ErrorCode::kCorruption, "{}: {}", place(), what);
}

Error RecordReader::torn(std::string_view what) {
    is_torn_ = true;
    return error_here(what);
}

Result<bool> RecordReader::have(uint64_t bytes) {
    while (filled_ - position_ < bytes) {
        if (position_ > 0) {
            std::memmove(buffer_.data(), buffer_.data() + position_, filled_ - position_);
            filled_ -= position_;
            position_ = 0;
        }
        if (filled_ == buffer_.size()) {
            buffer_.resize(buffer_.size() * 2);
        }
        TRY_ASSIGN(const size_t got, source_(MutableBytes(buffer_).subspan(filled_)));
        if (got == 0) {
            return false;
        }
        filled_ += got;
        bytes_read_ += got;
    }
    return true;
}

Result<bool> RecordReader::next(Record& record) {
    record = Record();
    if (done_) {
        return false;
    }
    done_ = true;  // unless it comes to its end below
    ++number_;
    offset_ = next_offset_;
    TRY_ASSIGN(const bool more, have(1));
    if (!more) {
        return false;
    }
    TRY_ASSIGN(const uint64_t length, read_length());
    if (length > kRecordBytesMax) {
        TRY(pass_over(length));
        record.too_long = true;
    } else {
        TRY_ASSIGN(const bool is_whole, have(length + kFootBytes));
        if (!is_whole) {
            return torn(fmt::format("the file ends within this record of {} bytes", length));
        }
        record.data = Bytes(buffer_).subspan(position_, length);
        const auto crc = load_le<uint32_t>(record.data.data() + length);
        if (crc != mask_crc(crc32c(record.data))) {
            return error_here("the data does not match its checksum");
        }
        position_ += length + kFootBytes;
    }
    next_offset_ = offset_ + kHeadBytes + length + kFootBytes;
    done_ = false;
    return true;
}

Result<uint64_t> RecordReader::read_length() {
    TRY_ASSIGN(const bool is_whole, have(kHeadBytes));
    if (!is_whole) {
        return torn("the file ends within the head of this record");
    }
    const Bytes head = Bytes(buffer_).subspan(position_, kHeadBytes);
    if (load_le<uint32_t>(head.data() + 8) != mask_crc(crc32c(head.first(8)))) {
        return error_here(offset_ == 0 ? "this is no event file: its length does not match the "
                                         "checksum of it"
                                       : "the length does not match its checksum");
    }
    position_ += kHeadBytes;
    return load_le<uint64_t>(head.data());
}

Status RecordReader::pass_over(uint64_t length) {
    uint32_t crc = 0;
    for (uint64_t left = length; left > 0;) {
        TRY_ASSIGN(const bool more, have(1));
        if (!more) {
            return torn(fmt::format("the file ends within this record of {} bytes", length));
        }
        const size_t piece = std::min<uint64_t>(left, filled_ - position_);
        crc = crc32c(Bytes(buffer_).subspan(position_, piece), crc);
        position_ += piece;
        left -= piece;
    }
    TRY_ASSIGN(const bool is_whole, have(kFootBytes));
    if (!is_whole) {
        return torn(fmt::format("the file ends within this record of {} bytes", length));
    }
    const auto written = load_le<uint32_t>(buffer_.data() + position_);
    position_ += kFootBytes;
    return written == mask_crc(crc) ? Status()
                                    : Status(error_here("the data does not match its checksum"));
}

}  // namespace stepdb
