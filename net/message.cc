#include "net/message.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

constexpr uint32_t kNoPosition = 0xFFFFFFFF;
constexpr uint32_t kColumnHasNulls = 1;

Error malformed(std::string_view what, size_t bytes) {
    return make_error(ErrorCode::kInvalidArgument,
                      "{} frame: a body of {} bytes that does not end with its last field, or a "
                      "text in it is longer than allowed",
                      what, bytes);
}

Error bad_field(std::string_view what, std::string_view field, uint64_t value,
                std::string_view known) {
    return make_error(ErrorCode::kInvalidArgument, "{} frame: {} {}; {}", what, field, value,
                      known);
}

bool all_zero(Bytes bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Status check_zeros(std::string_view what, Bytes reserved) {
    if (!all_zero(reserved)) {
        return make_error(ErrorCode::kInvalidArgument, "{} frame: reserved bytes are not zero",
                          what);
    }
    return {};
}

Id128 get_id(ByteReader& reader) {
    Id128 id;
    const Bytes bytes = reader.get_bytes(sizeof(id.bytes));
    std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
    return id;
}

std::optional<uint32_t> position_of(uint32_t wire) {
    return wire == kNoPosition ? std::nullopt : std::optional<uint32_t>(wire);
}

}  // namespace

Result<HelloMessage> HelloMessage::decode(Bytes body) {
    ByteReader reader(body);
    HelloMessage hello;
    hello.version_max = reader.get<uint32_t>();
    hello.features = reader.get<uint64_t>();
    hello.writer = get_id(reader);
    hello.token = reader.get_text(kTokenBytesMax);
    hello.client = reader.get_text(kPeerNameBytesMax);
    if (!reader.finished()) {
        return malformed("hello", body.size());
    }
    if (hello.version_max == 0) {
        return bad_field("hello", "highest version", 0, "versions count from 1");
    }
    return hello;
}

std::vector<std::byte> encode_hello(const HelloMessage& hello) {
    FrameBuilder builder(FrameType::kHello, 0);
    ByteWriter& writer = builder.writer();
    writer.put(hello.version_max);
    writer.put(hello.features);
    writer.put_bytes(hello.writer.bytes);
    writer.put_text(hello.token);
    writer.put_text(hello.client);
    return builder.finish();
}

Result<HelloOkMessage> HelloOkMessage::decode(Bytes body) {
    ByteReader reader(body);
    HelloOkMessage hello;
    hello.version = reader.get<uint32_t>();
    hello.features = reader.get<uint64_t>();
    hello.store = get_id(reader);
    hello.frame_bytes_max = reader.get<uint32_t>();
    hello.frame_rows_max = reader.get<uint32_t>();
    const auto level = reader.get<uint8_t>();
    hello.server = reader.get_text(kPeerNameBytesMax);
    if (!reader.finished()) {
        return malformed("hello_ok", body.size());
    }
    if (level != static_cast<uint8_t>(Durability::kDurable)) {
        return bad_field("hello_ok", "durability level", level, "1 (durable) is known");
    }
    return hello;
}

std::vector<std::byte> encode_hello_ok(const HelloOkMessage& hello) {
    FrameBuilder builder(FrameType::kHelloOk, 0);
    ByteWriter& writer = builder.writer();
    writer.put(hello.version);
    writer.put(hello.features);
    writer.put_bytes(hello.store.bytes);
    writer.put(hello.frame_bytes_max);
    writer.put(hello.frame_rows_max);
    writer.put(hello.durability);
    writer.put_text(hello.server);
    return builder.finish();
}

Result<AckMessage> AckMessage::decode(Bytes body) {
    ByteReader reader(body);
    AckMessage ack;
    const auto level = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(7);
    ack.late_rows = reader.get<uint64_t>();
    if (!reader.finished()) {
        return malformed("ack", body.size());
    }
    TRY(check_zeros("ack", reserved));
    if (level != static_cast<uint8_t>(Durability::kDurable)) {
        return bad_field("ack", "durability level", level, "1 (durable) is known");
    }
    return ack;
}

