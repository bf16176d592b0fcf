#include "engine/model/frame.h"
#include "engine/base/zeros.h"

#include <algorithm>
#include <cmath>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// Offsets within the header; see frame.h.
constexpr size_t kChecksumAt = 8;
constexpr size_t kCheckedFrom = 16;

Error short_body(std::string_view what, size_t bytes) {
    return invalid_argument(
        fmt::format("{} frame: a body of {} bytes ends before its last field, or a text "
                    "in it is longer than allowed",
                    what, bytes));
}

Status check_reserved(std::string_view what, Bytes reserved) {
    if (!is_blank(reserved)) {
        return invalid_argument(fmt::format("{} frame: reserved bytes are not zero", what));
    }
    return {};
}

std::vector<std::byte> encode_schema_piece(const SchemaFrame& frame) {
    FrameBuilder builder(FrameType::kSchema, 0);
    ByteWriter& writer = builder.writer();
    writer.put_text(frame.project);
    writer.put_bytes(frame.hash.bytes);
    writer.put(frame.total_bytes);
    writer.put(frame.offset);
    writer.put_bytes(frame.piece);
    return builder.finish();
}

}  // namespace

std::string frame_type_name(FrameType type) {
    switch (type) {
        case FrameType::kHello:
            return "hello";
        case FrameType::kSchema:
            return "schema";
        case FrameType::kOpenRun:
            return "open_run";
        case FrameType::kRows:
            return "rows";
        case FrameType::kFinishRun:
            return "finish_run";
        case FrameType::kSetAttributes:
            return "set_attributes";
        case FrameType::kRestartRun:
            return "restart_run";
        case FrameType::kHeartbeat:
            return "heartbeat";
        case FrameType::kDiscardAttempt:
            return "discard_attempt";
        case FrameType::kDeleteMetrics:
            return "delete_metrics";
        case FrameType::kDeleteRun:
            return "delete_run";
        case FrameType::kSetRetention:
            return "set_retention";
        case FrameType::kQuery:
            return "query";
        case FrameType::kCancel:
            return "cancel";
        case FrameType::kWatch:
            return "watch";
        case FrameType::kBackup:
            return "backup";
        case FrameType::kHelloOk:
            return "hello_ok";
        case FrameType::kAck:
            return "ack";
        case FrameType::kRunOpened:
            return "run_opened";
        case FrameType::kError:
            return "error";
        case FrameType::kResultColumns:
            return "result_columns";
        case FrameType::kResultBlock:
            return "result_block";
        case FrameType::kResultEnd:
            return "result_end";
        case FrameType::kResultUpdate:
            return "result_update";
    }
    return fmt::format("unknown type {}", static_cast<unsigned>(type));
}

Result<FrameHeader> parse_frame_header(Bytes bytes) {
    ByteReader reader(bytes);
    FrameHeader header;
    header.length = reader.get<uint32_t>();
    header.version = reader.get<uint8_t>();
    header.type = reader.get<FrameType>();
    const auto checksum_kind = reader.get<uint8_t>();
    header.flags = reader.get<uint8_t>();
    header.checksum = reader.get<uint64_t>();
    header.number = reader.get<uint64_t>();
    if (reader.failed()) {
        return invalid_argument(
            fmt::format("frame header of {} bytes; it has {}", bytes.size(), kFrameHeaderBytes));
    }
    if (header.length < kFrameHeaderBytes || header.length > kFrameBytesMax) {
        return invalid_argument(
            fmt::format("frame of {} bytes; {} to {} are allowed (is the peer speaking "
                        "StepDB's protocol?)",
                        header.length, kFrameHeaderBytes, kFrameBytesMax));
    }
    if (header.version != kProtocolVersion) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "frame of protocol version {}; this program speaks {}", header.version,
                          kProtocolVersion);
    }
    if (checksum_kind != static_cast<uint8_t>(ChecksumKind::kXxh3) &&
        checksum_kind != static_cast<uint8_t>(ChecksumKind::kCrc32)) {
        return invalid_argument(
            fmt::format("frame with checksum kind {}; 1 (XXH3-64) or 2 (CRC-32) are "
                        "known",
                        checksum_kind));
    }
    header.checksum_kind = static_cast<ChecksumKind>(checksum_kind);
    if (header.flags != 0) {
        return invalid_argument(
            fmt::format("frame with flags {:#x}; they are reserved and must be 0", header.flags));
    }
    return header;
}

