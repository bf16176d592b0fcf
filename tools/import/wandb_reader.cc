#include "tools/import/wandb_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/checksum.h"
#include "engine/base/coding.h"

namespace stepdb {

namespace {

constexpr size_t kBlockBytes = 32U << 10U;
constexpr size_t kWandbHeadBytes = 7;                   // of a fragment, and of the file
constexpr std::string_view kFileHead = ":W&B\xe1\xbe";  // and a version
constexpr uint8_t kVersion = 0;

enum FragmentType : uint8_t { kWhole = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

}  // namespace

std::string WandbReader::place() const {
    return fmt::format("{}: byte {}, record {}", path_, offset_, number_);
}

Error WandbReader::error_here(std::string_view what) const {
    return make_error(ErrorCode::kCorruption, "{}: {}", place(), what);
}

Status WandbReader::read_block() {
    block_offset_ += block_.size();
    block_.resize(kBlockBytes);
    position_ = 0;
    size_t filled = 0;
    while (filled < kBlockBytes) {
        TRY_ASSIGN(const size_t got, source_(MutableBytes(block_).subspan(filled)));
        if (got == 0) {
            break;
        }
        filled += got;
    }
    block_.resize(filled);
    bytes_read_ += filled;
    return {};
}

Status WandbReader::check_header() {
    const std::string_view head =
        as_text(Bytes(block_).first(std::min(block_.size(), kWandbHeadBytes)));
    if (head.size() < kWandbHeadBytes || !head.starts_with(kFileHead)) {
        return error_here("this is no log of W&B");
    }
    if (static_cast<uint8_t>(head.back()) != kVersion) {
        return error_here(fmt::format("a log of version {}; only version {} is known",
                                      static_cast<uint8_t>(head.back()), kVersion));
    }
    position_ = kWandbHeadBytes;
    return {};
}

Result<bool> WandbReader::next_fragment(Fragment& fragment) {
    for (;;) {
        const size_t left = block_.size() - position_;
        if (left >= kWandbHeadBytes) {
            break;
        }
        const bool is_last = block_.size() < kBlockBytes;
        if (is_last) {
            offset_ = block_offset_ + position_;
            return left == 0 ? Result<bool>(false)
                             : Result<bool>(error_here("the file ends within this record"));
        }
        TRY(read_block());
    }
    offset_ = block_offset_ + position_;
    ByteReader head(Bytes(block_).subspan(position_, kWandbHeadBytes));
    const uint32_t crc = head.get<uint32_t>();
    const size_t length = head.get<uint16_t>();
    fragment.type = head.get<uint8_t>();
    if (length > block_.size() - position_ - kWandbHeadBytes) {
        return error_here(block_.size() < kBlockBytes ? "the file ends within this record"
                                                      : "a fragment leaves its block");
    }
    fragment.data = Bytes(block_).subspan(position_ + kWandbHeadBytes, length);
    // Type and data lie side by side.
    if (crc32(Bytes(block_).subspan(position_ + kWandbHeadBytes - 1, length + 1)) != crc) {
        return error_here("the data does not match its checksum");
    }
    position_ += kWandbHeadBytes + length;
    return true;
}

Result<bool> WandbReader::next(Bytes& record) {
    if (bytes_read_ == 0) {
        TRY(read_block());
        if (block_.empty()) {
            return false;
        }
        TRY(check_header());
    }
    ++number_;
    joined_.clear();
    Fragment fragment;
    for (bool is_first = true;; is_first = false) {
        TRY_ASSIGN(const bool more, next_fragment(fragment));
        if (!more) {
            return is_first ? Result<bool>(false)
                            : Result<bool>(error_here("the file ends within this record"));
        }
        const bool begins = fragment.type == kWhole || fragment.type == kFirst;
        if (begins != is_first || fragment.type < kWhole || fragment.type > kLast) {
            return error_here(fmt::format("a fragment of type {} is out of place", fragment.type));
        }
        if (fragment.type == kWhole) {
            record = fragment.data;
            return true;
        }
        if (joined_.size() + fragment.data.size() > kRecordBytesMax) {
            return error_here(fmt::format("a record of more than {} bytes", kRecordBytesMax));
        }
        joined_.insert(joined_.end(), fragment.data.begin(), fragment.data.end());
        if (fragment.type == kLast) {
            record = joined_;
            return true;
        }
    }
}

}  // namespace stepdb
