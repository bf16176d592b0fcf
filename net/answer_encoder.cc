#include "net/answer_encoder.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

#include "engine/base/float_bits.h"
#include "engine/base/json_text.h"
#include "engine/model/cell_text.h"
#include "engine/query_memory.h"
#include "net/deflate_stream.h"

namespace stepdb {

namespace {

constexpr double kExactDouble = 9007199254740992.0;  // 2^53
constexpr int64_t kExactInteger = int64_t{1} << 53;

void append_json_number(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out += '"';
        out += format_value(value);
        out += '"';
        return;
    }
    if (value == 0 && std::signbit(value)) {
        // Not -0, which some readers take for the integer 0.
        out += "-0.0";
        return;
    }
    std::array<char, 40> text;
    char* const first = text.data();
    char* const last = first + text.size();
    const bool is_integer = std::fabs(value) < kExactDouble && std::trunc(value) == value;
    char* const end = is_integer ? std::to_chars(first, last, static_cast<int64_t>(value)).ptr
                                 : std::to_chars(first, last, value).ptr;
    out.append(first, end);
}

template <typename Integer>
void append_json_integer(std::string& out, Integer value, bool is_exact) {
    const fmt::format_int text(value);
    out += is_exact ? "" : "\"";
    out.append(text.data(), text.size());
    out += is_exact ? "" : "\"";
}

void append_json_cell(std::string& out, const ColumnCells& cells, uint32_t row) {
    if (cells.is_null(row)) {
        out += "null";
        return;
    }
    switch (cells.type()) {
        case ColumnType::kText:
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            append_json_number(out, cells.doubles()[row]);
            break;
        case ColumnType::kTime: {
            const int64_t time = cells.times()[row];
            append_json_integer(out, time, time >= -kExactInteger && time <= kExactInteger);
            break;
        }
        case ColumnType::kUint64: {
            const uint64_t count = cells.uint64s()[row];
            append_json_integer(out, count, count <= uint64_t{kExactInteger});
            break;
        }
    }
}

// A text that repeats is escaped once.
void append_json_text_cells(std::string& out, const ColumnCells& cells) {
    uint32_t row = 0;
    std::string text;
    for (const auto& [count, raw] : cells.text_runs()) {
        text.clear();
        append_json_text(text, raw);
        for (uint32_t at = 0; at < count; ++at, ++row) {
            out += row == 0 && out.empty() ? "" : ",";
            out += cells.is_null(row) ? std::string_view("null") : std::string_view(text);
        }
    }
}

// What all of them do: charging what they hold, and compressing.
class EncoderBase : public AnswerEncoder {
  public:
    explicit EncoderBase(const AnswerStyle& style) {
        if (style.is_compressed) {
            deflater_.emplace();
        }
    }

    void use_memory(std::shared_ptr<MemoryBudget> memory) override {
        memory_ = memory;
        held_ = MemoryCharge(std::move(memory));
    }

  protected:
    // So much is held beside pieces.
    Status hold(size_t bytes) {
        return charge_query_memory(held_, bytes + (deflater_ ? DeflateStream::kStateBytes : 0));
    }

    Result<EncodedPiece> make_piece(std::string bytes) {
        EncodedPiece piece;
        piece.charge = MemoryCharge(memory_);
        piece.plain_bytes = bytes.size();
        if (deflater_ && !bytes.empty()) {
            piece.plain_crc = crc_of(bytes);
            TRY(charge_query_memory(piece.charge, bytes.size() / 2));
            bytes = deflater_->add(bytes);
        }
        TRY(charge_query_memory(piece.charge, bytes.size()));
        piece.bytes = std::move(bytes);
        return piece;
    }

  private:
    std::shared_ptr<MemoryBudget> memory_;
    MemoryCharge held_;
    std::optional<DeflateStream> deflater_;
};

class JsonEncoder final : public EncoderBase {
  public:
    explicit JsonEncoder(AnswerStyle style) : EncoderBase(style), style_(std::move(style)) {}

    void begin(const std::vector<ResultColumn>& columns) override {
        columns_ = columns;
        texts_.resize(columns.size());
    }

    Result<EncodedPiece> block(const ResultBlock& block) override {
        rows_ += block.rows();
        size_t bytes = 0;
        for (size_t column = 0; column < texts_.size(); ++column) {
            append_json_cells(texts_[column], block.column(column));
            bytes += texts_[column].capacity();
        }
        TRY(hold(bytes));
        return EncodedPiece();
    }