std::vector<std::byte> encode_ack(const AckMessage& ack, uint64_t ordinal) {
    FrameBuilder builder(FrameType::kAck, ordinal);
    ByteWriter& writer = builder.writer();
    writer.put(ack.level);
    writer.put_zeros(7);
    writer.put(ack.late_rows);
    return builder.finish();
}

Result<RunOpened> decode_run_opened(Bytes body) {
    ByteReader reader(body);
    RunOpened opened;
    opened.handle = reader.get<uint32_t>();
    opened.attempt = reader.get<uint32_t>();
    opened.run = reader.get<uint64_t>();
    opened.last_number = reader.get<uint64_t>();
    const auto created = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(7);
    if (!reader.finished()) {
        return malformed("run_opened", body.size());
    }
    TRY(check_zeros("run_opened", reserved));
    if (created > 1) {
        return bad_field("run_opened", "created", created, "0 or 1 are known");
    }
    opened.created = created == 1;
    return opened;
}

std::vector<std::byte> encode_run_opened(const RunOpened& opened, uint64_t ordinal) {
    FrameBuilder builder(FrameType::kRunOpened, ordinal);
    ByteWriter& writer = builder.writer();
    writer.put(opened.handle);
    writer.put(opened.attempt);
    writer.put(opened.run);
    writer.put(opened.last_number);
    writer.put(static_cast<uint8_t>(opened.created ? 1 : 0));
    writer.put_zeros(7);
    return builder.finish();
}

Result<ErrorMessage> ErrorMessage::decode(Bytes body) {
    ByteReader reader(body);
    ErrorMessage error;
    const auto scope = reader.get<uint8_t>();
    const auto code = reader.get<uint8_t>();
    const auto reserved = reader.get<uint16_t>();
    error.position.row = position_of(reader.get<uint32_t>());
    error.position.column = position_of(reader.get<uint32_t>());
    error.message = reader.get_text(kErrorMessageBytesMax);
    if (!reader.finished()) {
        return malformed("error", body.size());
    }
    if (scope > static_cast<uint8_t>(ErrorScope::kFrame) || reserved != 0) {
        return bad_field("error", "scope", scope, "0 to 3 are known, and the next bytes are zero");
    }
    if (code == 0 || code > static_cast<uint8_t>(ErrorCode::kPermissionDenied)) {
        return bad_field("error", "code", code, "1 to 11 are known");
    }
    error.scope = static_cast<ErrorScope>(scope);
    error.code = static_cast<ErrorCode>(code);
    return error;
}

std::vector<std::byte> encode_error(const ErrorMessage& error, uint64_t number) {
    FrameBuilder builder(FrameType::kError, number);
    ByteWriter& writer = builder.writer();
    writer.put(error.scope);
    writer.put(error.code);
    writer.put<uint16_t>(0);
    writer.put(error.position.row.value_or(kNoPosition));
    writer.put(error.position.column.value_or(kNoPosition));
    writer.put_text(std::string_view(error.message).substr(0, kErrorMessageBytesMax));
    return builder.finish();
}

Result<QueryText> decode_query(Bytes body) {
    ByteReader reader(body);
    QueryText query(std::string(reader.get_text(kQueryTextBytesMax)));
    const auto parameters = reader.get<uint32_t>();
    if (parameters > kQueryParametersMax) {
        return bad_field("query", "parameter count", parameters,
                         fmt::format("at most {} are allowed", kQueryParametersMax));
    }
    for (uint32_t i = 0; i < parameters; ++i) {
        const std::string_view name = reader.get_text(kFrameBytesMax);
        const std::string_view value = reader.get_text(kFrameBytesMax);
        if (reader.failed()) {
            return malformed("query", body.size());
        }
        TRY(query.parameters.add(name, value));
    }
    if (!reader.finished()) {
        return malformed("query", body.size());
    }
    if (!is_valid_utf8(query.text)) {
        return make_error(ErrorCode::kInvalidArgument, "query '{}' is not valid UTF-8",
                          printable(query.text));
    }
    return query;
}

