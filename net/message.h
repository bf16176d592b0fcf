// The bodies of the frames that are not changes: hello, outcomes, queries and answers. Changes are
// in engine/model/frame.h and rows.h. docs/protocol.md, "Bodies", is the specification.
//
// encode_*() returns a whole frame; decode() checks a whole body. Texts of decoded bodies are
// copies. All may be called on any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/model/frame.h"
#include "engine/model/result_columns.h"
#include "query/parameters.h"

namespace stepdb {

inline constexpr size_t kTokenBytesMax = 4096;
inline constexpr size_t kPeerNameBytesMax = 256;
inline constexpr size_t kErrorMessageBytesMax = 16U << 10U;  // longer ones are cut
inline constexpr size_t kNotesMax = 1024;

// Feature bits of hello and hello_ok: what both sides know.
inline constexpr uint64_t kFeatureWatch = 1;   // the frames watch and result_update
inline constexpr uint64_t kFeatureBackup = 2;  // the frame backup
inline constexpr uint64_t kFeaturesKnown = kFeatureWatch | kFeatureBackup;

// The level of an acknowledgement. One is defined: on stable storage, and visible to queries.
enum class Durability : uint8_t { kDurable = 1 };

// body: u32 highest protocol version spoken, u64 feature bits, 16 B writer, text token, text client
// name.
struct HelloMessage {
    HelloMessage() = default;
    static Result<HelloMessage> decode(Bytes body);

    uint32_t version_max = kProtocolVersion;
    uint64_t features = kFeaturesKnown;
    Id128 writer;  // zero: this connection only reads
    std::string token;
    std::string client;
};
std::vector<std::byte> encode_hello(const HelloMessage& hello);

// body: u32 version, u64 feature bits, 16 B store id, u32 frame bytes max, u32 frame rows max,
// u8 durability level, text server name and version.
struct HelloOkMessage {
    HelloOkMessage() = default;
    static Result<HelloOkMessage> decode(Bytes body);

    uint32_t version = kProtocolVersion;
    uint64_t features = 0;
    Id128 store;
    uint32_t frame_bytes_max = kFrameBytesMax;
    uint32_t frame_rows_max = kFrameRowsMax;
    Durability durability = Durability::kDurable;
    std::string server;
};
std::vector<std::byte> encode_hello_ok(const HelloOkMessage& hello);

// body: u8 level, u8[7] zero, u64 late rows since the last ack. The frame's number is the ordinal
// up to which every changing frame of the connection that no error named is acknowledged.
struct AckMessage {
    AckMessage() = default;
    static Result<AckMessage> decode(Bytes body);

    Durability level = Durability::kDurable;
    uint64_t late_rows = 0;
};
std::vector<std::byte> encode_ack(const AckMessage& ack, uint64_t ordinal);

// body: u32 handle, u32 attempt, u64 run, u64 last number, u8 created, u8[7] zero. The frame's
// number is the ordinal of the open_run.
Result<RunOpened> decode_run_opened(Bytes body);
std::vector<std::byte> encode_run_opened(const RunOpened& opened, uint64_t ordinal);

enum class ErrorScope : uint8_t {
    kConnection = 0,  // the connection is closed after it; number 0
    kChange = 1,      // a changing frame; number is its ordinal
    kRequest = 2,     // a query; number is its request id
    kFrame = 3,       // another frame, which was ignored; number is the frame's own
};

// body: u8 scope, u8 code, u16 zero, u32 row, u32 column (0xFFFFFFFF: none), text message.
struct ErrorMessage {
    ErrorMessage() = default;
    ErrorMessage(ErrorScope its_scope, const Error& its_error)
        : scope(its_scope), code(its_error.code()), message(its_error.message()) {}
    static Result<ErrorMessage> decode(Bytes body);
    Error to_error() const { return Error(code, message); }

    ErrorScope scope = ErrorScope::kConnection;
    ErrorCode code = ErrorCode::kInvalidArgument;
    RowPosition position;
    std::string message;
};
std::vector<std::byte> encode_error(const ErrorMessage& error, uint64_t number);

// body: text query, u32 parameter count, then each: text name, text value. The frame's number is
// the request id.
Result<QueryText> decode_query(Bytes body);
std::vector<std::byte> encode_query(std::string_view text, uint64_t request,
                                    const QueryParameters& parameters = QueryParameters());

// The body of a query; the answer goes on in updates until the request is cancelled.
std::vector<std::byte> encode_watch(std::string_view text, uint64_t request,
                                    const QueryParameters& parameters = QueryParameters());

// body: text directory, on the server's machine. The frame's number is the request id; what is
// answered tells how the backup comes on.
Result<std::string> decode_backup(Bytes body);
std::vector<std::byte> encode_backup(std::string_view directory, uint64_t request);

// Empty body; the number is the request to give up.
std::vector<std::byte> encode_cancel(uint64_t request);

// body: u32 count, then each: u8 type, text name.
Result<std::vector<ResultColumn>> decode_result_columns(Bytes body);
std::vector<std::byte> encode_result_columns(std::span<const ResultColumn> columns,
                                             uint64_t request);

// body: u32 rows, u32 columns, then each column, everything in multiples of 8 bytes:
//   u32 flags (bit 0: nulls), u32 runs (text; else 0)
//   if nulls: ceil(rows/8) bytes, bit r set = row r is there; padded to 8 bytes with zeros
//   text:     per run u32 rows, u32 length, bytes; then padded to 8 bytes with zeros
//   others:   8 bytes per row
// kResourceExhausted if the block does not fit a frame.
Result<std::vector<std::byte>> encode_result_block(const ResultBlock& block, uint64_t request);
Result<ResultBlock> decode_result_block(Bytes body, std::span<const ResultColumn> columns);

// How a query ended well.
struct QueryEnd {
    QueryEnd() = default;
    static Result<QueryEnd> decode(Bytes body);

    uint64_t rows = 0;               // of all blocks
    std::vector<std::string> notes;  // what the asker should know, such as what was left out
};
// body: u64 rows, u32 count of notes, then the texts.
std::vector<std::byte> encode_result_end(const QueryEnd& end, uint64_t request);

// How an update of a watched query ends: from here on the answer is what it made of the one before.
struct ResultUpdate {
    ResultUpdate() = default;
    static Result<ResultUpdate> decode(Bytes body);

    uint64_t sequence = 0;     // of the log: everything up to it is in the answer
    bool is_reset = false;     // what there was before the update is void
    uint32_t key_columns = 0;  // of the answer, the first ones: they say which row a row is
    uint64_t rows = 0;         // of the whole answer
    std::vector<std::string> notes;
};
// body: u64 sequence, u8 flags (bit 0: reset), u8[3] zero, u32 key columns, u64 rows, u32 count of
// notes, then the texts.
std::vector<std::byte> encode_result_update(const ResultUpdate& update, uint64_t request);

}  // namespace stepdb
