// Lines of a text, whatever the size of the file: LF or CRLF, a byte order mark, a last line
// without an end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/byte_source.h"

namespace stepdb {

// Single-threaded. Holds one line.
class LineReader {
  public:
    static constexpr size_t kLineBytesMax = 64U << 20U;  // 100,000 named numbers take about 5 MB

    // `path` is for messages.
    LineReader(ByteSource source, std::string path);

    // Replaces `line`, which lasts until the next call; false at the end. kInvalidArgument for a
    // line longer than kLineBytesMax, errors of the source as they are.
    Result<bool> next(std::string_view& line);

    // Of the last line, from 1.
    uint64_t number() const { return number_; }
    // Bytes before it.
    uint64_t line_offset() const { return line_offset_; }
    // Whether it lacked its end: the file just ends so, or was cut off there.
    bool unterminated() const { return unterminated_; }
    uint64_t bytes_read() const { return bytes_read_; }

  private:
    ByteSource source_;
    std::string path_;
    std::vector<std::byte> buffer_;
    size_t position_ = 0;
    size_t filled_ = 0;
    uint64_t bytes_read_ = 0;
    uint64_t number_ = 0;
    uint64_t line_offset_ = 0;
    bool unterminated_ = false;
};

}  // namespace stepdb
