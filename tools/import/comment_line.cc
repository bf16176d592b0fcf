#include "tools/import/comment_line.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/text.h"

namespace stepdb {

namespace {

constexpr size_t kNone = std::string::npos;
constexpr size_t kChunkBytes = 4096;
constexpr size_t kCommentBytesMax = 1U << 20U;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr size_t kLeadBytes = kByteOrderMark.size() + 1;  // among them is the `#`

// The object of a comment; empty if the line is none.
std::string_view object_of(std::string_view line) {
    if (line.starts_with(kByteOrderMark)) {
        line.remove_prefix(kByteOrderMark.size());
    }
    if (!line.starts_with('#')) {
        return {};
    }
    const size_t begin = line.find_first_not_of(kLineBlanks, 1);
    const size_t end = line.find_last_not_of(kLineBlanks);
    const bool is_object =
        begin != std::string_view::npos && line[begin] == '{' && end > begin && line[end] == '}';
    return is_object ? line.substr(begin, end - begin + 1) : std::string_view();
}

}  // namespace

Result<CommentedSource> take_comment(ByteSource source) {
    // Shared, since functions are copied.
    const auto head = std::make_shared<std::string>();
    size_t end = kNone;
    for (;;) {
        const size_t before = head->size();
        const bool may_be = before < kLeadBytes || head->substr(0, kLeadBytes).find('#') != kNone;
        if (end != kNone || !may_be || before > kCommentBytesMax) {
            break;
        }
        head->resize(before + kChunkBytes);
        const auto room = std::as_writable_bytes(std::span(*head)).subspan(before);
        TRY_ASSIGN(const size_t got, source(room));
        head->resize(before + got);
        end = head->find('\n', before);
        if (got == 0) {
            break;
        }
    }
    CommentedSource taken;
    const std::string_view object =
        end == kNone ? std::string_view() : object_of(std::string_view(*head).substr(0, end));
    if (!object.empty()) {
        taken.comment = object;
        taken.bytes = end + 1;
    }
    taken.rest = [head, at = static_cast<size_t>(taken.bytes),
                  source = std::move(source)](MutableBytes into) mutable -> Result<size_t> {
        if (at == head->size()) {
            return source(into);
        }
        const size_t got = std::min(into.size(), head->size() - at);
        std::memcpy(into.data(), head->data() + at, got);
        at += got;
        return got;
    };
    return taken;
}

}  // namespace stepdb
