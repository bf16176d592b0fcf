// Reads CSV as RFC 4180 has it and as it is found: CRLF, LF or CR line ends, a byte order mark,
// quoted fields with commas, quotes and line breaks in them, another separator, blank lines
// (skipped), a last line without a line end. One record is in memory at a time, whatever the size
// of the file. Numbers of fields are the caller's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "tools/import/byte_source.h"

namespace stepdb {

struct CsvOptions {
    CsvOptions() = default;

    std::string name;  // of the input, for messages
    char separator = ',';
    uint64_t first_line = 1;  // number of the line that the source begins with
    // One record, line breaks within quotes included. A row of 100,000 numbers takes about 2 MB.
    size_t record_bytes_max = 64U << 20U;
};

// Single-threaded.
class CsvReader {
  public:
    CsvReader(ByteSource source, CsvOptions options);

    // Replaces `fields` by those of the next record, unquoted; false at the end. The views hold
    // until the next call. kInvalidArgument with line and column if the text is no CSV or a record
    // is longer than allowed; errors of the source as they are. After an error nothing follows.
    Result<bool> next(std::vector<std::string_view>& fields);

    // Physical line on which the last record began, from 1.
    uint64_t line() const { return record_line_; }

    // Bytes of the source before the last record.
    uint64_t record_offset() const { return buffer_offset_ + record_begin_; }

    // Whether the last record lacked its line end: either the file just ends so, or it was cut off
    // while being written and the record may be incomplete.
    bool unterminated() const { return unterminated_; }

    // Set at the end if the file stops inside a quoted field on its last line: that record was cut
    // off and is left out. (If more lines follow the opening quote it is taken for a stray quote,
    // and next() fails.)
    const std::optional<std::string>& cut_off() const { return cut_off_; }

    // Bytes taken from the source so far, for progress.
    uint64_t bytes_read() const { return bytes_read_; }

  private:
    // A field of the current record, unquoted in place; offsets from record_begin_.
    struct Field {
        size_t begin = 0;
        size_t end = 0;
    };
    enum class FieldEnd : uint8_t { kSeparator, kLine, kInput };

    Status skip_mark();
    Status read_record();
    Result<FieldEnd> read_field();
    Status read_quoted(Field& field);
    void take_line_end();
    void begin_line();
    // Whether there is a byte at position_, reading on if need be. False at the end of the input
    // and when reading fails, which sets source_error_.
    bool more();
    void fill();
    Error error_at(uint64_t line, uint64_t column, std::string_view what) const;
    uint64_t column() const { return buffer_offset_ + position_ - line_offset_ + 1; }

    ByteSource source_;
    CsvOptions options_;
    std::vector<std::byte> buffer_;
    uint64_t buffer_offset_ = 0;  // of buffer_[0] in the input
    size_t filled_ = 0;           // bytes of buffer_ in use
    size_t position_ = 0;         // next byte to look at
    size_t record_begin_ = 0;
    std::vector<Field> fields_;
    uint64_t line_ = 1;
    uint64_t line_offset_ = 0;  // of the current line in the input
    uint64_t record_line_ = 1;
    uint64_t bytes_read_ = 0;
    bool begun_ = false;
    bool source_ended_ = false;
    bool done_ = false;  // the end, or an error, has been told
    bool unterminated_ = false;
    std::optional<Error> source_error_;
    std::optional<std::string> cut_off_;
};

}  // namespace stepdb