namespace {

std::vector<std::byte> encode_question(FrameType type, std::string_view text, uint64_t request,
                                       const QueryParameters& parameters) {
    FrameBuilder builder(type, request);
    ByteWriter& writer = builder.writer();
    writer.put_text(text);
    writer.put(static_cast<uint32_t>(parameters.values().size()));
    for (const auto& [name, value] : parameters.values()) {
        writer.put_text(name);
        writer.put_text(value);
    }
    return builder.finish();
}

}  // namespace

std::vector<std::byte> encode_query(std::string_view text, uint64_t request,
                                    const QueryParameters& parameters) {
    return encode_question(FrameType::kQuery, text, request, parameters);
}

std::vector<std::byte> encode_watch(std::string_view text, uint64_t request,
                                    const QueryParameters& parameters) {
    return encode_question(FrameType::kWatch, text, request, parameters);
}

Result<std::string> decode_backup(Bytes body) {
    ByteReader reader(body);
    const std::string_view directory = reader.get_text(kBackupPathBytesMax);
    if (!reader.finished()) {
        return malformed("backup", body.size());
    }
    // Where a server was started is no place that its clients know.
    if (!directory.starts_with('/') || directory.find('\0') != std::string_view::npos) {
        return make_error(ErrorCode::kInvalidArgument,
                          "backup to '{}': a directory of the server's machine is named from its "
                          "root, as in /backups/a",
                          printable(directory));
    }
    return std::string(directory);
}

std::vector<std::byte> encode_backup(std::string_view directory, uint64_t request) {
    FrameBuilder builder(FrameType::kBackup, request);
    builder.writer().put_text(directory);
    return builder.finish();
}

std::vector<std::byte> encode_cancel(uint64_t request) {
    return FrameBuilder(FrameType::kCancel, request).finish();
}

Result<std::vector<ResultColumn>> decode_result_columns(Bytes body) {
    ByteReader reader(body);
    const auto count = reader.get<uint32_t>();
    // A column takes at least 5 bytes.
    if (count > reader.remaining() / 5) {
        return malformed("result_columns", body.size());
    }
    std::vector<ResultColumn> columns;
    columns.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
        const auto type = reader.get<uint8_t>();
        const std::string_view name = reader.get_text(kFrameBytesMax);
        if (type > static_cast<uint8_t>(ColumnType::kUint64)) {
            return bad_field("result_columns", "column type", type, "0 to 4 are known");
        }
        columns.emplace_back(std::string(name), static_cast<ColumnType>(type));
    }
    if (!reader.finished()) {
        return malformed("result_columns", body.size());
    }
    return columns;
}

std::vector<std::byte> encode_result_columns(std::span<const ResultColumn> columns,
                                             uint64_t request) {
    FrameBuilder builder(FrameType::kResultColumns, request);
    ByteWriter& writer = builder.writer();
    writer.put(static_cast<uint32_t>(columns.size()));
    for (const ResultColumn& column : columns) {
        writer.put(column.type);
        writer.put_text(column.name);
    }
    return builder.finish();
}

namespace {

void put_nulls(ByteWriter& writer, const ColumnCells& cells) {
    const size_t at = writer.size();
    writer.put_zeros(round_up((cells.rows() + 7) / 8, 8));
    const MutableBytes bitmap = writer.mutable_bytes().subspan(at);
    for (uint32_t row = 0; row < cells.rows(); ++row) {
        if (!cells.is_null(row)) {
            bitmap[row / 8] |= std::byte{1} << (row % 8);
        }
    }
}

void put_cells(ByteWriter& writer, const ColumnCells& cells) {
    writer.put(cells.has_nulls() ? kColumnHasNulls : 0U);
    writer.put(static_cast<uint32_t>(cells.text_runs().size()));
    if (cells.has_nulls()) {
        put_nulls(writer, cells);
    }
    for (const ColumnCells::TextRun& run : cells.text_runs()) {
        writer.put(run.first);
        writer.put_text(run.second);
    }
    writer.align(8);
    writer.put_bytes(std::as_bytes(cells.doubles()));
    writer.put_bytes(std::as_bytes(cells.times()));
    writer.put_bytes(std::as_bytes(cells.uint64s()));
}

// What one encoded column adds to the rows of a block, before nulls are laid over it.
class CellsReader {
  public:
    CellsReader(ByteReader& reader, uint32_t rows) : reader_(reader), rows_(rows) {}

