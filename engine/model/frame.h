// Frames: the unit of the wire, and, because the log keeps a client's frame unchanged, of the log.
// docs/protocol.md is the specification; the layout here is its section "Frame".
//
//   offset  size
//        0     4  length         bytes of the whole frame, this header included
//        4     1  version        1
//        5     1  type           FrameType
//        6     1  checksum kind  1 XXH3-64, 2 CRC-32
//        7     1  flags          0, reserved
//        8     8  checksum       XXH3-64 of bytes 16..end, seeded with bytes 0..7 as a u64; or the
//                                CRC-32 of bytes 0..7 followed by 16..end
//       16     8  number         of a frame that changes a run: its number per (writer, run); of
//                                hello, schema and open_run: 0; of a query and its answers: the
//                                request id; of ack, run_opened and error: the ordinal or request
//                                answered
//       24        body, by type
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/coding.h"
#include "engine/base/result.h"
#include "engine/model/key.h"
#include "engine/model/schema.h"

namespace stepdb {

inline constexpr uint8_t kProtocolVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 24;

// Part of the protocol and of the log's format. Numbers not listed are refused by name.
enum class FrameType : uint8_t {
    // from the client
    kHello = 1,
    kSchema = 2,
    kOpenRun = 3,
    kRows = 4,
    kFinishRun = 5,
    kSetAttributes = 6,  // from here to kSetRetention: life_frame.h
    kRestartRun = 7,
    kHeartbeat = 8,
    kDiscardAttempt = 9,
    kDeleteMetrics = 10,
    kDeleteRun = 11,
    kSetRetention = 12,
    kQuery = 16,
    kCancel = 17,
    kWatch = 18,
    kBackup = 19,
    // from the server
    kHelloOk = 129,
    kAck = 130,
    kRunOpened = 131,
    kError = 132,
    kResultColumns = 144,
    kResultBlock = 145,
    kResultEnd = 146,
    kResultUpdate = 147,
};

// "rows", "open_run", ...; "unknown type 77" for a number not listed.
std::string frame_type_name(FrameType type);

// Frames that change the store: those that have an outcome and that the log keeps.
constexpr bool is_change(FrameType type) {
    return type >= FrameType::kSchema && type <= FrameType::kSetRetention;
}

enum class ChecksumKind : uint8_t { kXxh3 = 1, kCrc32 = 2 };

struct FrameHeader {
    uint32_t length = 0;
    uint8_t version = kProtocolVersion;
    FrameType type = FrameType::kHello;
    ChecksumKind checksum_kind = ChecksumKind::kXxh3;
    uint8_t flags = 0;
    uint64_t checksum = 0;
    uint64_t number = 0;
};

// Reads the header of a frame from at least kFrameHeaderBytes bytes and checks length, version,
// checksum kind and flags, so that a length is known to be sane before anything is allocated for
// it. The type is not checked. kInvalidArgument or kUnsupportedVersion.
Result<FrameHeader> parse_frame_header(Bytes bytes);

// Checks the checksum of a whole frame. `header` came from parse_frame_header.
Status verify_frame(const FrameHeader& header, Bytes frame);

uint64_t frame_checksum(ChecksumKind kind, Bytes frame);

inline Bytes frame_body(Bytes frame) {
    return frame.subspan(kFrameHeaderBytes);
}

// Builds a frame: put the body into writer(), then finish().
class FrameBuilder {
  public:
    FrameBuilder(FrameType type, uint64_t number);
    ByteWriter& writer() { return writer_; }
    // Sets length and checksum and hands the frame out.
    std::vector<std::byte> finish(ChecksumKind kind = ChecksumKind::kXxh3);

  private:
    ByteWriter writer_;
};

// --- Bodies of the frames that change the store. decode() checks everything that needs no other
// state; texts view into the body. ---

// body: text project, 16 B hash, u32 total bytes, u32 offset, then a piece of the schema's
// canonical encoding up to the end of the frame.
struct SchemaFrame {
    std::string_view project;
    SchemaHash hash;
    uint32_t total_bytes = 0;
    uint32_t offset = 0;
    Bytes piece;

    bool whole() const { return offset == 0 && piece.size() == total_bytes; }
    static Result<SchemaFrame> decode(Bytes body);
};
// The schema in one frame; it must fit (else use encode_schema_frames).
std::vector<std::byte> encode_schema_frame(std::string_view project, const Schema& schema);
// In as many frames as it takes, in the order to send.
std::vector<std::vector<std::byte>> encode_schema_frames(std::string_view project,
                                                         const Schema& schema,
                                                         size_t piece_bytes_max = 4U << 20U);

// body: u32 handle, u8 mode (OpenMode bits), u8[3] zero, u64 first number, text project, text run,
// u8 parent kind (0 none, 1 fork), and of a fork: text parent run, f64 fork step.
struct OpenRunFrame {
    static constexpr uint8_t kCreateIfMissing = 1;  // else a missing run is kNotFound
    static constexpr uint8_t kMustCreate = 2;       // an existing run is kAlreadyExists
    static constexpr uint8_t kResume = 4;           // the writer must be known

    uint32_t handle = 0;  // chosen by the client, valid on this connection
    uint8_t mode = 0;
    uint64_t first_number = 1;  // the next number the client will send, at least 1
    std::string_view project;
    std::string_view run;
    // Of a fork, which reads as its parent's newest attempt of this moment up to and including
    // `fork_step` (finite), then its own points. Empty if the run is none.
    std::string_view parent;
    double fork_step = 0;

    bool is_fork() const { return !parent.empty(); }
    static Result<OpenRunFrame> decode(Bytes body);
};
std::vector<std::byte> encode_open_run_frame(const OpenRunFrame& open);

// body: u32 handle, u32 attempt, u8 state (1 finished, 2 failed), u8[7] zero.
enum class RunState : uint8_t { kRunning = 0, kFinished = 1, kFailed = 2 };
std::string_view run_state_name(RunState state);

struct FinishRunFrame {
    uint32_t handle = 0;
    uint32_t attempt = 0;
    RunState state = RunState::kFinished;

    static Result<FinishRunFrame> decode(Bytes body);
};
std::vector<std::byte> encode_finish_run_frame(const FinishRunFrame& finish, uint64_t number);

}  // namespace stepdb