uint64_t frame_checksum(ChecksumKind kind, Bytes frame) {
    CHECK(frame.size() >= kFrameHeaderBytes, "frame of {} bytes", frame.size());
    const Bytes checked = frame.subspan(kCheckedFrom);
    if (kind == ChecksumKind::kXxh3) {
        return xxh3(checked, load_le<uint64_t>(frame.data()));
    }
    return crc32(checked, crc32(frame.first(kChecksumAt)));
}

Status verify_frame(const FrameHeader& header, Bytes frame) {
    CHECK(frame.size() == header.length, "frame of {} bytes, header says {}", frame.size(),
          header.length);
    const uint64_t expected = frame_checksum(header.checksum_kind, frame);
    if (header.checksum != expected) {
        return invalid_argument(fmt::format(
            "{} frame of {} bytes, number {}: checksum {:016x}, expected "
            "{:016x}; it was damaged on the way or summed wrongly",
            frame_type_name(header.type), header.length, header.number, header.checksum, expected));
    }
    return {};
}

FrameBuilder::FrameBuilder(FrameType type, uint64_t number) {
    writer_.put<uint32_t>(0);
    writer_.put(kProtocolVersion);
    writer_.put(type);
    writer_.put<uint16_t>(0);
    writer_.put<uint64_t>(0);
    writer_.put(number);
}

std::vector<std::byte> FrameBuilder::finish(ChecksumKind kind) {
    CHECK(writer_.size() <= kFrameBytesMax, "frame of {} bytes", writer_.size());
    writer_.patch(0, static_cast<uint32_t>(writer_.size()));
    writer_.patch(6, kind);
    writer_.patch(kChecksumAt, frame_checksum(kind, writer_.bytes()));
    return writer_.take();
}

Result<SchemaFrame> SchemaFrame::decode(Bytes body) {
    ByteReader reader(body);
    SchemaFrame frame;
    frame.project = reader.get_text(kIdBytesMax);
    const Bytes hash = reader.get_bytes(sizeof(frame.hash.bytes));
    std::copy(hash.begin(), hash.end(), frame.hash.bytes.begin());
    frame.total_bytes = reader.get<uint32_t>();
    frame.offset = reader.get<uint32_t>();
    if (reader.failed()) {
        return short_body("schema", body.size());
    }
    frame.piece = reader.get_bytes(reader.remaining());
    TRY(check_id("project", frame.project));
    if (frame.total_bytes > kSchemaBytesMax) {
        return invalid_argument(fmt::format("schema {} of {} bytes; at most {} are allowed",
                                            frame.hash.to_hex(), frame.total_bytes,
                                            kSchemaBytesMax));
    }
    if (frame.piece.empty() || frame.piece.size() > frame.total_bytes ||
        frame.offset > frame.total_bytes - frame.piece.size()) {
        return invalid_argument(
            fmt::format("schema {}: a piece of {} bytes at {} does not lie within its "
                        "{} bytes",
                        frame.hash.to_hex(), frame.piece.size(), frame.offset, frame.total_bytes));
    }
    return frame;
}

std::vector<std::vector<std::byte>> encode_schema_frames(std::string_view project,
                                                         const Schema& schema,
                                                         size_t piece_bytes_max) {
    const std::vector<std::byte> canonical = schema.encode();
    SchemaFrame frame;
    frame.project = project;
    frame.hash = schema.hash();
    frame.total_bytes = static_cast<uint32_t>(canonical.size());
    std::vector<std::vector<std::byte>> frames;
    for (size_t at = 0; at < canonical.size(); at += piece_bytes_max) {
        frame.offset = static_cast<uint32_t>(at);
        frame.piece =
            Bytes(canonical).subspan(at, std::min(piece_bytes_max, canonical.size() - at));
        frames.push_back(encode_schema_piece(frame));
    }
    return frames;
}

std::vector<std::byte> encode_schema_frame(std::string_view project, const Schema& schema) {
    auto frames = encode_schema_frames(project, schema, kFrameBytesMax - 4096);
    CHECK(frames.size() == 1, "a schema of {} frames", frames.size());
    return std::move(frames.front());
}