    Result<ColumnCells> read(ColumnType type);

  private:
    Status read_texts(uint32_t runs);
    Status read_numbers();
    // Appends rows [from, to) of the column, nulls by the bitmap.
    template <typename Append>
    void append_where_there(uint32_t from, uint32_t to, const Append& append);
    bool is_there(uint32_t row) const {
        return valid_.empty() || (static_cast<unsigned>(valid_[row / 8]) >> (row % 8) & 1U) != 0;
    }

    ByteReader& reader_;
    uint32_t rows_;
    Bytes valid_;
    std::optional<ColumnCells> cells_;
};

template <typename Append>
void CellsReader::append_where_there(uint32_t from, uint32_t to, const Append& append) {
    if (valid_.empty() && from != to) {
        return append(from, to);
    }
    for (uint32_t row = from; row < to;) {
        uint32_t end = row + 1;
        while (end < to && is_there(end) == is_there(row)) {
            ++end;
        }
        if (is_there(row)) {
            append(row, end);
        } else {
            cells_->append_null(end - row);
        }
        row = end;
    }
}

Status CellsReader::read_texts(uint32_t runs) {
    const size_t begin = reader_.position();
    uint32_t row = 0;
    for (uint32_t i = 0; i < runs; ++i) {
        const auto count = reader_.get<uint32_t>();
        const std::string_view text = reader_.get_text(kFrameBytesMax);
        if (reader_.failed() || count == 0 || count > rows_ - row) {
            return bad_field("result_block", "text run of rows", count, "it ends beyond the rows");
        }
        append_where_there(row, row + count, [&](uint32_t from, uint32_t to) {
            cells_->append_text(text, to - from);
        });
        row += count;
    }
    if (row != rows_) {
        return bad_field("result_block", "rows of texts", row, "they are not the block's rows");
    }
    const size_t bytes = reader_.position() - begin;
    return check_zeros("result_block", reader_.get_bytes(round_up(bytes, 8) - bytes));
}

Status CellsReader::read_numbers() {
    const Bytes bytes = reader_.get_bytes(size_t{rows_} * 8);
    if (reader_.failed()) {
        return malformed("result_block", reader_.position());
    }
    cells_->reserve(rows_);
    append_where_there(0, rows_, [&](uint32_t from, uint32_t to) {
        cells_->append_numbers(bytes.subspan(size_t{from} * 8, size_t{to - from} * 8));
    });
    return {};
}

Result<ColumnCells> CellsReader::read(ColumnType type) {
    const auto flags = reader_.get<uint32_t>();
    const auto runs = reader_.get<uint32_t>();
    if (flags > kColumnHasNulls || (runs != 0 && type != ColumnType::kText)) {
        return bad_field("result_block", "column flags", flags, "bit 0 is known; runs are of text");
    }
    if (flags != 0) {
        valid_ = reader_.get_bytes(round_up((rows_ + 7) / 8, 8));
    }
    if (reader_.failed()) {
        return malformed("result_block", reader_.position());
    }
    cells_.emplace(type);
    TRY(type == ColumnType::kText ? read_texts(runs) : read_numbers());
    return std::move(*cells_);
}

}  // namespace

Result<std::vector<std::byte>> encode_result_block(const ResultBlock& block, uint64_t request) {
    CHECK(block.is_complete(), "columns of a block differ in rows");
    size_t bytes = kFrameHeaderBytes + 8;
    for (size_t i = 0; i < block.width(); ++i) {
        bytes += 32 + block.rows() / 8;
        const ColumnCells& cells = block.column(i);
        for (const ColumnCells::TextRun& run : cells.text_runs()) {
            bytes += 8 + run.second.size();
        }
        bytes += cells.type() == ColumnType::kText ? 0 : size_t{8} * cells.rows();
    }
    CHECK(block.rows() <= kResultBlockRowsMax, "a block of {} rows", block.rows());
    if (bytes > kFrameBytesMax) {
        return make_error(ErrorCode::kResourceExhausted,
                          "a block of {} rows x {} columns takes {} bytes; at most {} fit a frame; "
                          "ask for fewer columns",
                          block.rows(), block.width(), bytes, kFrameBytesMax);
    }
    FrameBuilder builder(FrameType::kResultBlock, request);
    ByteWriter& writer = builder.writer();
    writer.reserve(bytes);
    writer.put(block.rows());
    writer.put(static_cast<uint32_t>(block.width()));
    for (size_t i = 0; i < block.width(); ++i) {
        put_cells(writer, block.column(i));
    }
    return builder.finish();
}

