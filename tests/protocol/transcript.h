// The transcript of docs/protocol.md: blocks fenced as ```transcript, in which "C:" and "S:" begin
// frames, in hexadecimal; ".." is a byte that varies, "..." a rest that varies, "#" begins a
// remark.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

namespace stepdb {

struct TranscriptFrame {
    bool from_client = false;
    size_t line = 0;                              // in the document, from 1
    std::vector<std::optional<std::byte>> bytes;  // unset: varies
    bool has_varying_rest = false;
};

// kInvalidArgument naming the line.
Result<std::vector<TranscriptFrame>> parse_transcript(std::string_view document);

// All bytes of a frame, if none varies.
Result<std::vector<std::byte>> fixed_bytes(const TranscriptFrame& frame);

// Ok if `got` is such a frame; else what differs and where.
Status match_frame(const TranscriptFrame& expected, Bytes got);

// Reads a file of the source tree, such as "docs/protocol.md".
std::string read_document(std::string_view path);

}  // namespace stepdb