namespace {

Status check_fork(const OpenRunFrame& open) {
    TRY(check_id("parent run", open.parent));
    if (!std::isfinite(open.fork_step)) {
        return invalid_argument(fmt::format("open_run frame of {}/{}: fork step {}; it is finite",
                                            open.project, open.run, open.fork_step));
    }
    if (open.parent == open.run) {
        return invalid_argument(fmt::format(
            "open_run frame of {}/{}: a run cannot be its own parent", open.project, open.run));
    }
    return {};
}

}  // namespace

Result<OpenRunFrame> OpenRunFrame::decode(Bytes body) {
    ByteReader reader(body);
    OpenRunFrame frame;
    frame.handle = reader.get<uint32_t>();
    frame.mode = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(3);
    frame.first_number = reader.get<uint64_t>();
    frame.project = reader.get_text(kIdBytesMax);
    frame.run = reader.get_text(kIdBytesMax);
    const auto parent_kind = reader.get<uint8_t>();
    if (reader.failed()) {
        return short_body("open_run", body.size());
    }
    TRY(check_reserved("open_run", reserved));
    TRY(check_id("project", frame.project));
    TRY(check_id("run", frame.run));
    if (parent_kind == 1) {
        frame.parent = reader.get_text(kIdBytesMax);
        frame.fork_step = reader.get<double>();
        TRY(check_fork(frame));
    }
    if (parent_kind > 1 || !reader.finished()) {
        return invalid_argument(
            fmt::format("open_run frame of {}/{}: parent kind {} in a body of {} bytes; 0 (none) "
                        "and 1 (a fork: parent run and step) are known, and nothing follows",
                        frame.project, frame.run, parent_kind, body.size()));
    }
    const unsigned mode = frame.mode;
    if (mode > (kCreateIfMissing | kMustCreate | kResume) ||
        (mode & (kMustCreate | kResume)) == (kMustCreate | kResume)) {
        return invalid_argument(
            fmt::format("open_run frame of {}/{}: mode {:#x}; bits 0 (create if "
                        "missing), 1 (must create) and 2 (resume) are known, and 1 and "
                        "2 exclude each other",
                        frame.project, frame.run, mode));
    }
    if (frame.first_number == 0) {
        return invalid_argument(
            fmt::format("open_run frame of {}/{}: first number 0; numbers count from 1",
                        frame.project, frame.run));
    }
    return frame;
}

std::vector<std::byte> encode_open_run_frame(const OpenRunFrame& open) {
    FrameBuilder builder(FrameType::kOpenRun, 0);
    ByteWriter& writer = builder.writer();
    writer.put(open.handle);
    writer.put(open.mode);
    writer.put_zeros(3);
    writer.put(open.first_number);
    writer.put_text(open.project);
    writer.put_text(open.run);
    writer.put(static_cast<uint8_t>(open.is_fork()));
    if (open.is_fork()) {
        writer.put_text(open.parent);
        writer.put(open.fork_step);
    }
    return builder.finish();
}

std::string_view run_state_name(RunState state) {
    switch (state) {
        case RunState::kRunning:
            return "running";
        case RunState::kFinished:
            return "finished";
        case RunState::kFailed:
            return "failed";
    }
    return "unknown";
}

Result<FinishRunFrame> FinishRunFrame::decode(Bytes body) {
    ByteReader reader(body);
    FinishRunFrame frame;
    frame.handle = reader.get<uint32_t>();
    frame.attempt = reader.get<uint32_t>();
    const auto state = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(7);
    if (!reader.finished()) {
        return invalid_argument(
            fmt::format("finish_run frame: a body of {} bytes; it has 16", body.size()));
    }
    TRY(check_reserved("finish_run", reserved));
    if (state != static_cast<uint8_t>(RunState::kFinished) &&
        state != static_cast<uint8_t>(RunState::kFailed)) {
        return invalid_argument(
            fmt::format("finish_run frame: state {}; 1 (finished) or 2 (failed) are known", state));
    }
    frame.state = static_cast<RunState>(state);
    return frame;
}

std::vector<std::byte> encode_finish_run_frame(const FinishRunFrame& finish, uint64_t number) {
    FrameBuilder builder(FrameType::kFinishRun, number);
    ByteWriter& writer = builder.writer();
    writer.put(finish.handle);
    writer.put(finish.attempt);
    writer.put(finish.state);
    writer.put_zeros(7);
    return builder.finish();
}

}  // namespace stepdb
