#include "tests/protocol/transcript.h"

#include <charconv>
#include <fstream>
#include <sstream>

namespace stepdb {

namespace {

std::string to_hex(Bytes bytes) {
    std::string hex;
    for (size_t i = 0; i < bytes.size(); ++i) {
        hex += fmt::format("{}{:02x}",
                           i == 0        ? ""
                           : i % 16 == 0 ? "\n"
                                         : " ",
                           static_cast<unsigned>(bytes[i]));
    }
    return hex;
}

Status parse_word(std::string_view word, TranscriptFrame& frame, size_t line) {
    unsigned value = 0;
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    if (word == "..") {
        frame.bytes.emplace_back();
    } else if (word == "...") {
        frame.has_varying_rest = true;
    } else if (word.size() == 2 && status == std::errc() && end == word.data() + 2 &&
               !frame.has_varying_rest) {
        frame.bytes.emplace_back(static_cast<std::byte>(value));
    } else {
        return make_error(ErrorCode::kInvalidArgument, "line {}: '{}' is no byte", line, word);
    }
    return {};
}

}  // namespace

Result<std::vector<TranscriptFrame>> parse_transcript(std::string_view document) {
    std::vector<TranscriptFrame> frames;
    std::istringstream lines{std::string(document)};
    std::string text;
    bool is_inside = false;
    for (size_t line = 1; std::getline(lines, text); ++line) {
        if (text.starts_with("```")) {
            is_inside = text == "```transcript";
            continue;
        }
        if (!is_inside) {
            continue;
        }
        std::istringstream words(text.substr(0, text.find('#')));
        std::string word;
        while (words >> word) {
            if (word == "C:" || word == "S:") {
                frames.emplace_back();
                frames.back().from_client = word == "C:";
                frames.back().line = line;
            } else if (frames.empty()) {
                return make_error(ErrorCode::kInvalidArgument, "line {}: bytes of no frame", line);
            } else {
                TRY(parse_word(word, frames.back(), line));
            }
        }
    }
    return frames;
}

Result<std::vector<std::byte>> fixed_bytes(const TranscriptFrame& frame) {
    std::vector<std::byte> bytes;
    for (const std::optional<std::byte>& byte : frame.bytes) {
        if (!byte || frame.has_varying_rest) {
            return make_error(ErrorCode::kInvalidArgument,
                              "line {}: a frame to send has bytes that vary", frame.line);
        }
        bytes.push_back(*byte);
    }
    return bytes;
}

Status match_frame(const TranscriptFrame& expected, Bytes got) {
    const size_t size = expected.bytes.size();
    const auto differs = [&](std::string what) {
        return make_error(ErrorCode::kInvalidArgument, "line {}: {}; got\n{}", expected.line, what,
                          to_hex(got));
    };
    if (got.size() < size || (got.size() > size && !expected.has_varying_rest)) {
        return differs(fmt::format("a frame of {} bytes, expected {}", got.size(), size));
    }
    for (size_t i = 0; i < size; ++i) {
        if (expected.bytes[i] && *expected.bytes[i] != got[i]) {
            return differs(
                fmt::format("byte {} is not {:02x}", i, static_cast<unsigned>(*expected.bytes[i])));
        }
    }
    return {};
}

std::string read_document(std::string_view path) {
    std::ifstream file(fmt::format("{}/{}", STEPDB_SOURCE_DIR, path));
    CHECK(file.good(), "cannot read {}", path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace stepdb