    Result<EncodedPiece> end(const QueryEnd& end) override {
        std::string out = "{" + style_.lead + "\"columns\":";
        append_json_columns(out, columns_);
        out += fmt::format(",\"rows\":{},\"values\":[", rows_);
        size_t bytes = out.size();
        for (const std::string& text : texts_) {
            bytes += text.size() + 3;
        }
        TRY(hold(2 * bytes));
        out.reserve(bytes + 256);
        for (std::string& text : texts_) {
            out += out.back() == '[' ? "[" : ",[";
            out += std::exchange(text, std::string());
            out += ']';
        }
        out += "],\"notes\":";
        append_json_texts(out, end.notes);
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - begun_;
        out += fmt::format(",\"milliseconds\":{:.3f}}}", took.count()) + style_.tail;
        Result<EncodedPiece> piece = make_piece(std::move(out));
        TRY(hold(0));
        return piece;
    }

  private:
    const AnswerStyle style_;
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::vector<ResultColumn> columns_;
    std::vector<std::string> texts_;  // by column
    uint64_t rows_ = 0;
};

class CsvEncoder final : public EncoderBase {
  public:
    using EncoderBase::EncoderBase;

    void begin(const std::vector<ResultColumn>& columns) override {
        for (const ResultColumn& column : columns) {
            lines_ += lines_.empty() ? "" : ",";
            append_csv_text(lines_, column.name);
        }
        lines_ += '\n';
    }

    Result<EncodedPiece> block(const ResultBlock& block) override {
        TRY(hold(0));
        std::vector<std::vector<std::string_view>> texts;
        for (size_t column = 0; column < block.width(); ++column) {
            texts.push_back(block.column(column).texts());
        }
        for (uint32_t row = 0; row < block.rows(); ++row) {
            for (size_t column = 0; column < block.width(); ++column) {
                if (column != 0) {
                    lines_ += ',';
                }
                const std::string_view text =
                    texts[column].empty() ? std::string_view() : texts[column][row];
                append_csv_text(lines_, exact_cell(block.column(column), row, text));
            }
            lines_ += '\n';
        }
        return make_piece(std::exchange(lines_, std::string()));
    }

    // The header, if there was no block.
    Result<EncodedPiece> end(const QueryEnd& /*end*/) override {
        return make_piece(std::exchange(lines_, std::string()));
    }

  private:
    std::string lines_;
};

class FrameEncoder final : public EncoderBase {
  public:
    using EncoderBase::EncoderBase;

    void begin(const std::vector<ResultColumn>& columns) override {
        add(encode_result_columns(columns, 1));
    }
    Result<EncodedPiece> block(const ResultBlock& block) override {
        TRY(hold(0));
        TRY_ASSIGN(const std::vector<std::byte> frame, encode_result_block(block, 1));
        add(frame);
        return make_piece(std::exchange(frames_, std::string()));
    }
    Result<EncodedPiece> end(const QueryEnd& end) override {
        add(encode_result_end(end, 1));
        return make_piece(std::exchange(frames_, std::string()));
    }

  private:
    void add(const std::vector<std::byte>& frame) { frames_ += as_text(frame); }

    std::string frames_;
};

}  // namespace

std::optional<AnswerFormat> parse_answer_format(std::string_view name) {
    if (name == "json") {
        return AnswerFormat::kJson;
    }
    if (name == "csv") {
        return AnswerFormat::kCsv;
    }
    if (name == "columns") {
        return AnswerFormat::kColumns;
    }
    return std::nullopt;
}

const char* content_type_of(AnswerFormat format) {
    switch (format) {
        case AnswerFormat::kJson:
            return "application/json";
        case AnswerFormat::kCsv:
            return "text/csv; charset=utf-8; header=present";
        case AnswerFormat::kColumns:
            return "application/vnd.stepdb.frames";
    }
    return "";
}

std::unique_ptr<AnswerEncoder> make_answer_encoder(AnswerStyle style) {
    switch (style.format) {
        case AnswerFormat::kJson:
            return std::make_unique<JsonEncoder>(std::move(style));
        case AnswerFormat::kCsv:
            return std::make_unique<CsvEncoder>(style);
        case AnswerFormat::kColumns:
            return std::make_unique<FrameEncoder>(style);
    }
    CHECK(false, "answer format {}", static_cast<int>(style.format));
    return nullptr;
}

void append_json_columns(std::string& out, const std::vector<ResultColumn>& columns) {
    out += '[';
    for (const ResultColumn& column : columns) {
        out += &column == columns.data() ? "{\"name\":" : ",{\"name\":";
        append_json_text(out, column.name);
        out += fmt::format(",\"type\":\"{}\"}}", column_type_name(column.type));
    }
    out += ']';
}

void append_json_cells(std::string& out, const ColumnCells& cells) {
    if (cells.type() == ColumnType::kText) {
        return append_json_text_cells(out, cells);
    }
    for (uint32_t row = 0; row < cells.rows(); ++row) {
        out += row == 0 && out.empty() ? "" : ",";
        append_json_cell(out, cells, row);
    }
}

void append_json_texts(std::string& out, const std::vector<std::string>& texts) {
    out += '[';
    for (const std::string& text : texts) {
        out += &text == texts.data() ? "" : ",";
        append_json_text(out, text);
    }
    out += ']';
}

}  // namespace stepdb
