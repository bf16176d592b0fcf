#include "tools/import/line_reader.h"

#include <algorithm>
#include <cstring>

namespace stepdb {

namespace {

constexpr size_t kBufferBytes = 256U << 10U;  // to begin with
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(ByteSource source, std::string path)
    : source_(std::move(source)), path_(std::move(path)), buffer_(kBufferBytes) {}

Result<bool> LineReader::next(std::string_view& line) {
    line_offset_ = bytes_read_ - (filled_ - position_);
    size_t searched = 0;
    for (;;) {
        const std::string_view rest =
            as_text(Bytes(buffer_).subspan(position_, filled_ - position_));
        const size_t end = rest.find('\n', searched);
        if (end != std::string_view::npos) {
            line = rest.substr(0, end);
            position_ += end + 1;
            break;
        }
        searched = rest.size();
        if (position_ > 0) {
            std::memmove(buffer_.data(), buffer_.data() + position_, filled_ - position_);
            filled_ -= position_;
            position_ = 0;
        }
        if (filled_ >= kLineBytesMax) {
            return make_error(ErrorCode::kInvalidArgument, "{}: line {} is longer than {} bytes",
                              path_, number_ + 1, kLineBytesMax);
        }
        if (filled_ == buffer_.size()) {
            buffer_.resize(buffer_.size() * 2);
        }
        TRY_ASSIGN(const size_t got, source_(MutableBytes(buffer_).subspan(filled_)));
        filled_ += got;
        bytes_read_ += got;
        if (got == 0) {
            if (filled_ == 0) {
                return false;
            }
            line = as_text(Bytes(buffer_).first(filled_));
            position_ = filled_;
            unterminated_ = true;
            break;
        }
    }
    if (number_++ == 0 && line.starts_with(kByteOrderMark)) {
        line.remove_prefix(kByteOrderMark.size());
    }
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    return true;
}

}  // namespace stepdb
