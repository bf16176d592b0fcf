// Makes the bytes of an answer where it is computed, block by block, so that the net thread has
// only to pass them on: writing numbers as text takes longer than computing them. Used by one
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/model/result_columns.h"
#include "net/message.h"

namespace stepdb {

// A piece of an answer; compressed, a piece by itself of a stream that deflate_stream.h puts
// together.
struct EncodedPiece {
    EncodedPiece() = default;

    std::string bytes;
    uint64_t plain_bytes = 0;  // before they were compressed
    uint32_t plain_crc = 0;    // CRC-32 of those; 0 of what is not compressed
    MemoryCharge charge;
};

class AnswerEncoder {
  public:
    virtual ~AnswerEncoder() = default;
    // What it holds, and what its pieces take until they are sent, is charged there; null: nowhere.
    virtual void use_memory(std::shared_ptr<MemoryBudget> memory) = 0;
    // Once, before the first block.
    virtual void begin(const std::vector<ResultColumn>& columns) = 0;
    // kResourceExhausted if there is no memory for it. An encoder that can write nothing before the
    // end gives empty pieces.
    virtual Result<EncodedPiece> block(const ResultBlock& block) = 0;
    virtual Result<EncodedPiece> end(const QueryEnd& end) = 0;
};

enum class AnswerFormat : uint8_t {
    kJson,     // one object with all values of a column together; written at the end
    kCsv,      // a line a row, as it comes
    kColumns,  // the frames of docs/protocol.md: result_columns, result_block, ..., result_end
};

// "json", "csv", "columns".
std::optional<AnswerFormat> parse_answer_format(std::string_view name);
// Whether pieces come before the end.
constexpr bool is_streamed(AnswerFormat format) {
    return format != AnswerFormat::kJson;
}
const char* content_type_of(AnswerFormat format);

struct AnswerStyle {
    AnswerStyle() = default;

    AnswerFormat format = AnswerFormat::kJson;
    bool is_compressed = false;
    // JSON: members that go before those of the answer (`"index":3,`), and what goes behind it.
    std::string lead;
    std::string tail;
};

std::unique_ptr<AnswerEncoder> make_answer_encoder(AnswerStyle style);

// Parts of a JSON answer, for whoever puts one together otherwise.
void append_json_columns(std::string& out, const std::vector<ResultColumn>& columns);
// The cells of a column, behind what it has already (a comma between them): numbers in the shortest
// form that reads back bit for bit; what is not finite, and integers beyond 2^53, as text.
void append_json_cells(std::string& out, const ColumnCells& cells);
void append_json_texts(std::string& out, const std::vector<std::string>& texts);

}  // namespace stepdb
