#include "tools/import/csv_reader.h"

#include <algorithm>
#include <cstring>

namespace stepdb {

namespace {

constexpr size_t kBufferBytes = 256U << 10U;  // to begin with

}  // namespace

CsvReader::CsvReader(ByteSource source, CsvOptions options)
    : source_(std::move(source)), options_(std::move(options)) {
    buffer_.resize(std::min(kBufferBytes, options_.record_bytes_max));
    line_ = options_.first_line;
    record_line_ = line_;
}

Result<bool> CsvReader::next(std::vector<std::string_view>& fields) {
    fields.clear();
    if (done_) {
        return false;
    }
    Status status;
    if (!begun_) {
        begun_ = true;
        status = skip_mark();
    }
    // Blank lines are no records.
    do {
        if (status.has_value() && !done_) {
            status = read_record();
        }
    } while (status.has_value() && !done_ && fields_.empty());
    if (!status.has_value()) {
        done_ = true;
        return std::move(status).error();
    }
    const std::string_view record = as_text(Bytes(buffer_).subspan(record_begin_));
    for (const Field& field : fields_) {
        fields.push_back(record.substr(field.begin, field.end - field.begin));
    }
    return !fields.empty();
}

Status CsvReader::skip_mark() {
    while (filled_ < 3 && !source_ended_ && !source_error_) {
        fill();
    }
    if (source_error_) {
        return *source_error_;
    }
    const std::string_view start = as_text(Bytes(buffer_).first(filled_));
    if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) {
        return error_at(1, 1, "the text is UTF-16; convert it to UTF-8 first");
    }
    if (start.starts_with("\xef\xbb\xbf")) {
        position_ = 3;
        begin_line();
    }
    return {};
}

// Leaves fields_ empty after a blank line. At the end of the input sets done_; fields_ may then
// hold a last record.
Status CsvReader::read_record() {
    record_begin_ = position_;
    record_line_ = line_;
    fields_.clear();
    if (!more()) {
        done_ = true;
        return source_error_ ? Status(*source_error_) : Status();
    }
    for (;;) {
        const bool quoted = more() && buffer_[position_] == std::byte{'"'};
        TRY_ASSIGN(const FieldEnd end, read_field());
        if (cut_off_) {
            fields_.clear();
            done_ = true;
            return {};
        }
        if (end == FieldEnd::kSeparator) {
            continue;
        }
        if (end == FieldEnd::kInput) {
            unterminated_ = true;
            done_ = true;
        }
        if (fields_.size() == 1 && fields_[0].begin == fields_[0].end && !quoted) {
            fields_.clear();
        }
        return {};
    }
}

Result<CsvReader::FieldEnd> CsvReader::read_field() {
    const auto separator = static_cast<std::byte>(options_.separator);
    Field field;
    if (more() && buffer_[position_] == std::byte{'"'}) {
        TRY(read_quoted(field));
    } else {
        field.begin = position_ - record_begin_;
        while (more() && buffer_[position_] != separator && buffer_[position_] != std::byte{'\n'} &&
               buffer_[position_] != std::byte{'\r'}) {
            ++position_;
        }
        field.end = position_ - record_begin_;
    }
    fields_.push_back(field);
    if (cut_off_ || !more()) {
        if (source_error_) {
            return *source_error_;
        }
        return FieldEnd::kInput;
    }
    if (buffer_[position_] == separator) {
        ++position_;
        return FieldEnd::kSeparator;
    }
    if (buffer_[position_] != std::byte{'\n'} && buffer_[position_] != std::byte{'\r'}) {
        return error_at(line_, column(), "text follows the quote that ends a field");
    }
    take_line_end();
    if (source_error_) {
        return *source_error_;
    }
    return FieldEnd::kLine;
}

Status CsvReader::read_quoted(Field& field) {
    const uint64_t quote_line = line_;
    const uint64_t quote_column = column();
    ++position_;
    field.begin = position_ - record_begin_;
    field.end = field.begin;
    for (;;) {
        if (!more()) {
            if (source_error_) {
                return *source_error_;
            }
            const Error error = error_at(quote_line, quote_column, "this quote is never closed");
            if (quote_line != line_) {
                return error;
            }
            cut_off_ = error.message();
            return {};
        }
        const std::byte byte = buffer_[position_++];
        if (byte == std::byte{'"'}) {
            if (!more() || buffer_[position_] != std::byte{'"'}) {
                return source_error_ ? Status(*source_error_) : Status();
            }
            ++position_;
        } else if (byte == std::byte{'\n'}) {
            begin_line();
            ++line_;
        }
        buffer_[record_begin_ + field.end++] = byte;
    }
}

void CsvReader::take_line_end() {
    const bool carriage_return = buffer_[position_] == std::byte{'\r'};
    ++position_;
    if (carriage_return && more() && buffer_[position_] == std::byte{'\n'}) {
        ++position_;
    }
    begin_line();
    ++line_;
}

void CsvReader::begin_line() {
    line_offset_ = buffer_offset_ + position_;
}

bool CsvReader::more() {
    while (position_ == filled_) {
        if (source_ended_ || source_error_) {
            return false;
        }
        fill();
    }
    return true;
}

void CsvReader::fill() {
    if (record_begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + record_begin_, filled_ - record_begin_);
        buffer_offset_ += record_begin_;
        filled_ -= record_begin_;
        position_ -= record_begin_;
        record_begin_ = 0;
    }
    if (filled_ == buffer_.size()) {
        if (buffer_.size() >= options_.record_bytes_max) {
            source_error_ = error_at(record_line_, 1,
                                     fmt::format("this record is longer than {} bytes; is a quote "
                                                 "not closed?",
                                                 options_.record_bytes_max));
            return;
        }
        buffer_.resize(std::min(buffer_.size() * 2, options_.record_bytes_max));
    }
    Result<size_t> got = source_(MutableBytes(buffer_).subspan(filled_));
    if (!got.has_value()) {
        source_error_ = std::move(got).error();
        return;
    }
    CHECK(*got <= buffer_.size() - filled_, "source gave {} bytes", *got);
    source_ended_ = *got == 0;
    filled_ += *got;
    bytes_read_ += *got;
}

Error CsvReader::error_at(uint64_t line, uint64_t column, std::string_view what) const {
    return make_error(ErrorCode::kInvalidArgument, "{}: line {}, column {}: {}", options_.name,
                      line, column, what);
}

}  // namespace stepdb