Result<ResultBlock> decode_result_block(Bytes body, std::span<const ResultColumn> columns) {
    ByteReader reader(body);
    const auto rows = reader.get<uint32_t>();
    const auto width = reader.get<uint32_t>();
    if (reader.failed() || width != columns.size() || rows > kResultBlockRowsMax) {
        return make_error(ErrorCode::kInvalidArgument,
                          "result_block frame of {} rows x {} columns; at most {} rows and the {} "
                          "columns announced are allowed",
                          rows, width, kResultBlockRowsMax, columns.size());
    }
    ResultBlock block(columns);
    for (uint32_t i = 0; i < width; ++i) {
        TRY_ASSIGN(block.column(i), CellsReader(reader, rows).read(columns[i].type));
    }
    if (!reader.finished()) {
        return malformed("result_block", body.size());
    }
    return block;
}

namespace {

Status get_notes(std::string_view what, ByteReader& reader, std::vector<std::string>& notes) {
    const auto count = reader.get<uint32_t>();
    if (count > kNotesMax) {
        return bad_field(what, "count of notes", count, "at most 1024 are allowed");
    }
    for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
        notes.emplace_back(reader.get_text(kErrorMessageBytesMax));
    }
    return {};
}

void put_notes(ByteWriter& writer, const std::vector<std::string>& notes) {
    const size_t count = std::min(notes.size(), kNotesMax);
    writer.put(static_cast<uint32_t>(count));
    for (size_t i = 0; i < count; ++i) {
        writer.put_text(std::string_view(notes[i]).substr(0, kErrorMessageBytesMax));
    }
}

}  // namespace

Result<QueryEnd> QueryEnd::decode(Bytes body) {
    ByteReader reader(body);
    QueryEnd end;
    end.rows = reader.get<uint64_t>();
    TRY(get_notes("result_end", reader, end.notes));
    if (!reader.finished()) {
        return malformed("result_end", body.size());
    }
    return end;
}

std::vector<std::byte> encode_result_end(const QueryEnd& end, uint64_t request) {
    FrameBuilder builder(FrameType::kResultEnd, request);
    ByteWriter& writer = builder.writer();
    writer.put(end.rows);
    put_notes(writer, end.notes);
    return builder.finish();
}

Result<ResultUpdate> ResultUpdate::decode(Bytes body) {
    constexpr uint8_t kReset = 1;
    ByteReader reader(body);
    ResultUpdate update;
    update.sequence = reader.get<uint64_t>();
    const auto flags = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(3);
    update.key_columns = reader.get<uint32_t>();
    update.rows = reader.get<uint64_t>();
    if (flags > kReset) {
        return bad_field("result_update", "flags", flags, "bit 0 is known");
    }
    TRY(check_zeros("result_update", reserved));
    update.is_reset = flags == kReset;
    TRY(get_notes("result_update", reader, update.notes));
    if (!reader.finished()) {
        return malformed("result_update", body.size());
    }
    return update;
}

std::vector<std::byte> encode_result_update(const ResultUpdate& update, uint64_t request) {
    FrameBuilder builder(FrameType::kResultUpdate, request);
    ByteWriter& writer = builder.writer();
    writer.put(update.sequence);
    writer.put(static_cast<uint8_t>(update.is_reset ? 1 : 0));
    writer.put_zeros(3);
    writer.put(update.key_columns);
    writer.put(update.rows);
    put_notes(writer, update.notes);
    return builder.finish();
}

}  // namespace stepdb
